//! The best of many scores, ties broken by the smaller row.

use std::cmp::Ordering;

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scored {
    /// The row.
    pub(crate) row: u32,
    /// Its score.
    pub(crate) score: f32,
}

impl Scored {
    /// Better ones first.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "this is what sorting takes"
    )]
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then(self.row.cmp(&other.row))
    }
}

/// Keeps the best `k` of what is pushed, in amortised constant time.
#[derive(Debug, Clone)]
pub(crate) struct Top {
    k: usize,
    kept: Vec<Scored>,
    floor: f32,
}

impl Top {
    /// Keeps `k`.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k: k.max(1),
            kept: Vec::new(),
            floor: f32::NEG_INFINITY,
        }
    }

    /// What is below this is not among the best, whatever comes.
    pub(crate) fn floor(&self) -> f32 {
        self.floor
    }

    /// Takes a row in; says whether the floor rose.
    pub(crate) fn push(&mut self, row: u32, score: f32) -> bool {
        if score < self.floor {
            return false;
        }
        self.kept.push(Scored { row, score });
        // Room for twice as many and a few, so that sorting is rare.
        self.kept.len() >= 2 * self.k + 6 && self.prune()
    }

    fn prune(&mut self) -> bool {
        if self.kept.len() <= self.k {
            return false;
        }
        self.kept.select_nth_unstable_by(self.k - 1, Scored::order);
        self.kept.truncate(self.k);
        let floor = self.kept[self.k - 1].score;
        let rose = floor > self.floor;
        self.floor = floor;
        rose
    }

    /// The best, best first.
    pub(crate) fn into_sorted(mut self) -> Vec<Scored> {
        self.kept.sort_unstable_by(Scored::order);
        self.kept.truncate(self.k);
        self.kept
    }

    /// The best of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for scored in other.kept {
            self.push(scored.row, scored.score);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_ties_go_to_the_smaller_row() {
        let mut rng = fastrand::Rng::with_seed(3);
        let all: Vec<Scored> = (0..2000)
            .map(|row| Scored {
                row,
                score: f32::from(rng.u8(..)),
            })
            .collect();
        let mut sorted = all.clone();
        sorted.sort_by(Scored::order);
        for k in [1, 10, 500, 3000] {
            let (mut a, mut b) = (Top::new(k), Top::new(k));
            for s in &all {
                if s.row % 3 == 0 { &mut a } else { &mut b }.push(s.row, s.score);
            }
            assert_eq!(a.merge(b).into_sorted(), sorted[..k.min(2000)]);
        }
    }
}
