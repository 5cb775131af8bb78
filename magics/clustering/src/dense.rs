//! Rows of numbers, one after the other.

mod ahead;
mod bounded;
mod dots;
mod panels;
mod product;
mod ready;
mod sums;
mod values;

use std::borrow::Cow;
use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use crate::error::ClusteringError;
use crate::points::{Bounded, Entry, Points};
use ready::{Found, Ready};
use values::Values;

/// Values of a block: large enough for threads, small enough for a near cache.
const BLOCK_VALUES: usize = 1 << 17;
/// Rows of a block.
const BLOCK_ROWS: Range<usize> = 64..4096;
/// Columns from which products run along the columns, and sums are made by columns.
const WIDE: usize = 1024;
/// Columns from which a few numbers a row are small beside the row.
const LONG: usize = 128;
/// Rows whose mean is the origin of long rows, or up to twice as many.
const SAMPLE: usize = 32;
/// Rows of 16-bit numbers that are widened together hold about this many values.
const TILE_VALUES: usize = 1 << 15;
/// Rows of a tile at least.
const TILE_ROWS: usize = 8;
/// Values of centroids for which a thread is worth its start.
const PIECE: usize = 1 << 14;
/// Parts of the rows whose sums are made apart.
const PARTS: usize = 16;

/// Dense rows, row-major `n × dims`, borrowed or owned, of 32 or 16 bits a value.
///
/// Distances count from the mean of the rows, or of a sample of long ones, so that data far from zero lose nothing; no copy
/// is made for it.
#[derive(Debug, Clone)]
pub struct Dense<'a> {
    values: Values<'a>,
    rows: usize,
    dims: usize,
    origin: Vec<f32>,
    /// Squared distances from the origin, of long rows.
    norms: Vec<f32>,
}

impl<'a> Dense<'a> {
    /// Takes rows of `dims` 32-bit numbers; an error if there are none, if the last is cut, or if a value is not finite.
    pub fn new(
        values: impl Into<Cow<'a, [f32]>>,
        dims: usize,
    ) -> Result<Dense<'a>, ClusteringError> {
        Dense::of(Values::Single(values.into()), dims, None)
    }

    /// Takes rows of `dims` 16-bit numbers, which are widened a few at a time; the same errors as [`Dense::new`].
    pub fn half(
        values: impl Into<Cow<'a, [f16]>>,
        dims: usize,
    ) -> Result<Dense<'a>, ClusteringError> {
        Dense::of(Values::Half(values.into()), dims, None)
    }

    /// Rows whose distances count from a given origin: a block of more rows than are here.
    pub(crate) fn about(
        values: impl Into<Cow<'a, [f32]>>,
        dims: usize,
        origin: &[f32],
    ) -> Result<Dense<'a>, ClusteringError> {
        Dense::of(Values::Single(values.into()), dims, Some(origin.to_vec()))
    }

    fn of(
        values: Values<'a>,
        dims: usize,
        origin: Option<Vec<f32>>,
    ) -> Result<Dense<'a>, ClusteringError> {
        let rows = values.len().checked_div(dims).unwrap_or(0);
        if rows == 0 {
            return Err(ClusteringError::Empty { n_rows: rows, dims });
        }
        if rows * dims != values.len() {
            return Err(ClusteringError::Shape {
                what: "values in the last row".to_owned(),
                found: values.len() - rows * dims,
                wanted: dims,
            });
        }
        let mut dense = Dense {
            values,
            rows,
            dims,
            origin: Vec::new(),
            norms: Vec::new(),
        };
        if let Some(origin) = origin {
            dense.origin = origin;
            return Ok(dense);
        }
        if dims >= LONG {
            dense.measure();
            // Squares of finite values may be infinite too; that matters to those alone who need them.
            return dense.checked(|dense| dense.norms.iter().all(|norm| norm.is_finite()));
        }
        let means = dense.column_means();
        dense.origin = means.iter().map(|&mean| mean as f32).collect();
        dense.checked(|_| means.iter().all(|mean| mean.is_finite()))
    }

    /// An error if a value is not finite, for which all are read unless they are `clear`ed of it.
    fn checked(self, clear: impl FnOnce(&Self) -> bool) -> Result<Self, ClusteringError> {
        if clear(&self) {
            return Ok(self);
        }
        self.not_finite().map_or(Ok(self), Err)
    }

    /// The values, widened.
    pub(crate) fn into_values(self) -> Vec<f32> {
        self.values.into_single()
    }

    /// Means of the columns; not finite where a value is not.
    fn column_means(&self) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = self
            .parts()
            .into_par_iter()
            .map(|rows| {
                let mut sums = vec![0.0; self.dims];
                self.each_tile(rows, |_, tile| sums::add_rows(tile, self.dims, &mut sums));
                sums
            })
            .collect();
        let mut means = vec![0.0; self.dims];
        for part in &parts {
            means
                .iter_mut()
                .zip(part)
                .for_each(|(mean, sum)| *mean += sum);
        }
        for mean in &mut means {
            *mean /= self.rows as f64;
        }
        means
    }

    /// Settles the origin and the distances from it in one pass over long rows.
    fn measure(&mut self) {
        let sample = (0..self.rows).step_by((self.rows / SAMPLE).max(1));
        let (count, mut sums) = (sample.len() as f64, vec![0.0; self.dims]);
        for row in sample {
            self.each_tile(row..row + 1, |_, row| {
                sums::add_rows(row, self.dims, &mut sums);
            });
        }
        self.origin = sums.iter().map(|sum| (sum / count) as f32).collect();
        let mut norms = vec![0.0; self.rows];
        let parts = self.parts();
        let outputs = norms.par_chunks_mut(parts[0].len());
        parts
            .into_par_iter()
            .zip(outputs)
            .for_each(|(rows, norms)| self.squared_norms(rows, norms));
        self.norms = norms;
    }

    /// The first value that is not finite, as an error.
    fn not_finite(&self) -> Option<ClusteringError> {
        let (mut n_rows, mut first) = (0, None);
        self.each_tile(0..self.rows, |start, tile| {
            for (row, values) in tile.chunks_exact(self.dims).enumerate() {
                if let Some(column) = values.iter().position(|value| !value.is_finite()) {
                    n_rows += 1;
                    first.get_or_insert((start + row, column, values[column]));
                }
            }
        });
        first.map(|(row, column, value)| ClusteringError::NotFinite {
            n_rows,
            row,
            column,
            value,
        })
    }

    /// The rows in a fixed number of parts, whatever the number of threads.
    fn parts(&self) -> Vec<Range<usize>> {
        let size = self.rows.div_ceil(PARTS);
        (0..self.rows)
            .step_by(size)
            .map(|start| start..(start + size).min(self.rows))
            .collect()
    }

    /// Calls `see` with the first row and the values of a few rows at a time.
    fn each_tile(&self, rows: Range<usize>, see: impl FnMut(usize, &[f32])) {
        let size = (TILE_VALUES / self.dims).max(TILE_ROWS);
        self.values.each_tile(rows, self.dims, size, see);
    }
}

impl Points for Dense<'_> {
    type Ready = Ready;

    fn rows(&self) -> usize {
        self.rows
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn block(&self) -> usize {
        let rows = BLOCK_VALUES / self.dims / 8 * 8;
        rows.clamp(BLOCK_ROWS.start, BLOCK_ROWS.end)
    }

    /// With `m` the origin, `x·(c − m)` and `‖c − m‖²/2 + m·(c − m)` give the scores of `x − m` without a copy.
    fn ready(&self, centroids: &[f32], _k: usize) -> Ready {
        let mut about = centroids.to_vec();
        let bias = about
            .par_chunks_exact_mut(self.dims)
            .with_min_len(PIECE / self.dims + 1)
            .map(|centroid| {
                let mut sum = 0.0;
                for (value, &origin) in centroid.iter_mut().zip(&self.origin) {
                    *value -= origin;
                    sum += f64::from(*value) * (0.5 * f64::from(*value) + f64::from(origin));
                }
                sum as f32
            })
            .collect();
        Ready::new(about, bias, self.dims)
    }

    fn directions(&self, directions: &[f32], k: usize) -> Ready {
        Ready::new(directions.to_vec(), vec![0.0; k], self.dims)
    }

    fn nearest(&self, rows: Range<usize>, ready: &Ready, labels: &mut [u32], scores: &mut [f32]) {
        let seconds = &mut vec![0.0; rows.len()];
        let found = Found {
            labels,
            scores,
            seconds,
        };
        self.nearest_in(rows, ready, found);
    }

    fn nearest_of(&self, rows: &[usize], ready: &Ready, labels: &mut [u32], scores: &mut [f32]) {
        let mut tile = vec![0.0; rows.len() * self.dims];
        for (&row, into) in rows.iter().zip(tile.chunks_exact_mut(self.dims)) {
            self.copy(row, into);
        }
        let seconds = &mut vec![0.0; rows.len()];
        let found = Found {
            labels,
            scores,
            seconds,
        };
        ready.nearest(&tile, self.dims, found);
    }

    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        let first = rows.start;
        self.each_tile(rows, |start, tile| {
            let places = start - first..start - first + tile.len() / self.dims;
            let weights = weights.map(|weights| &weights[places.clone()]);
            sums::add(tile, self.dims, &labels[places], weights, sums);
        });
    }

    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]) {
        if !self.norms.is_empty() {
            return norms.copy_from_slice(&self.norms[rows]);
        }
        let first = rows.start;
        self.each_tile(rows, |start, tile| {
            for (row, norm) in tile
                .chunks_exact(self.dims)
                .zip(&mut norms[start - first..])
            {
                *norm = sums::squared_distance(row, &self.origin) as f32;
            }
        });
    }

    fn lengths(&self, rows: Range<usize>, lengths: &mut [f32]) {
        let (first, zero) = (rows.start, vec![0.0; self.dims]);
        self.each_tile(rows, |start, tile| {
            for (row, length) in tile
                .chunks_exact(self.dims)
                .zip(&mut lengths[start - first..])
            {
                *length = sums::squared_distance(row, &zero).sqrt() as f32;
            }
        });
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        self.values
            .each_tile(row..row + 1, self.dims, 1, |_, values| {
                into.copy_from_slice(values);
            });
    }

    fn scores(&self, rows: Range<usize>, singles: &[&Ready], scores: &mut [f32]) {
        let (first, k) = (rows.start, singles.len());
        let centroids: Vec<&[f32]> = singles
            .iter()
            .map(|single| single.centroids.as_slice())
            .collect();
        scores.fill(0.0);
        self.each_tile(rows, |start, tile| {
            let places = (start - first) * k..(start - first + tile.len() / self.dims) * k;
            let rows: Vec<&[f32]> = tile.chunks_exact(self.dims).collect();
            dots::add_products(&rows, &centroids, self.dims, &mut scores[places]);
        });
        for row in scores.chunks_exact_mut(k) {
            for (score, single) in row.iter_mut().zip(singles) {
                *score = single.bias[0] - *score;
            }
        }
    }

    fn adds_at_once(&self) -> bool {
        self.dims >= WIDE
    }

    fn add_all(&self, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        let entry = |(row, &label): (usize, &u32)| Entry {
            row,
            label,
            factor: weights.map_or(1.0, |weights| weights[row]),
        };
        let entries = labels.iter().enumerate().map(entry).collect();
        sums::add_by_columns(&self.values, self.dims, entries, sums);
    }

    fn bounded(&self) -> Option<&dyn Bounded<Ready>> {
        (self.dims >= LONG).then_some(self)
    }

    fn squared_distances(
        &self,
        rows: Range<usize>,
        labels: &[u32],
        centroids: &[f32],
        distances: &mut [f64],
    ) -> bool {
        let first = rows.start;
        self.each_tile(rows, |start, tile| {
            for (row, values) in tile.chunks_exact(self.dims).enumerate() {
                let place = start - first + row;
                let centroid = labels[place] as usize * self.dims;
                distances[place] =
                    sums::squared_distance(values, &centroids[centroid..centroid + self.dims]);
            }
        });
        true
    }

    fn add_squares(&self, rows: Range<usize>, means: &[f64], squares: &mut [f64]) {
        self.each_tile(rows, |_, tile| sums::add_squares(tile, means, squares));
    }
}
