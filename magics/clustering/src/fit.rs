//! What k-means finds.

use crate::options::Metric;

/// Why an iteration was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// No row changed its cluster.
    Settled,
    /// The centroids moved less than the tolerance.
    Tolerance,
    /// `max_iter` was reached; more iterations might find better centroids.
    MaxIter,
    /// The user stopped it; the best so far is kept.
    Interrupted,
}

/// One iteration, as it is reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iteration {
    /// Which start, from 0.
    pub start: usize,
    /// Which iteration of it, from 1.
    pub number: usize,
    /// Sum of squared distances (times weight) to the nearest centroid, before the centroids moved.
    pub inertia: f64,
    /// Rows that changed their cluster.
    pub moved: usize,
    /// Squared shift of all centroids.
    pub shift: f64,
    /// Clusters that were empty and got a far row.
    pub reseeded: usize,
}

/// Clusters of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Cluster of each row; consistent with `centroids`.
    pub labels: Vec<u32>,
    /// Centroids, row-major `k × dims`.
    pub centroids: Vec<f32>,
    /// Number of clusters.
    pub k: usize,
    /// Columns.
    pub dims: usize,
    /// How distances were measured; centroids of the cosine have length 1.
    pub metric: Metric,
    /// Sum of squared distances (times weight) of the rows to their centroids.
    pub inertia: f64,
    /// Rows in each cluster.
    pub sizes: Vec<usize>,
    /// Iterations of the start that was kept.
    pub iterations: usize,
    /// Why it ended.
    pub stop: Stop,
    /// Distinct rows, where fewer than `k` were found.
    pub distinct: Option<usize>,
}
