//! Rows of a table looked up and added: the inner loop of k-means, and of products, over codes and sparse rows.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};
use rayon::prelude::*;

/// Values on one cache line: one register of AVX-512, two of AVX2.
const LINE: usize = 16;
/// Lines of an entry in one tile: as many as leave registers for the loads.
const MAX_LINES: usize = 4;

/// A matrix `entries × width`, cut along its width into tiles whose sums stay in registers.
#[derive(Debug)]
pub struct Tiles {
    pub(crate) width: usize,
    pub(crate) tiles: Vec<Tile>,
}

/// Some columns of the matrix, padded with zeros to whole cache lines.
#[derive(Debug)]
pub(crate) struct Tile {
    /// First of its columns.
    pub(crate) first: usize,
    /// Values of one entry.
    stride: usize,
    /// What a sum begins with; infinite where the columns end, so that no smallest is found there.
    start: Vec<f32>,
    /// Entries, behind as many unused values as bring the first to a cache line.
    values: Vec<f32>,
    aligned: usize,
}

/// What knows which entries make up a row.
pub(crate) trait Gather: Sync {
    /// Adds, to each of the sums of `rows`, the entries that make up the row.
    fn sum<S: Simd, const N: usize>(
        &self,
        simd: S,
        rows: Range<usize>,
        entries: &[[S::f32s; N]],
        sums: &mut [[S::f32s; N]],
    );
}

impl Tiles {
    /// Zeros; `start` gives the first value of each sum.
    pub(crate) fn new(entries: usize, start: &[f32]) -> Tiles {
        let of_tile = |(number, start): (usize, &[f32])| {
            let stride = start.len().next_multiple_of(LINE);
            let values = vec![0.0; entries * stride + LINE];
            let aligned = values
                .as_ptr()
                .align_offset(LINE * size_of::<f32>())
                .min(LINE);
            let mut start = start.to_vec();
            start.resize(stride, f32::INFINITY);
            Tile {
                first: number * LINE * MAX_LINES,
                stride,
                start,
                values,
                aligned,
            }
        };
        Tiles {
            width: start.len(),
            tiles: start
                .chunks(LINE * MAX_LINES)
                .enumerate()
                .map(of_tile)
                .collect(),
        }
    }

    /// The first columns of several matrices with the same entries, side by side.
    pub(crate) fn joined(singles: &[&Tiles]) -> Tiles {
        let tile = |column: usize| &singles[column].tiles[0];
        let start: Vec<f32> = (0..singles.len())
            .map(|column| tile(column).start[0])
            .collect();
        let entries = singles
            .first()
            .map_or(0, |single| single.tiles[0].entries());
        let mut joined = Tiles::new(entries, &start);
        for into in &mut joined.tiles {
            let columns = into.columns(singles.len());
            for at in 0..columns {
                let from = tile(into.first + at);
                let values = from.values[from.aligned..].iter().step_by(from.stride);
                let into = into.values[into.aligned + at..]
                    .iter_mut()
                    .step_by(into.stride);
                into.zip(values)
                    .take(entries)
                    .for_each(|(into, &value)| *into = value);
            }
        }
        joined
    }

    /// The smallest of the sums of each row (the first of equals) and its column.
    pub(crate) fn nearest(
        &self,
        of: &impl Gather,
        rows: &Range<usize>,
        labels: &mut [u32],
        scores: &mut [f32],
    ) {
        scores.fill(f32::INFINITY);
        labels.fill(0);
        for tile in &self.tiles {
            let sink = &mut Smallest {
                first: tile.first,
                labels,
                scores,
            };
            Arch::new().dispatch(Sums {
                of,
                rows: rows.clone(),
                tile,
                sink,
            });
        }
    }

    /// All sums, row-major `rows × width`.
    pub(crate) fn all(&self, of: &impl Gather, rows: &Range<usize>, into: &mut [f32]) {
        for tile in &self.tiles {
            let sink = &mut Copied {
                first: tile.first,
                width: self.width,
                into,
            };
            Arch::new().dispatch(Sums {
                of,
                rows: rows.clone(),
                tile,
                sink,
            });
        }
    }
}

impl Tile {
    /// Columns, padding not counted.
    pub(crate) fn columns(&self, width: usize) -> usize {
        (width - self.first).min(self.stride)
    }

    fn entries(&self) -> usize {
        (self.values.len() - LINE) / self.stride
    }

    /// The values, split into runs of `entries` each.
    pub(crate) fn runs(&mut self, entries: impl Iterator<Item = usize>) -> Vec<Run<'_>> {
        let mut rest = &mut self.values[self.aligned..];
        let mut runs = Vec::new();
        for run in entries {
            let (values, tail) = rest.split_at_mut(run * self.stride);
            runs.push(Run {
                stride: self.stride,
                values,
            });
            rest = tail;
        }
        runs
    }
}

/// Some entries of a tile, to be written.
pub(crate) struct Run<'a> {
    stride: usize,
    values: &'a mut [f32],
}

impl Run<'_> {
    /// Writes `value` to a column (counted within the tile) of an entry.
    pub(crate) fn set(&mut self, entry: usize, column: usize, value: f32) {
        self.values[entry * self.stride + column] = value;
    }
}

/// The loop over rows, compiled once for each kind of processor and each size of an entry in its registers.
struct Sums<'a, P, K> {
    of: &'a P,
    rows: Range<usize>,
    tile: &'a Tile,
    sink: &'a mut K,
}

impl<P: Gather, K: Sink> WithSimd for Sums<'_, P, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.tile.stride / S::F32_LANES {
            1 => self.registers::<S, 1>(simd),
            2 => self.registers::<S, 2>(simd),
            3 => self.registers::<S, 3>(simd),
            4 => self.registers::<S, 4>(simd),
            6 => self.registers::<S, 6>(simd),
            8 => self.registers::<S, 8>(simd),
            12 => self.registers::<S, 12>(simd),
            16 => self.registers::<S, 16>(simd),
            32 => self.registers::<S, 32>(simd),
            48 => self.registers::<S, 48>(simd),
            _ => self.registers::<S, 64>(simd),
        }
    }
}

impl<P: Gather, K: Sink> Sums<'_, P, K> {
    #[inline(always)]
    fn registers<S: Simd, const N: usize>(self, simd: S) {
        let start: &[S::f32s] = bytemuck::cast_slice(&self.tile.start);
        let values = &self.tile.values[self.tile.aligned..];
        let values: &[S::f32s] =
            bytemuck::cast_slice(&values[..values.len() - values.len() % self.tile.stride]);
        let (Some(&start), entries) = (start.first_chunk::<N>(), values.as_chunks::<N>().0) else {
            return;
        };
        let mut sums = vec![start; self.rows.len()];
        self.of.sum(simd, self.rows, entries, &mut sums);
        for (row, sums) in sums.iter().enumerate() {
            self.sink.take(simd, row, sums);
        }
    }
}

/// What becomes of the sums of one row.
trait Sink {
    fn take<S: Simd, const N: usize>(&mut self, simd: S, row: usize, sums: &[S::f32s; N]);
}

/// Keeps the smallest sum, the first of equals.
struct Smallest<'a> {
    first: usize,
    labels: &'a mut [u32],
    scores: &'a mut [f32],
}

impl Sink for Smallest<'_> {
    #[inline(always)]
    fn take<S: Simd, const N: usize>(&mut self, simd: S, row: usize, sums: &[S::f32s; N]) {
        let mut least = sums[0];
        for &value in &sums[1..] {
            least = simd.min_f32s(least, value);
        }
        let smallest = simd.reduce_min_f32s(least);
        if smallest < self.scores[row] {
            let sums: &[f32] = bytemuck::cast_slice(sums);
            let column = sums
                .iter()
                .position(|&value| value <= smallest)
                .unwrap_or(0);
            self.scores[row] = smallest;
            self.labels[row] = (self.first + column) as u32;
        }
    }
}

/// Writes all sums.
struct Copied<'a> {
    first: usize,
    width: usize,
    into: &'a mut [f32],
}

impl Sink for Copied<'_> {
    #[inline(always)]
    fn take<S: Simd, const N: usize>(&mut self, _simd: S, row: usize, sums: &[S::f32s; N]) {
        let sums: &[f32] = bytemuck::cast_slice(sums);
        let columns = (self.width - self.first).min(sums.len());
        self.into[row * self.width + self.first..][..columns].copy_from_slice(&sums[..columns]);
    }
}

/// Adds `entry` times `factor` to `sums`.
#[inline(always)]
pub(crate) fn add_times<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [S::f32s; N],
    entry: &[S::f32s; N],
    factor: f32,
) {
    let factor = simd.splat_f32s(factor);
    for (sum, &value) in sums.iter_mut().zip(entry) {
        *sum = simd.mul_add_f32s(value, factor, *sum);
    }
}

/// Numbers that are added lane by lane.
pub(crate) trait Lanes {
    /// A register of them.
    type Of<S: Simd>: Copy;

    /// The sums of two registers.
    fn sums<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
}

/// Numbers of 32 bits.
pub(crate) struct Singles;

impl Lanes for Singles {
    type Of<S: Simd> = S::f32s;

    #[inline(always)]
    fn sums<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }
}

/// Whole numbers of 16 bits.
pub(crate) struct Wholes;

impl Lanes for Wholes {
    type Of<S: Simd> = S::u16s;

    #[inline(always)]
    fn sums<S: Simd>(simd: S, a: S::u16s, b: S::u16s) -> S::u16s {
        simd.add_u16s(a, b)
    }
}

/// Adds `entry` to `sums`.
#[inline(always)]
pub(crate) fn add<L: Lanes, S: Simd, const N: usize>(
    simd: S,
    sums: &mut [L::Of<S>; N],
    entry: &[L::Of<S>; N],
) {
    for (sum, &value) in sums.iter_mut().zip(entry) {
        *sum = L::sums(simd, *sum, value);
    }
}

/// `‖c‖²/2` of each centroid, from the sums of eight columns side by side.
pub(crate) fn half_norms(centroids: &[f32], dims: usize) -> Vec<f32> {
    let half = |centroid: &[f32]| {
        let mut sums = [0.0; 8];
        for values in centroid.chunks(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        (sums.iter().sum::<f64>() / 2.0) as f32
    };
    centroids.par_chunks(dims).map(half).collect()
}
