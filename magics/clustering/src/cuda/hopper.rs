//! How the kernel for Hopper divides the rows, and its shared memory.

/// Columns of a line of rows in shared memory.
pub(super) const LINE: usize = 64;
/// Pieces of 16 bytes of such a line.
pub(super) const LINE_PIECES: usize = 8;
/// Centroids of a tile.
pub(super) const TILE: usize = 128;
/// Bytes of shared memory that a block can have.
pub(super) const SHARED: u32 = 227 << 10;
/// Rows of a warpgroup, and its threads.
const GROUP_ROWS: usize = 64;
const GROUP: usize = 128;
/// Bytes of a stage.
const STAGE: usize = TILE * LINE_PIECES * 16;
/// Stages that are worth having.
const RING: usize = 16;
/// Stages with which warpgroups need not wait for one that looks for its best centroids: on an H100, three warpgroups and
/// five stages took 4.4 ms where four and two took 4.9 (2,000,000 × 384, k = 1,024).
const DEEP: usize = 4;

/// How a block holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Warpgroups, each with 64 rows: 4, 3, 2 or 1.
    groups: usize,
    /// Lines of 64 columns of a row.
    pub(super) lines: usize,
    /// Stages of centroids.
    pub(super) ring: usize,
    /// Bytes of shared memory.
    pub(super) shared: u32,
}

impl Block {
    /// For rows of so many columns; `None` where they are too long for shared memory.
    pub(super) fn new(columns: usize) -> Option<Block> {
        let with = |groups| Block::with(columns, groups);
        let deep = |block: &Block| block.ring >= DEEP;
        // One warpgroup alone, however deep, takes a fifth longer than two.
        [4, 3, 2]
            .into_iter()
            .find_map(|groups| with(groups).filter(deep))
            .or_else(|| [2, 1].into_iter().find_map(with))
    }

    fn with(columns: usize, groups: usize) -> Option<Block> {
        let lines = columns.div_ceil(LINE);
        // Rows; stages; a barrier and a counter for each stage and for each line of a warpgroup.
        let bytes = |ring: usize| {
            groups * lines * GROUP_ROWS * LINE * 2 + ring * STAGE + (ring + groups * lines) * 12
        };
        let ring = (2..=RING)
            .rev()
            .find(|&ring| bytes(ring) <= SHARED as usize)?;
        Some(Block {
            groups,
            lines,
            ring,
            shared: u32::try_from(bytes(ring)).ok()?,
        })
    }

    /// How many blocks work on so many rows; each goes on to others when it is done with its first.
    pub(super) fn blocks(&self, rows: usize, multiprocessors: usize) -> usize {
        rows.div_ceil(self.groups * GROUP_ROWS).min(multiprocessors)
    }

    /// Threads of a block.
    pub(super) fn threads(&self) -> u32 {
        (self.groups * GROUP) as u32
    }

    /// Pieces of `rows` rows in 16 bits.
    pub(super) fn pieces(&self, rows: usize) -> usize {
        rows.next_multiple_of(GROUP_ROWS) * self.lines * LINE_PIECES
    }

    /// Pieces that are read for them at most: the last block is whole, whatever stands behind the rows.
    pub(super) fn room(&self, rows: usize) -> usize {
        self.pieces(rows + (self.groups - 1) * GROUP_ROWS)
    }

    /// The kernel, for numbers in bf16 (`half`) or f16.
    pub(super) fn kernel(&self, half: bool) -> &'static str {
        match (half, self.groups) {
            (false, 4) => "assign_hopper_f16_4",
            (false, 3) => "assign_hopper_f16_3",
            (false, 2) => "assign_hopper_f16_2",
            (false, _) => "assign_hopper_f16_1",
            (true, 4) => "assign_hopper_bf16_4",
            (true, 3) => "assign_hopper_bf16_3",
            (true, 2) => "assign_hopper_bf16_2",
            (true, _) => "assign_hopper_bf16_1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_stages_share_the_memory() {
        let found = |columns| Block::new(columns).map(|block| (block.groups, block.ring));
        assert_eq!(found(128), Some((4, 10)));
        assert_eq!(found(384), Some((3, 5)));
        assert_eq!(found(768), Some((2, 2)));
        assert_eq!(found(1024), Some((1, 6)));
        assert_eq!(found(1536), Some((1, 2)));
        assert_eq!(found(1600), None);
        for columns in 1..=1536 {
            assert!(Block::new(columns).is_some_and(|block| block.shared <= SHARED));
        }
    }
}
