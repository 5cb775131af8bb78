//! Sums of rows, of their squares and of their differences, in 64 bits.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions, which closures seldom are"
)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::values::Values;
use crate::points::Entry;

/// Columns whose sums one thread makes for all rows, at most.
const MOST_COLUMNS: usize = 2048;
/// Parts of the columns, unless these would be too many for a near cache.
const STRIPS: usize = 8;
/// Parts of a row, of which one of the next is fetched while one is added.
const TURNS: usize = 8;
/// Sums of a distance that run side by side.
const LANES: usize = 16;

/// Adds each row, times its weight, to the sum of its label (`k × dims`).
pub(super) fn add(
    rows: &[f32],
    dims: usize,
    labels: &[u32],
    weights: Option<&[f32]>,
    sums: &mut [f64],
) {
    Arch::new().dispatch(Labelled {
        rows,
        dims,
        labels,
        weights,
        sums,
    });
}

struct Labelled<'a> {
    rows: &'a [f32],
    dims: usize,
    labels: &'a [u32],
    weights: Option<&'a [f32]>,
    sums: &'a mut [f64],
}

impl WithSimd for Labelled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let rows = self.rows.chunks_exact(self.dims).zip(self.labels);
        for (i, (row, &label)) in rows.enumerate() {
            let sums = &mut self.sums[label as usize * self.dims..][..self.dims];
            match self.weights {
                Some(weights) => add_times(row, weights[i], sums),
                None => add_row(row, sums),
            }
        }
    }
}

/// Adds all rows.
pub(super) fn add_rows(rows: &[f32], dims: usize, sums: &mut [f64]) {
    Arch::new().dispatch(All { rows, dims, sums });
}

struct All<'a> {
    rows: &'a [f32],
    dims: usize,
    sums: &'a mut [f64],
}

impl WithSimd for All<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.rows.chunks_exact(self.dims) {
            add_row(row, self.sums);
        }
    }
}

#[inline(always)]
fn add_row(row: &[f32], sums: &mut [f64]) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += f64::from(value);
    }
}

#[inline(always)]
fn add_times(row: &[f32], factor: f32, sums: &mut [f64]) {
    let factor = f64::from(factor);
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += f64::from(value) * factor;
    }
}

/// Adds rows, each times a factor, to the sums of their labels (`k × dims`): each thread takes some columns of all of
/// `entries`, hence no sums to merge.
pub(super) fn add_by_columns(
    values: &Values,
    dims: usize,
    mut entries: Vec<Entry>,
    sums: &mut [f64],
) {
    let k = sums.len() / dims;
    // Cluster by cluster, so that its sums stay in the nearest cache.
    entries.sort_by_key(|entry| entry.label);
    let columns = dims
        .div_ceil(STRIPS)
        .next_multiple_of(LANES)
        .min(MOST_COLUMNS);
    let strips: Vec<Vec<f64>> = (0..dims.div_ceil(columns))
        .into_par_iter()
        .map(|strip| {
            let first = strip * columns;
            let width = columns.min(dims - first);
            let mut sums = vec![0.0; k * width];
            Arch::new().dispatch(Strip {
                values,
                dims,
                entries: &entries,
                first,
                width,
                sums: &mut sums,
            });
            sums
        })
        .collect();
    sums.par_chunks_exact_mut(dims)
        .enumerate()
        .for_each(|(cluster, sums)| {
            for (sums, strip) in sums.chunks_mut(columns).zip(&strips) {
                let width = sums.len();
                for (sum, part) in sums.iter_mut().zip(&strip[cluster * width..]) {
                    *sum += part;
                }
            }
        });
}

/// Some columns of all entries.
struct Strip<'a> {
    values: &'a Values<'a>,
    dims: usize,
    entries: &'a [Entry],
    first: usize,
    width: usize,
    sums: &'a mut [f64],
}

impl WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (width, mut tile) = (self.width, vec![0.0; self.width]);
        let place = |entry: &Entry| entry.row * self.dims + self.first;
        let piece = width.div_ceil(TURNS);
        for (number, entry) in self.entries.iter().enumerate() {
            let next = self.entries.get(number + 1).map(place);
            let row = self.values.columns(place(entry), &mut tile);
            let sums = &mut self.sums[entry.label as usize * width..][..width];
            let pieces = row.chunks(piece).zip(sums.chunks_mut(piece));
            for (turn, (row, sums)) in pieces.enumerate() {
                if let Some(next) = next {
                    self.values.prefetch(next..next + width, turn, TURNS);
                }
                add_times(row, entry.factor, sums);
            }
        }
    }
}

/// `‖a − b‖²`: differences in 32 bits, their squares summed in 64.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    Arch::new().dispatch(Distance { a, b })
}

struct Distance<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Distance<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f64 {
        let mut sums = [0.0_f64; LANES];
        let (a, a_rest) = self.a.as_chunks::<LANES>();
        let (b, b_rest) = self.b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let difference = f64::from(a[lane] - b[lane]);
                sums[lane] += difference * difference;
            }
        }
        let mut rest = 0.0;
        for (a, b) in a_rest.iter().zip(b_rest) {
            rest += f64::from(a - b).powi(2);
        }
        sums.iter().sum::<f64>() + rest
    }
}

/// Adds the squared differences of rows from `means`, by column.
pub(super) fn add_squares(rows: &[f32], means: &[f64], squares: &mut [f64]) {
    Arch::new().dispatch(Differences {
        rows,
        means,
        squares,
    });
}

struct Differences<'a> {
    rows: &'a [f32],
    means: &'a [f64],
    squares: &'a mut [f64],
}

impl WithSimd for Differences<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.rows.chunks_exact(self.means.len()) {
            for ((square, &value), mean) in self.squares.iter_mut().zip(row).zip(self.means) {
                let difference = f64::from(value) - mean;
                *square += difference * difference;
            }
        }
    }
}

/// Adds a row, times each of `factors`, to one sum for each (row-major `factors × dims`).
pub(super) fn add_multiples(row: &[f32], factors: &[f32], sums: &mut [f64]) {
    Arch::new().dispatch(Multiples { row, factors, sums });
}

struct Multiples<'a> {
    row: &'a [f32],
    factors: &'a [f32],
    sums: &'a mut [f64],
}

impl WithSimd for Multiples<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let sums = self.sums.chunks_exact_mut(self.row.len());
        for (&factor, sums) in self.factors.iter().zip(sums) {
            add_times(self.row, factor, sums);
        }
    }
}
