//! Silhouettes: how much nearer rows are to their own cluster than to the next (Rousseeuw 1987).

use crate::error::ClusteringError;
use crate::fit::Fit;
use crate::kmeans::Rows;
use crate::options::Metric;
use crate::points::Points;
use crate::watch::Watch;

/// Rows that are compared with all rows together.
const TOGETHER: usize = 48;

/// How much nearer rows are to their own cluster than to the next: from −1 to 1, higher is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Silhouette {
    /// Mean over the rows that were looked at.
    pub mean: f64,
    /// Mean over those of each cluster; not a number where none was looked at.
    pub of_cluster: Vec<f64>,
    /// The rows that were looked at, ascending.
    pub rows: Vec<usize>,
    /// Their silhouettes; 0 for a row that is alone in its cluster.
    pub values: Vec<f32>,
    /// Whether these are all rows.
    pub exact: bool,
}

/// The silhouette of all rows, or of `sample` rows drawn by `seed` where there are more.
///
/// Each row that is looked at is compared with all rows, so a sample affects the mean alone; O(sample · n · dims). Not a
/// number where fewer than two clusters have rows.
pub fn silhouette<P: Points>(
    points: &P,
    labels: &[u32],
    k: usize,
    metric: Metric,
    sample: usize,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Silhouette, ClusteringError> {
    let n_rows = points.rows();
    let mut counts = vec![0_usize; k];
    for &label in labels {
        counts[label as usize] += 1;
    }
    let exact = n_rows <= sample;
    let mut rows: Vec<usize> = (0..n_rows).collect();
    if !exact {
        let mut generator = fastrand::Rng::with_seed(seed);
        rows = generator.choose_multiple(0..n_rows, sample);
        rows.sort_unstable();
    }
    if counts.iter().filter(|&&count| count > 0).count() < 2 {
        let values = vec![f32::NAN; rows.len()];
        return Ok(summed(rows, values, labels, k, exact));
    }
    let all = Rows::new(points, None, metric)?;
    let mut values = Vec::with_capacity(rows.len());
    for chosen in rows.chunks(TOGETHER) {
        let sums = all.distances_by_cluster(chosen, labels, k, watch)?;
        for (&row, sums) in chosen.iter().zip(sums.chunks_exact(k)) {
            values.push(of_row(sums, &counts, labels[row] as usize));
        }
        watch.step(values.len(), rows.len(), "silhouette");
    }
    Ok(summed(rows, values, labels, k, exact))
}

/// From the sums of distances to the rows of each cluster.
fn of_row(sums: &[f64], counts: &[usize], own: usize) -> f32 {
    if counts[own] < 2 {
        return 0.0;
    }
    let inside = sums[own] / (counts[own] - 1) as f64;
    let others = (0..counts.len()).filter(|&cluster| cluster != own && counts[cluster] > 0);
    let next = others
        .map(|cluster| sums[cluster] / counts[cluster] as f64)
        .fold(f64::INFINITY, f64::min);
    let larger = inside.max(next);
    if larger > 0.0 {
        ((next - inside) / larger) as f32
    } else {
        0.0
    }
}

fn summed(rows: Vec<usize>, values: Vec<f32>, labels: &[u32], k: usize, exact: bool) -> Silhouette {
    let (mut sums, mut counts) = (vec![0.0; k], vec![0_usize; k]);
    for (&row, &value) in rows.iter().zip(&values) {
        sums[labels[row] as usize] += f64::from(value);
        counts[labels[row] as usize] += 1;
    }
    Silhouette {
        mean: sums.iter().sum::<f64>() / rows.len() as f64,
        of_cluster: sums
            .iter()
            .zip(&counts)
            .map(|(sum, &count)| sum / count as f64)
            .collect(),
        rows,
        values,
        exact,
    }
}

/// The mean silhouette with distances to centroids in place of those to all rows (Hruschka et al. 2004); O(n · k · dims).
/// Not a number for one cluster.
pub fn simplified_silhouette<P: Points>(
    points: &P,
    fit: &Fit,
    watch: &dyn Watch,
) -> Result<f64, ClusteringError> {
    if fit.k < 2 {
        return Ok(f64::NAN);
    }
    let all = Rows::new(points, None, fit.metric)?;
    let values = all.sum_over(&fit.centroids, fit.k, watch, |row, distances| {
        let own = fit.labels[row] as usize;
        let inside = distances[own].sqrt();
        let others = distances
            .iter()
            .enumerate()
            .filter(|&(cluster, _)| cluster != own && fit.sizes[cluster] > 0);
        let next = others
            .map(|(_, distance)| distance.sqrt())
            .fold(f32::INFINITY, f32::min);
        let larger = inside.max(next);
        if larger > 0.0 && next.is_finite() {
            f64::from((next - inside) / larger)
        } else {
            0.0
        }
    })?;
    Ok(values / points.rows() as f64)
}
