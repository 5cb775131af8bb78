//! K-means over rows that are read again in each pass, because they fit in no memory.

use std::collections::HashSet;

use super::batch::{Epochs, State};
use super::lloyd::{Far, Found, Source, Totals};
use super::rows::{Rows, check_weights};
use super::{best_of, check, one_start, start};
use crate::dense::Dense;
use crate::error::ClusteringError;
use crate::fit::Fit;
use crate::options::{Metric, Options};
use crate::product::Product;
use crate::watch::Watch;

/// A source of dense rows that can be read again and gives the same rows each time.
pub trait Blocks {
    /// Columns.
    fn dims(&self) -> usize;
    /// Goes back to the first row.
    fn rewind(&mut self) -> Result<(), ClusteringError>;
    /// Puts the next rows (whole rows, row-major) in place of what `into` holds; `false` when there are no more.
    fn next(&mut self, into: &mut Vec<f32>) -> Result<bool, ClusteringError>;
}

/// [`super::fit`] for rows that do not fit in memory: it holds one block, and 16 bytes for each row.
///
/// With the same options it finds what `fit` finds, but for the last bits of sums. K-means++ would read all rows `k` times, so
/// k-means‖ stands in for it. Mini-batches (`options.batch`) are drawn within one block after the other.
pub fn fit_blocks(
    blocks: &mut dyn Blocks,
    weights: Option<&[f32]>,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Fit, ClusteringError> {
    let mut source = Streamed::survey(blocks, weights, options.metric, watch)?;
    check(source.rows, options)?;
    let found = best_of(&mut source, options, watch, |source, number, tolerance| {
        let centroids = start::streamed(source, options, number, watch)?;
        one_start(source, centroids, number, tolerance, options, watch)
    })?;
    let distinct = source.distinct(&found)?;
    Ok(found.into_fit(source.dims, options, distinct))
}

/// Blocks of rows, counted.
struct Streamed<'a> {
    blocks: &'a mut dyn Blocks,
    weights: Option<&'a [f32]>,
    metric: Metric,
    rows: usize,
    dims: usize,
    /// The mean of all rows, from which distances count.
    origin: Vec<f32>,
    buffer: Vec<f32>,
}

impl<'a> Streamed<'a> {
    /// Reads all rows once, to count them and to see that all are finite.
    fn survey(
        blocks: &'a mut dyn Blocks,
        weights: Option<&'a [f32]>,
        metric: Metric,
        watch: &dyn Watch,
    ) -> Result<Streamed<'a>, ClusteringError> {
        let dims = blocks.dims();
        let (mut rows, mut sums, mut buffer) = (0, vec![0.0; dims], Vec::new());
        let mut bad: Option<ClusteringError> = None;
        blocks.rewind()?;
        while blocks.next(&mut buffer)? {
            if watch.stopped() {
                return Err(ClusteringError::Stopped);
            }
            if buffer.is_empty() {
                continue;
            }
            let here = buffer.len() / dims.max(1);
            match Dense::new(buffer.as_slice(), dims) {
                Ok(dense) => sums
                    .iter_mut()
                    .zip(dense.means())
                    .for_each(|(sum, mean)| *sum += mean * here as f64),
                Err(error) => bad = Some(worse(bad.as_ref(), error, rows)?),
            }
            rows += here;
        }
        if let Some(error) = bad {
            return Err(error);
        }
        if rows == 0 {
            return Err(ClusteringError::Empty { n_rows: 0, dims });
        }
        check_weights(weights, rows)?;
        Ok(Streamed {
            blocks,
            weights,
            metric,
            rows,
            dims,
            origin: sums.iter().map(|sum| (sum / rows as f64) as f32).collect(),
            buffer,
        })
    }

    /// Calls `see` with each block and its first row, until it says `false`.
    fn each(
        &mut self,
        mut see: impl FnMut(&Rows<Dense>, usize) -> Result<bool, ClusteringError>,
    ) -> Result<bool, ClusteringError> {
        self.blocks.rewind()?;
        let mut first = 0;
        while self.blocks.next(&mut self.buffer)? {
            if self.buffer.is_empty() {
                continue;
            }
            let dense = Dense::about(self.buffer.as_slice(), self.dims, &self.origin)?;
            let end = first + self.buffer.len() / self.dims;
            if end > self.rows {
                break;
            }
            let weights = self.weights.map(|weights| &weights[first..end]);
            if !see(&Rows::unchecked(&dense, weights, self.metric)?, first)? {
                return Ok(false);
            }
            first = end;
        }
        if first != self.rows {
            return Err(ClusteringError::Source(format!(
                "{} rows were there at first, and then {first}",
                self.rows
            )));
        }
        Ok(true)
    }

    fn distinct(&mut self, found: &Found) -> Result<Option<usize>, ClusteringError> {
        let k = found.counts.len();
        if found.counts.iter().all(|&count| count > 0) {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        let all = self.each(|rows, _| Ok(rows.see_distinct(k, &mut seen)))?;
        Ok(all.then_some(seen.len()))
    }
}

/// Joins errors of two blocks about values that are not finite; other errors end the work.
fn worse(
    known: Option<&ClusteringError>,
    error: ClusteringError,
    first: usize,
) -> Result<ClusteringError, ClusteringError> {
    let ClusteringError::NotFinite {
        n_rows,
        row,
        column,
        value,
    } = error
    else {
        return Err(error);
    };
    Ok(match known {
        Some(&ClusteringError::NotFinite {
            n_rows: before,
            row,
            column,
            value,
        }) => ClusteringError::NotFinite {
            n_rows: before + n_rows,
            row,
            column,
            value,
        },
        _ => ClusteringError::NotFinite {
            n_rows,
            row: first + row,
            column,
            value,
        },
    })
}

impl Source for Streamed<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn assign(
        &mut self,
        centroids: &[f32],
        k: usize,
        before: &[u32],
        labels: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<Option<Totals>, ClusteringError> {
        let mut totals = Totals::new(k, centroids.len());
        let all = self.each(|rows, first| {
            let places = first..first + Source::rows(&rows);
            let (mut rows, before) = (rows, &before[places.clone()]);
            let part = rows.assign(centroids, k, before, &mut labels[places], watch)?;
            if let Some(part) = &part {
                totals.merge(part);
            }
            Ok(part.is_some())
        })?;
        Ok(all.then_some(totals))
    }

    fn farthest(
        &mut self,
        centroids: &[f32],
        k: usize,
        count: usize,
    ) -> Result<Vec<Far>, ClusteringError> {
        let mut far: Vec<Far> = Vec::new();
        self.each(|rows, first| {
            let mut rows = rows;
            let here = rows.farthest(centroids, k, count)?;
            far.extend(here.into_iter().map(|far| Far {
                row: first + far.row,
                ..far
            }));
            far.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.row.cmp(&b.row)));
            far.truncate(count);
            Ok(true)
        })?;
        Ok(far)
    }

    fn approach(
        &mut self,
        candidates: &[f32],
        number: u32,
        distances: &mut [f32],
        owners: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<(), ClusteringError> {
        self.each(|rows, first| {
            let places = first..first + Source::rows(&rows);
            let (distances, owners) = (&mut distances[places.clone()], &mut owners[places]);
            let mut rows = rows;
            rows.approach(candidates, number, distances, owners, watch)?;
            Ok(true)
        })?;
        Ok(())
    }

    fn fetch(&mut self, chosen: &[usize]) -> Result<Vec<f32>, ClusteringError> {
        let (mut values, mut left) = (Vec::with_capacity(chosen.len() * self.dims), chosen);
        self.each(|rows, first| {
            let mut rows = rows;
            let end = first + Source::rows(&rows);
            let (here, later) = left.split_at(left.partition_point(|&row| row < end));
            let here: Vec<usize> = here.iter().map(|row| row - first).collect();
            values.extend(rows.fetch(&here)?);
            left = later;
            Ok(true)
        })?;
        Ok(values)
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    fn exact_inertia(
        &mut self,
        centroids: &[f32],
        labels: &[u32],
    ) -> Result<Option<f64>, ClusteringError> {
        let mut sum = Some(0.0);
        self.each(|rows, first| {
            let mut rows = rows;
            let labels = &labels[first..first + Source::rows(&rows)];
            let part = rows.exact_inertia(centroids, labels)?;
            sum = sum.zip(part).map(|(sum, part)| sum + part);
            Ok(sum.is_some())
        })?;
        Ok(sum)
    }
}

impl Epochs for Streamed<'_> {
    fn epoch(
        &mut self,
        batch: usize,
        generator: &mut fastrand::Rng,
        state: &mut State,
        watch: &dyn Watch,
    ) -> Result<bool, ClusteringError> {
        self.each(|rows, first| Ok(state.epoch(rows, first, batch, generator, watch)))
    }
}
