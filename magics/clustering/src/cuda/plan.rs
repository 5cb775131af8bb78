//! How many rows are on the card at a time.

/// Rows of a chunk at most: enough to fill the card, few enough for what a chunk needs besides.
const CHUNK: usize = 1 << 20;
/// Multiply-adds of a chunk at most, so that a chunk takes milliseconds, and the user is asked in between.
const WORK: usize = 1 << 40;
/// Bytes of a piece on its way to the card, as f32.
const PIECE: usize = 128 << 20;
/// Chunks start at multiples of this: blocks of some kernels' sums.
const GRAIN: usize = 256;
/// The smallest chunk worth a launch.
const LEAST: usize = 1024;

/// How many rows are on the card at a time. It depends on the data's shape and the card's memory alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether all rows stay on the card.
    pub(super) resident: bool,
    /// Whether a copy of them in 16 bits does, too, where the card reads such copies.
    pub(super) tiled: bool,
    /// Rows that one launch works on, where they are resident.
    pub(super) chunk: usize,
    /// Rows that are sent at a time, and that one launch works on where they are not resident.
    pub(super) piece: usize,
}

impl Plan {
    /// The first plan for rows of `columns` numbers and `k` clusters; `bytes` of the card are wanted for all rows, and
    /// `copies` for those in 16 bits, of `free` ones.
    pub(super) fn new(columns: usize, k: usize, (bytes, copies): (u64, u64), free: u64) -> Plan {
        let row = columns.max(1);
        let chunk = (WORK / (row * k.max(1))).clamp(LEAST, CHUNK);
        let piece = (PIECE / (row * 4)).clamp(LEAST, chunk.max(LEAST));
        Plan {
            // The rest is for centroids, sums and sorting.
            resident: bytes < free / 10 * 8,
            tiled: copies > 0 && bytes.saturating_add(copies) < free / 10 * 8,
            chunk: chunk / GRAIN * GRAIN,
            piece: piece / GRAIN * GRAIN,
        }
    }

    /// What to try when the card has no room for this: no copies, rows that come in pieces, then smaller ones.
    pub(super) fn smaller(self) -> Option<Plan> {
        if self.tiled {
            return Some(Plan {
                tiled: false,
                ..self
            });
        }
        if self.resident {
            return Some(Plan {
                resident: false,
                ..self
            });
        }
        let piece = self.piece / 2 / GRAIN * GRAIN;
        (piece >= GRAIN).then_some(Plan { piece, ..self })
    }

    /// Rows that one launch works on.
    pub(super) fn rows(self) -> usize {
        if self.resident {
            self.chunk
        } else {
            self.piece
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_shrinks_to_its_end() {
        let mut plan = Plan::new(384, 1024, (100, 50), 1000);
        assert_eq!(
            plan,
            Plan {
                resident: true,
                tiled: true,
                chunk: CHUNK,
                piece: 87_296
            }
        );
        let mut steps = 0;
        while let Some(smaller) = plan.smaller() {
            assert!(!smaller.tiled && smaller.resident <= plan.resident);
            assert!(smaller.rows() <= plan.rows() && smaller.rows() % GRAIN == 0);
            assert!(
                (smaller.tiled, smaller.resident, smaller.piece)
                    != (plan.tiled, plan.resident, plan.piece)
            );
            (plan, steps) = (smaller, steps + 1);
        }
        assert_eq!((plan.rows(), steps), (GRAIN, 10));
    }

    #[test]
    fn rows_that_do_not_fit_come_in_pieces() {
        assert!(!Plan::new(384, 1024, (900, 0), 1000).resident);
        let plan = Plan::new(384, 1024, (600, 300), 1000);
        assert!(plan.resident && !plan.tiled);
        assert_eq!(Plan::new(1, 1, (0, 0), 1000).rows(), CHUNK);
        assert_eq!(Plan::new(40_000, 100_000, (0, 0), 1000).rows(), LEAST);
    }
}
