//! Sums of rows, of their squares and of their differences, in 64 bits.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions, which closures seldom are"
)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ahead::{self, Line};
use super::values::Values;
use crate::points::Entry;

/// Columns whose sums one thread makes for all rows, at most.
const MOST_COLUMNS: usize = 2048;
/// Parts of the columns, unless these would be too many for a near cache.
const STRIPS: usize = 8;
/// Rows of a label that are added together, so that its sums are read and written once.
const TOGETHER: usize = 4;
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

/// Adds rows, each times a factor, to the sums of their labels (`k × dims`), those of a label in the order of `entries`: each
/// thread takes some columns, hence no sums to merge.
pub(super) fn add_by_columns(
    values: &Values,
    dims: usize,
    mut entries: Vec<Entry>,
    sums: &mut [f64],
) {
    // Cluster by cluster, so that its sums stay in the nearest cache.
    entries.sort_by_key(|entry| entry.label);
    let width = dims
        .div_ceil(STRIPS)
        .next_multiple_of(LANES)
        .min(MOST_COLUMNS);
    let mut strips: Vec<Vec<&mut [f64]>> = Vec::new();
    strips.resize_with(dims.div_ceil(width), Vec::new);
    let mut groups = entries.chunk_by(|a, b| a.label == b.label).peekable();
    for (label, sums) in sums.chunks_exact_mut(dims).enumerate() {
        if groups
            .next_if(|group| group[0].label as usize == label)
            .is_some()
        {
            for (strip, sums) in strips.iter_mut().zip(sums.chunks_mut(width)) {
                strip.push(sums);
            }
        }
    }
    strips
        .into_par_iter()
        .enumerate()
        .for_each(|(number, sums)| {
            Arch::new().dispatch(Strip {
                values,
                dims,
                entries: &entries,
                first: number * width,
                sums,
            });
        });
}

/// Some columns of all entries.
struct Strip<'a> {
    values: &'a Values<'a>,
    dims: usize,
    /// By ascending labels.
    entries: &'a [Entry],
    first: usize,
    /// Of each of these labels.
    sums: Vec<&'a mut [f64]>,
}

impl WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) {
        let width = self.sums.first().map_or(0, |sums| sums.len());
        let mut tile = vec![0.0; TOGETHER * width];
        let (mut done, mut near) = (0, TOGETHER);
        let groups = self.entries.chunk_by(|a, b| a.label == b.label);
        for (group, sums) in groups.zip(std::mem::take(&mut self.sums)) {
            let (fours, rest) = group.as_chunks::<TOGETHER>();
            for four in fours {
                done += TOGETHER;
                self.add(four, self.ahead(&mut near, done, width), &mut tile, sums);
            }
            for one in rest.as_chunks::<1>().0 {
                done += 1;
                self.add(one, self.ahead(&mut near, done, width), &mut tile, sums);
            }
        }
    }
}

impl Strip<'_> {
    /// What is to be fetched so that [`TOGETHER`] entries after the first `done` are near, as the first `near` are.
    #[inline(always)]
    fn ahead(&self, near: &mut usize, done: usize, width: usize) -> [&[Line]; TOGETHER] {
        let first = *near;
        *near = done + TOGETHER;
        std::array::from_fn(|r| match self.entries.get(first + r) {
            Some(entry) if first + r < done + TOGETHER => {
                self.values.lines(self.place(entry), width)
            }
            _ => &[],
        })
    }

    /// Adds entries of one label, each to what the one before left.
    #[inline(always)]
    fn add<const R: usize>(
        &self,
        entries: &[Entry; R],
        ahead: [&[Line]; TOGETHER],
        tile: &mut [f32],
        sums: &mut [f64],
    ) {
        let factors: [f64; R] = std::array::from_fn(|r| f64::from(entries[r].factor));
        let mut tiles = tile.chunks_exact_mut(sums.len());
        let rows: [&[f32]; R] = std::array::from_fn(|r| match tiles.next() {
            Some(tile) => self.values.columns(self.place(&entries[r]), tile),
            None => &[],
        });
        let (sums, last_sums) = sums.as_chunks_mut::<LANES>();
        let heads: [&[Line]; R] = std::array::from_fn(|r| &ahead::lines(rows[r])[..sums.len()]);
        for (p, sums) in sums.iter_mut().enumerate() {
            for lines in ahead {
                if let Some(line) = lines.get(p) {
                    ahead::line(line);
                }
            }
            for (head, &factor) in heads.iter().zip(&factors) {
                for (sum, &value) in sums.iter_mut().zip(&head[p]) {
                    *sum += f64::from(value) * factor;
                }
            }
        }
        let first = sums.len() * LANES;
        for (row, &factor) in rows.iter().zip(&factors) {
            for (sum, &value) in last_sums.iter_mut().zip(&row[first..]) {
                *sum += f64::from(value) * factor;
            }
        }
    }

    #[inline(always)]
    fn place(&self, entry: &Entry) -> usize {
        entry.row * self.dims + self.first
    }
}

/// `‖a − b‖²`: differences in 32 bits, their squares summed in 64.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
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
