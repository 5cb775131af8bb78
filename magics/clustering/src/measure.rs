//! How good a grouping is, and what sets its clusters apart.

mod silhouette;

use rayon::prelude::*;

use crate::error::ClusteringError;
use crate::fit::Fit;
use crate::kmeans::Rows;
use crate::options::Metric;
use crate::points::Points;
pub use silhouette::{Silhouette, silhouette, simplified_silhouette};

/// Parts of the rows whose sums are made apart, whatever the number of threads.
const PARTS: usize = 8;

/// A row that is near its centroid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Typical {
    /// The row.
    pub row: usize,
    /// Its distance (not squared).
    pub distance: f32,
}

/// A column whose mean in a cluster differs from its mean in the other clusters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The column.
    pub column: usize,
    /// Mean in the cluster.
    pub mean: f64,
    /// Mean in all other rows.
    pub rest: f64,
    /// `(mean − rest)`, divided by the standard deviation of the column.
    pub score: f64,
}

/// Between-cluster over within-cluster variance, each divided by its degrees of freedom (Caliński and Harabasz 1974); higher is
/// better. Not a number unless there are at least two clusters, and fewer than rows.
pub fn calinski_harabasz<P: Points>(points: &P, labels: &[u32], k: usize) -> f64 {
    let groups = Groups::new(points, labels, k);
    let (used, n_rows) = (groups.used() as f64, points.rows() as f64);
    if used < 2.0 || used >= n_rows {
        return f64::NAN;
    }
    let between: f64 = groups
        .means
        .chunks_exact(points.dims())
        .zip(&groups.counts)
        .map(|(mean, &count)| count as f64 * squared_distance(mean, &groups.mean))
        .sum();
    let within: f64 = groups.distances(points, labels).iter().sum();
    if within == 0.0 {
        return 1.0;
    }
    between * (n_rows - used) / (within * (used - 1.0))
}

/// The mean over clusters of the worst ratio of widths to the distance between (Davies and Bouldin 1979); lower is better.
/// Not a number unless there are at least two clusters.
pub fn davies_bouldin<P: Points>(points: &P, labels: &[u32], k: usize) -> f64 {
    let groups = Groups::new(points, labels, k);
    let mut widths = vec![0.0; k];
    for (distance, &label) in groups.distances(points, labels).iter().zip(labels) {
        widths[label as usize] += distance.sqrt() / groups.counts[label as usize] as f64;
    }
    let used: Vec<usize> = (0..k)
        .filter(|&cluster| groups.counts[cluster] > 0)
        .collect();
    if used.len() < 2 {
        return f64::NAN;
    }
    let dims = points.dims();
    let mean = |cluster: usize| &groups.means[cluster * dims..(cluster + 1) * dims];
    let worst = |&a: &usize| {
        let ratios = used.iter().filter(|&&b| a != b).map(|&b| {
            let apart = squared_distance(mean(a), mean(b)).sqrt();
            if apart > 0.0 {
                (widths[a] + widths[b]) / apart
            } else {
                0.0
            }
        });
        ratios.fold(0.0, f64::max)
    };
    used.iter().map(worst).sum::<f64>() / used.len() as f64
}

/// The `count` rows of each cluster that are nearest to its centroid, the nearest first.
pub fn typical<P: Points>(
    points: &P,
    fit: &Fit,
    count: usize,
) -> Result<Vec<Vec<Typical>>, ClusteringError> {
    let rows = Rows::new(points, None, fit.metric)?;
    let distances = rows.to_own_centroid(&fit.centroids, &fit.labels);
    let mut nearest = vec![Vec::new(); fit.k];
    for (row, (&label, distance)) in fit.labels.iter().zip(distances).enumerate() {
        nearest[label as usize].push(Typical {
            row,
            distance: distance.sqrt() as f32,
        });
    }
    for rows in &mut nearest {
        rows.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
        rows.truncate(count);
    }
    Ok(nearest)
}

/// The `count` columns that set each cluster apart from all other rows, the largest difference first.
///
/// Differences are standardised by the deviation of the column over all rows; a column with one value has none.
pub fn differences<P: Points>(
    points: &P,
    labels: &[u32],
    k: usize,
    count: usize,
) -> Vec<Vec<Difference>> {
    let groups = Groups::new(points, labels, k);
    let deviations = groups.deviations(points);
    let (dims, n_rows) = (points.dims(), points.rows() as f64);
    let of_cluster = |cluster: usize| {
        let inside = groups.counts[cluster] as f64;
        let outside = n_rows - inside;
        let mut found: Vec<Difference> = Vec::new();
        if inside == 0.0 || outside == 0.0 {
            return found;
        }
        for (column, &deviation) in deviations.iter().enumerate() {
            let mean = groups.means[cluster * dims + column];
            let rest = (groups.mean[column] * n_rows - mean * inside) / outside;
            if deviation > 0.0 {
                found.push(Difference {
                    column,
                    mean,
                    rest,
                    score: (mean - rest) / deviation,
                });
            }
        }
        found.sort_by(|a, b| {
            b.score
                .abs()
                .total_cmp(&a.score.abs())
                .then(a.column.cmp(&b.column))
        });
        found.truncate(count);
        found
    };
    (0..k).map(of_cluster).collect()
}

/// Clusters as their labels say, whatever found them.
struct Groups {
    /// Means of the clusters, `k × dims`.
    means: Vec<f64>,
    counts: Vec<usize>,
    /// Mean of all rows.
    mean: Vec<f64>,
}

impl Groups {
    fn new<P: Points>(points: &P, labels: &[u32], k: usize) -> Groups {
        let dims = points.dims();
        let mut means = vec![0.0; k * dims];
        if points.adds_at_once() {
            points.add_all(labels, None, &mut means);
        } else {
            let parts = in_parts(points.rows(), |rows| {
                let mut sums = vec![0.0; k * dims];
                points.add(rows.clone(), &labels[rows], None, &mut sums);
                sums
            });
            for part in parts {
                means
                    .iter_mut()
                    .zip(part)
                    .for_each(|(sum, more)| *sum += more);
            }
        }
        let mut counts = vec![0_usize; k];
        for &label in labels {
            counts[label as usize] += 1;
        }
        let mut mean = vec![0.0; dims];
        for (sums, &count) in means.chunks_exact_mut(dims).zip(&counts) {
            mean.iter_mut()
                .zip(&*sums)
                .for_each(|(mean, sum)| *mean += sum / labels.len() as f64);
            for sum in sums {
                *sum /= count.max(1) as f64;
            }
        }
        Groups {
            means,
            counts,
            mean,
        }
    }

    fn used(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// Squared distances of the rows to the means of their clusters.
    fn distances<P: Points>(&self, points: &P, labels: &[u32]) -> Vec<f64> {
        let means: Vec<f32> = self.means.iter().map(|&mean| mean as f32).collect();
        match Rows::new(points, None, Metric::L2) {
            Ok(rows) => rows.to_own_centroid(&means, labels),
            // Rows that cannot be measured.
            Err(_) => vec![f64::NAN; labels.len()],
        }
    }

    /// Standard deviations of the columns.
    fn deviations<P: Points>(&self, points: &P) -> Vec<f64> {
        let parts = in_parts(points.rows(), |rows| {
            let mut squares = vec![0.0; points.dims()];
            points.add_squares(rows, &self.mean, &mut squares);
            squares
        });
        let mut variances = vec![0.0; points.dims()];
        for part in parts {
            variances
                .iter_mut()
                .zip(part)
                .for_each(|(sum, more)| *sum += more);
        }
        variances
            .iter()
            .map(|sum| (sum / points.rows() as f64).sqrt())
            .collect()
    }
}

/// Does `work` on a fixed number of parts of the rows.
fn in_parts<T: Send>(n_rows: usize, work: impl Fn(std::ops::Range<usize>) -> T + Sync) -> Vec<T> {
    let size = n_rows.div_ceil(PARTS).max(1);
    let starts: Vec<usize> = (0..n_rows).step_by(size).collect();
    starts
        .into_par_iter()
        .map(|start| work(start..(start + size).min(n_rows)))
        .collect()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests;
