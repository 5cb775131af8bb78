//! Products of dense rows with a thin matrix.

use rayon::prelude::*;

use super::{Dense, dots, sums};
use crate::product::Product;

/// Columns of one strip of a transposed product.
const STRIP: usize = 512;

impl Dense<'_> {
    /// `(X − origin) · right`.
    fn products(&self, origin: Option<&[f32]>, right: &[f32], m: usize, into: &mut [f32]) {
        let columns = transposed(right, m);
        let columns: Vec<&[f32]> = columns.chunks_exact(self.dims).collect();
        let parts = self.parts();
        let size = parts[0].len();
        parts
            .into_par_iter()
            .zip(into.par_chunks_mut(size * m))
            .for_each(|(rows, into)| {
                let first = rows.start;
                let mut about = Vec::new();
                self.each_tile(rows, |start, tile| {
                    let places = (start - first) * m..(start - first + tile.len() / self.dims) * m;
                    let into = &mut into[places];
                    into.fill(0.0);
                    let mut tile = tile;
                    if let Some(origin) = origin {
                        about.clear();
                        for row in tile.chunks_exact(self.dims) {
                            about.extend(
                                row.iter().zip(origin).map(|(value, origin)| value - origin),
                            );
                        }
                        tile = &about;
                    }
                    let rows: Vec<&[f32]> = tile.chunks_exact(self.dims).collect();
                    dots::add_products(&rows, &columns, self.dims, into);
                });
            });
    }
}

impl Product for Dense<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn times(&self, right: &[f32], m: usize, into: &mut [f32]) {
        self.products(None, right, m, into);
    }

    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]) {
        let strips: Vec<Vec<f64>> = (0..self.dims.div_ceil(STRIP))
            .into_par_iter()
            .map(|number| {
                let first = number * STRIP;
                let width = STRIP.min(self.dims - first);
                let (mut strip, mut tile) = (vec![0.0; m * width], vec![0.0; width]);
                for (row, left) in left.chunks_exact(m).enumerate() {
                    let values = self.values.columns(row * self.dims + first, &mut tile);
                    sums::add_multiples(values, left, &mut strip);
                }
                strip
            })
            .collect();
        for (number, strip) in strips.iter().enumerate() {
            let width = strip.len() / m;
            for (column, into) in into[number * STRIP * m..]
                .chunks_exact_mut(m)
                .take(width)
                .enumerate()
            {
                for (j, into) in into.iter_mut().enumerate() {
                    *into = strip[j * width + column];
                }
            }
        }
    }

    fn means(&self) -> Vec<f64> {
        self.column_means()
    }

    fn variance(&self) -> f64 {
        let means: Vec<f32> = self
            .column_means()
            .iter()
            .map(|&mean| mean as f32)
            .collect();
        let parts: Vec<f64> = self
            .parts()
            .into_par_iter()
            .map(|rows| {
                let mut sum = 0.0;
                self.each_tile(rows, |_, tile| {
                    let distances = tile
                        .chunks_exact(self.dims)
                        .map(|row| sums::squared_distance(row, &means));
                    sum += distances.sum::<f64>();
                });
                sum
            })
            .collect();
        parts.iter().sum::<f64>() / self.rows as f64
    }

    fn centred_times(&self, means: &[f64], right: &[f32], m: usize, into: &mut [f32]) {
        let origin: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
        self.products(Some(&origin), right, m, into);
    }
}

/// Row-major `dims × m` as row-major `m × dims`.
fn transposed(matrix: &[f32], m: usize) -> Vec<f32> {
    (0..m)
        .flat_map(|j| matrix.iter().skip(j).step_by(m).copied())
        .collect()
}
