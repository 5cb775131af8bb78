//! What k-means needs of rows, whatever their form.

use std::ops::Range;

use crate::codes::Codes;

/// Rows that can be compared with centroids: dense, sparse, or answers to questions.
///
/// Scores are `‖c‖²/2 − x·c`: the same order as the distance, without the `‖x‖²` that all centroids share (adding it
/// would round near distances to ties). Twice the score plus `‖x‖²` is the squared distance. Rows may count from an
/// origin of their own, as long as scores and squared norms agree on it.
pub trait Points: Sync {
    /// Centroids in the form in which these rows are compared fastest.
    type Ready: Sync + Send;

    /// Rows.
    fn rows(&self) -> usize;
    /// Columns, counted as if the rows were dense.
    fn dims(&self) -> usize;
    /// Rows of one block: the unit of work and of the reduction, so that the number of threads changes no bit.
    fn block(&self) -> usize;
    /// Makes `centroids` (row-major `k × dims`) ready.
    fn ready(&self, centroids: &[f32], k: usize) -> Self::Ready;
    /// For each of `rows`, the nearest centroid (the lowest of equals) and its score.
    fn nearest(
        &self,
        rows: Range<usize>,
        ready: &Self::Ready,
        labels: &mut [u32],
        scores: &mut [f32],
    );
    /// Adds each of `rows`, times its weight, to the sum of its cluster (`k × dims`).
    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]);
    /// `‖x‖²` of each of `rows`.
    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]);
    /// Writes one row as if it were dense.
    fn copy(&self, row: usize, into: &mut [f32]);

    /// Makes `directions` ready for the cosine: their length is so small that scores are `−x·c` but for rounding.
    fn directions(&self, directions: &[f32], k: usize) -> Self::Ready {
        self.ready(directions, k)
    }

    /// `‖x‖` of each of `rows`, from the true origin.
    fn lengths(&self, rows: Range<usize>, lengths: &mut [f32]) {
        self.squared_norms(rows, lengths);
        for length in lengths {
            *length = length.sqrt();
        }
    }

    /// Scores of `rows` to several centroids, each ready by itself: row-major `rows × singles`.
    fn scores(&self, rows: Range<usize>, singles: &[&Self::Ready], scores: &mut [f32]) {
        let (mut labels, mut column) = (vec![0; rows.len()], vec![0.0; rows.len()]);
        for (j, single) in singles.iter().enumerate() {
            self.nearest(rows.clone(), single, &mut labels, &mut column);
            for (row, &score) in scores.chunks_exact_mut(singles.len()).zip(&column) {
                row[j] = score;
            }
        }
    }

    /// Like [`Points::nearest`], for rows that do not follow each other.
    fn nearest_of(
        &self,
        rows: &[usize],
        ready: &Self::Ready,
        labels: &mut [u32],
        scores: &mut [f32],
    ) {
        for ((&row, label), score) in rows.iter().zip(labels).zip(scores) {
            let (label, score) = (std::slice::from_mut(label), std::slice::from_mut(score));
            self.nearest(row..row + 1, ready, label, score);
        }
    }

    /// Whether adding all rows at once, by columns, beats adding them block by block.
    fn adds_at_once(&self) -> bool {
        false
    }

    /// Adds all rows; the order of the additions must not depend on the number of threads.
    fn add_all(&self, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        self.add(0..self.rows(), labels, weights, sums);
    }

    /// The squared distance of each of `rows` to the centroid of its label, by differences, hence exact where rows are
    /// near; `false` where that would be slow.
    fn squared_distances(
        &self,
        _rows: Range<usize>,
        _labels: &[u32],
        _centroids: &[f32],
        _distances: &mut [f64],
    ) -> bool {
        false
    }

    /// These rows, if those whose cluster cannot have changed need not be looked at again; `None` where what has to be kept
    /// of each row for it is not small beside the row.
    fn bounded(&self) -> Option<&dyn Bounded<Self::Ready>> {
        None
    }

    /// These rows, if they are answers and nothing beside them: their labels are found by whole numbers, and their sums are
    /// counts.
    fn answers(&self) -> Option<&Codes> {
        None
    }

    /// Adds the squared difference of each of `rows` from `means`, by column.
    fn add_squares(&self, rows: Range<usize>, means: &[f64], squares: &mut [f64]) {
        let mut dense = vec![0.0; self.dims()];
        for row in rows {
            self.copy(row, &mut dense);
            for ((square, &value), mean) in squares.iter_mut().zip(&dense).zip(means) {
                *square += (f64::from(value) - mean).powi(2);
            }
        }
    }
}

/// Rows of which only some are looked at in most passes.
pub trait Bounded<Ready>: Sync {
    /// Like [`Points::nearest_of`], with the lowest score of all other centroids in `seconds`; infinite where there is none.
    /// Ascending rows; a row's result is the same whichever others are looked at with it.
    fn nearest_two(
        &self,
        rows: &[usize],
        ready: &Ready,
        labels: &mut [u32],
        scores: &mut [f32],
        seconds: &mut [f32],
    );
    /// Adds rows to sums of clusters (`k × dims`), in an order that does not depend on the number of threads.
    fn add_listed(&self, entries: Vec<Entry>, sums: &mut [f64]);
    /// The point from which distances count.
    fn origin(&self) -> &[f32];
}

/// A row that is added to a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Which row.
    pub row: usize,
    /// To the sum of which cluster.
    pub label: u32,
    /// By how much the row is multiplied.
    pub factor: f32,
}
