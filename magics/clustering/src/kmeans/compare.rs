//! Distances of rows to chosen centroids or to each other, for what is done with a grouping.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::{Rows, cut};
use crate::error::ClusteringError;
use crate::options::Metric;
use crate::points::Points;
use crate::watch::Watch;

impl<P: Points> Rows<'_, P> {
    /// Each centroid ready by itself.
    fn singles(&self, centroids: &[f32]) -> Vec<P::Ready> {
        centroids
            .chunks_exact(self.points.dims())
            .map(|centroid| self.ready(centroid, 1))
            .collect()
    }

    /// Squared distances of each row to each centroid, row-major `n × k`.
    pub(super) fn distances(
        &self,
        centroids: &[f32],
        k: usize,
        watch: &dyn Watch,
    ) -> Result<Vec<f32>, ClusteringError> {
        let singles = self.singles(centroids);
        let singles: Vec<&P::Ready> = singles.iter().collect();
        let ranges = self.many();
        let mut distances = vec![0.0; self.points.rows() * k];
        let wide: Vec<Range<usize>> = ranges
            .iter()
            .map(|rows| rows.start * k..rows.end * k)
            .collect();
        let states = ranges
            .iter()
            .map(|range| range.start)
            .zip(cut(&mut distances, &wide));
        self.sweep(&ranges, states, watch, |(first, distances), rows| {
            let places = (rows.start - *first) * k..(rows.end - *first) * k;
            self.scores(rows, &singles, &mut distances[places]);
        })
        .ok_or(ClusteringError::Stopped)?;
        Ok(distances)
    }

    /// The sum over all rows of what `of_row` makes of the row's squared distances to all centroids.
    pub(crate) fn sum_over(
        &self,
        centroids: &[f32],
        k: usize,
        watch: &dyn Watch,
        of_row: impl Fn(usize, &[f32]) -> f64 + Sync,
    ) -> Result<f64, ClusteringError> {
        let singles = self.singles(centroids);
        let singles: Vec<&P::Ready> = singles.iter().collect();
        let ranges = self.many();
        let sums = self.sweep(&ranges, ranges.iter().map(|_| 0.0), watch, |sum, rows| {
            let mut distances = vec![0.0; rows.len() * k];
            self.scores(rows.clone(), &singles, &mut distances);
            for (row, distances) in rows.zip(distances.chunks_exact(k)) {
                *sum += of_row(row, distances);
            }
        });
        sums.map(|sums| sums.iter().sum())
            .ok_or(ClusteringError::Stopped)
    }

    /// For each of `chosen` and each cluster, the sum of the distances to the cluster's rows: row-major `chosen × k`.
    pub(crate) fn distances_by_cluster(
        &self,
        chosen: &[usize],
        labels: &[u32],
        k: usize,
        watch: &dyn Watch,
    ) -> Result<Vec<f64>, ClusteringError> {
        let mut values = vec![0.0; chosen.len() * self.points.dims()];
        for (&row, into) in chosen
            .iter()
            .zip(values.chunks_exact_mut(self.points.dims()))
        {
            self.copy(row, into);
        }
        let singles = self.singles(&values);
        let singles: Vec<&P::Ready> = singles.iter().collect();
        let ranges = self.many();
        let states = ranges.iter().map(|_| vec![0.0; chosen.len() * k]);
        let parts = self.sweep(&ranges, states, watch, |sums, rows| {
            let mut distances = vec![0.0; rows.len() * chosen.len()];
            self.scores(rows.clone(), &singles, &mut distances);
            for (row, distances) in rows.zip(distances.chunks_exact(chosen.len())) {
                let sums = sums.iter_mut().skip(labels[row] as usize).step_by(k);
                for ((sum, &distance), &other) in sums.zip(distances).zip(chosen) {
                    // By rounding a row may seem to be away from itself.
                    if row != other {
                        *sum += f64::from(distance.sqrt());
                    }
                }
            }
        });
        let mut sums = vec![0.0; chosen.len() * k];
        for part in parts.ok_or(ClusteringError::Stopped)? {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, more)| *sum += more);
        }
        Ok(sums)
    }

    /// Squared distances of each row to the centroid of its label.
    pub(crate) fn to_own_centroid(&self, centroids: &[f32], labels: &[u32]) -> Vec<f64> {
        let (block, dims) = (self.points.block(), self.points.dims());
        let mut distances = vec![0.0; labels.len()];
        labels
            .par_chunks(block)
            .zip(distances.par_chunks_mut(block))
            .enumerate()
            .for_each(|(number, (labels, distances))| {
                let rows = number * block..number * block + labels.len();
                let direct = self.metric == Metric::L2
                    && self
                        .points
                        .squared_distances(rows.clone(), labels, centroids, distances);
                if direct {
                    return;
                }
                let mut values = vec![0.0; dims];
                for ((row, &label), distance) in rows.zip(labels).zip(distances) {
                    self.copy(row, &mut values);
                    let centroid = &centroids[label as usize * dims..][..dims];
                    let differences = values.iter().zip(centroid).map(|(a, b)| f64::from(a - b));
                    *distance = differences.map(|difference| difference * difference).sum();
                }
            });
        distances
    }

    /// Squared distances of `rows` to several centroids.
    fn scores(&self, rows: Range<usize>, singles: &[&P::Ready], distances: &mut [f32]) {
        self.points.scores(rows.clone(), singles, distances);
        for (row, distances) in rows.zip(distances.chunks_exact_mut(singles.len())) {
            for distance in distances {
                *distance = self.distance(row, *distance);
            }
        }
    }
}
