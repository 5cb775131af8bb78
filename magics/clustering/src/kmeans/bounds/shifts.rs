//! How far centroids moved, and by how much a distance may be wrong.

use rayon::prelude::*;

/// Values of centroids for which a thread is worth its start.
const PIECE: usize = 1 << 14;
/// A step of a number of 32 bits, relative to it, times four.
pub(super) const STEP: f32 = 4.0 * f32::EPSILON;
/// Products that are summed one after the other; longer rows are cut.
const CHAIN: usize = 1024;

/// How far the centroids moved since the last pass, or a little more.
pub(super) struct Shifts {
    pub(super) each: Vec<f32>,
    /// The one that moved farthest.
    farthest: usize,
    /// How far the next of them moved.
    next: f32,
}

impl Shifts {
    pub(super) fn new(before: &[f32], after: &[f32], dims: usize) -> Shifts {
        let pairs = before
            .par_chunks_exact(dims)
            .zip(after.par_chunks_exact(dims));
        let each: Vec<f32> = pairs
            .with_min_len(PIECE / dims + 1)
            .map(|(before, after)| {
                let differences = before.iter().zip(after);
                let squares = differences.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
                squares.sum::<f64>().sqrt() as f32 * (1.0 + STEP)
            })
            .collect();
        let mut farthest = 0;
        for (j, shift) in each.iter().enumerate() {
            if *shift > each[farthest] {
                farthest = j;
            }
        }
        let others = each.iter().enumerate().filter(|&(j, _)| j != farthest);
        let next = others.map(|(_, &shift)| shift).fold(0.0, f32::max);
        Shifts {
            each,
            farthest,
            next,
        }
    }

    /// How far the centroids other than that of `label` moved at most.
    pub(super) fn others(&self, label: u32) -> f32 {
        if self.farthest == label as usize {
            self.next
        } else {
            self.each[self.farthest]
        }
    }
}

/// By how much a squared distance may be wrong, for it comes from products of 32 bits.
pub(super) struct Slack {
    /// Length of the longest centroid, from the origin.
    longest: f32,
    /// Length of the origin, from zero.
    origin: f32,
    /// Relative error of a product of two rows: twice the bound for sums in any order (Higham 2002, section 3.1).
    product: f32,
}

impl Slack {
    pub(super) fn new(origin: &[f32], centroids: &[f32], dims: usize) -> Slack {
        let squares = centroids
            .par_chunks_exact(dims)
            .with_min_len(PIECE / dims + 1)
            .map(|centroid| {
                let differences = centroid.iter().zip(origin);
                differences
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum::<f64>()
            });
        let origin: f64 = origin.iter().map(|&value| f64::from(value).powi(2)).sum();
        let additions = dims.min(CHAIN) + dims / CHAIN;
        Slack {
            longest: squares.reduce(|| 0.0, f64::max).sqrt() as f32,
            origin: origin.sqrt() as f32,
            product: additions as f32 * 2.0 * f32::EPSILON,
        }
    }

    /// For a row whose squared distance from the origin is given.
    pub(super) fn of(&self, norm: f32) -> f32 {
        let from_zero = norm.sqrt() + self.origin;
        self.product * from_zero * self.longest + STEP * (norm + self.longest * self.longest)
    }
}
