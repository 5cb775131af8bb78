//! Sparse rows, as they come from text or from one-hot columns.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use crate::codes::shape;
use crate::error::ClusteringError;
use crate::gather::{self, Gather, Tiles};
use crate::points::Points;
use crate::product::Product;

/// Columns of a product that one task makes.
const STRIP: usize = 16;

/// A matrix of which only the values that are not zero are kept, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Csr {
    dims: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Csr {
    /// Row `i` has `values[j]` in column `indices[j]` for `j` in `indptr[i]..indptr[i + 1]`.
    pub fn new(
        dims: usize,
        indptr: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Csr, ClusteringError> {
        let (first, last) = (
            indptr.first().copied().unwrap_or(1),
            indptr.last().copied().unwrap_or(0),
        );
        if first != 0 || last != indices.len() {
            return Err(shape("end of the rows", last, indices.len()));
        }
        if values.len() != indices.len() {
            return Err(shape("values", values.len(), indices.len()));
        }
        if let Some(row) = (1..indptr.len()).find(|&row| indptr[row] < indptr[row - 1]) {
            return Err(shape("start of a row", indptr[row], indptr[row - 1]));
        }
        if let Some(&column) = indices.iter().find(|&&column| column as usize >= dims) {
            return Err(shape(
                "column of a value",
                column as usize,
                dims.saturating_sub(1),
            ));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let mut rows: Vec<usize> = (at..values.len())
                .filter(|&at| !values[at].is_finite())
                .map(|at| indptr.partition_point(|&start| start <= at) - 1)
                .collect();
            rows.dedup();
            let (row, column) = (rows[0], indices[at] as usize);
            return Err(ClusteringError::NotFinite {
                n_rows: rows.len(),
                row,
                column,
                value: values[at],
            });
        }
        Ok(Csr {
            dims,
            indptr,
            indices,
            values,
        })
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let range = self.indptr[row]..self.indptr[row + 1];
        self.indices[range.clone()]
            .iter()
            .map(|&column| column as usize)
            .zip(self.values[range].iter().copied())
    }

    fn n_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    fn tiles(&self, start: &[f32], value: impl Fn(usize, usize) -> f32 + Sync) -> Tiles {
        const RUN: usize = 1024;
        let mut tiles = Tiles::new(self.dims, start);
        let width = tiles.width;
        for tile in &mut tiles.tiles {
            let (first, columns) = (tile.first, tile.columns(width));
            let mut runs = tile.runs(
                (0..self.dims)
                    .step_by(RUN)
                    .map(|start| RUN.min(self.dims - start)),
            );
            runs.par_iter_mut().enumerate().for_each(|(number, run)| {
                for entry in 0..RUN.min(self.dims - number * RUN) {
                    for at in 0..columns {
                        run.set(entry, at, value(number * RUN + entry, first + at));
                    }
                }
            });
        }
        tiles
    }

    /// Rows of each cluster, in order.
    fn members(labels: &[u32], k: usize) -> (Vec<usize>, Vec<u32>) {
        let mut starts = vec![0; k + 1];
        for &label in labels {
            starts[label as usize + 1] += 1;
        }
        for cluster in 0..k {
            starts[cluster + 1] += starts[cluster];
        }
        let (mut next, mut members) = (starts.clone(), vec![0; labels.len()]);
        for (row, &label) in labels.iter().enumerate() {
            members[next[label as usize]] = row as u32;
            next[label as usize] += 1;
        }
        (starts, members)
    }
}

impl Points for Csr {
    /// One entry a column.
    type Ready = Tiles;

    fn rows(&self) -> usize {
        self.n_rows()
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn block(&self) -> usize {
        (self.n_rows() / 64).clamp(64, 1024)
    }

    fn ready(&self, centroids: &[f32], _k: usize) -> Tiles {
        let half_norms = gather::half_norms(centroids, self.dims);
        self.tiles(&half_norms, |column, centroid| {
            -centroids[centroid * self.dims + column]
        })
    }

    fn nearest(&self, rows: Range<usize>, ready: &Tiles, labels: &mut [u32], scores: &mut [f32]) {
        ready.nearest(self, &rows, labels, scores);
    }

    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        for (at, row) in rows.enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[at]));
            let sums = &mut sums[labels[at] as usize * self.dims..][..self.dims];
            for (column, value) in self.row(row) {
                sums[column] += weight * f64::from(value);
            }
        }
    }

    fn adds_at_once(&self) -> bool {
        true
    }

    fn add_all(&self, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        let (starts, members) = Csr::members(labels, sums.len() / self.dims);
        sums.par_chunks_mut(self.dims)
            .enumerate()
            .for_each(|(cluster, sums)| {
                for &row in &members[starts[cluster]..starts[cluster + 1]] {
                    let weight = weights.map_or(1.0, |weights| f64::from(weights[row as usize]));
                    for (column, value) in self.row(row as usize) {
                        sums[column] += weight * f64::from(value);
                    }
                }
            });
    }

    fn scores(&self, rows: Range<usize>, singles: &[&Tiles], scores: &mut [f32]) {
        Tiles::joined(singles).all(self, &rows, scores);
    }

    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]) {
        for (norm, row) in norms.iter_mut().zip(rows) {
            *norm = self
                .row(row)
                .map(|(_, value)| f64::from(value) * f64::from(value))
                .sum::<f64>() as f32;
        }
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        into.fill(0.0);
        for (column, value) in self.row(row) {
            into[column] += value;
        }
    }
}

impl Gather for Csr {
    #[inline(always)]
    fn sum<S: Simd, const N: usize>(
        &self,
        simd: S,
        rows: Range<usize>,
        entries: &[[S::f32s; N]],
        sums: &mut [[S::f32s; N]],
    ) {
        for (row, sums) in rows.zip(sums) {
            let range = self.indptr[row]..self.indptr[row + 1];
            let mut total = *sums;
            for (&column, &value) in self.indices[range.clone()].iter().zip(&self.values[range]) {
                gather::add_times(simd, &mut total, &entries[column as usize], value);
            }
            *sums = total;
        }
    }
}

impl Product for Csr {
    fn rows(&self) -> usize {
        self.n_rows()
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn times(&self, right: &[f32], m: usize, into: &mut [f32]) {
        if m == 0 {
            return;
        }
        let tiles = self.tiles(&vec![0.0; m], |column, at| right[column * m + at]);
        let block = self.block();
        into.par_chunks_mut(block * m)
            .enumerate()
            .for_each(|(number, into)| {
                let first = number * block;
                tiles.all(self, &(first..first + into.len() / m), into);
            });
    }

    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]) {
        let strips: Vec<Vec<f64>> = (0..m)
            .into_par_iter()
            .step_by(STRIP)
            .map(|first| {
                let columns = STRIP.min(m - first);
                let mut sums = vec![0.0; self.dims * columns];
                for row in 0..self.n_rows() {
                    let left = &left[row * m + first..][..columns];
                    for (column, value) in self.row(row) {
                        for (sum, &left) in sums[column * columns..][..columns].iter_mut().zip(left)
                        {
                            *sum += f64::from(value) * f64::from(left);
                        }
                    }
                }
                sums
            })
            .collect();
        for (strip, sums) in strips.iter().enumerate() {
            let columns = STRIP.min(m - strip * STRIP);
            for (into, sums) in into.chunks_mut(m).zip(sums.chunks(columns)) {
                into[strip * STRIP..][..columns].copy_from_slice(sums);
            }
        }
    }

    fn means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dims];
        for (&column, &value) in self.indices.iter().zip(&self.values) {
            sums[column as usize] += f64::from(value);
        }
        sums.iter().map(|sum| sum / self.n_rows() as f64).collect()
    }

    fn variance(&self) -> f64 {
        let mut norms = vec![0.0; self.n_rows()];
        self.squared_norms(0..self.n_rows(), &mut norms);
        let mean_square =
            norms.iter().map(|&norm| f64::from(norm)).sum::<f64>() / self.n_rows() as f64;
        (mean_square - self.means().iter().map(|mean| mean * mean).sum::<f64>()).max(0.0)
    }
}
