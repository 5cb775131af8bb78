//! Rows of activations in eight bits, as the integer kernels read them: eight rows side by side.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use half::f16;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::kind::{LARGE, SMALL};
use crate::model::instructions::Available;

/// Rows of one group.
pub(super) const GROUP: usize = 8;
/// Rows that a tile is multiplied with at a time.
pub(super) const STRIP: usize = 4 * GROUP;

/// The largest code of an activation, and with a minus the least: kernels count on it.
pub(super) const LARGEST: i32 = 127;

/// Rows of `k` values, quantised in blocks as ggml does it: of 32 values (`Q8_0`), or of 256 (`Q8_K`).
#[derive(Debug)]
pub(super) struct Rows {
    k: usize,
    block: usize,
    n: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
    pairs: Vec<i32>,
}

/// Up to eight rows, interleaved: what belongs to the same place of all of them stands side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    /// Rows of this group.
    pub(super) n: usize,
    /// Four codes of each row, then the next four of each row.
    pub(super) codes: &'a [i8],
    /// Scales of the blocks.
    pub(super) scales: &'a [f32],
    /// Sums of the codes in small blocks; in each 16 values of large blocks.
    pub(super) sums: &'a [i32],
    /// For large blocks: the sums of two times 32 values, as two 16-bit numbers.
    pub(super) pairs: &'a [i32],
}

struct Parts<'a> {
    codes: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i32],
    pairs: &'a mut [i32],
}

impl Rows {
    /// Quantises rows of `k` values in blocks of `block` (32 or 256, of which `k` is a multiple).
    pub(super) fn new(with: Available, x: &[f32], k: usize, block: usize) -> Self {
        let n = x.len() / k;
        let (per_sum, pairs) = if block == SMALL {
            (SMALL, 0)
        } else {
            (16, k / 64)
        };
        let mut rows = Self {
            k,
            block,
            n,
            codes: vec![0; n * k],
            scales: vec![0.0; n * k / block],
            sums: vec![0; n * k / per_sum],
            pairs: vec![0; n * pairs],
        };
        let one = |x: &[f32], parts: Parts<'_>| {
            with.arch().dispatch(Quantise {
                x,
                k,
                block,
                into: parts,
            });
        };
        if n <= GROUP {
            let Self {
                codes,
                scales,
                sums,
                pairs,
                ..
            } = &mut rows;
            one(
                x,
                Parts {
                    codes,
                    scales,
                    sums,
                    pairs,
                },
            );
            return rows;
        }
        let spare = &mut vec![0; n.div_ceil(GROUP)];
        let pairs_of: Vec<&mut [i32]> = if pairs == 0 {
            spare.chunks_mut(1).collect()
        } else {
            rows.pairs.chunks_mut(GROUP * pairs).collect()
        };
        (
            x.par_chunks(GROUP * k),
            rows.codes.par_chunks_mut(GROUP * k),
        )
            .into_par_iter()
            .zip(rows.scales.par_chunks_mut(GROUP * k / block))
            .zip(rows.sums.par_chunks_mut(GROUP * k / per_sum))
            .zip(pairs_of)
            .for_each(|((((x, codes), scales), sums), pairs)| {
                one(
                    x,
                    Parts {
                        codes,
                        scales,
                        sums,
                        pairs,
                    },
                );
            });
        rows
    }

    /// Rows.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// The groups of the 32 rows from `first` on, a multiple of eight; those behind the last row are empty.
    pub(super) fn strip(&self, first: usize) -> [Group<'_>; STRIP / GROUP] {
        std::array::from_fn(|at| self.group(self.n.min(first + at * GROUP)))
    }

    /// The group that begins with row `first`, a multiple of eight.
    pub(super) fn group(&self, first: usize) -> Group<'_> {
        let n = GROUP.min(self.n - first);
        let per_sum = if self.block == SMALL { SMALL } else { 16 };
        let part = |per: usize| first * (self.k / per)..(first + n) * (self.k / per);
        let pairs = if self.block == SMALL { 0..0 } else { part(64) };
        Group {
            n,
            codes: &self.codes[part(1)],
            scales: &self.scales[part(self.block)],
            sums: &self.sums[part(per_sum)],
            pairs: &self.pairs[pairs],
        }
    }
}

/// Quantises a group of rows.
struct Quantise<'a> {
    x: &'a [f32],
    k: usize,
    block: usize,
    into: Parts<'a>,
}

impl WithSimd for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        quantise(self.x, self.k, self.block, &mut self.into);
    }
}

#[inline(always)]
fn quantise(x: &[f32], k: usize, block: usize, into: &mut Parts<'_>) {
    let width = x.len() / k;
    for (row, x) in x.chunks_exact(k).enumerate() {
        for (at, x) in x.chunks_exact(block).enumerate() {
            let (scale, inverse) = if block == SMALL { small(x) } else { large(x) };
            into.scales[at * width + row] = scale;
            for (part, x) in x.as_chunks::<16>().0.iter().enumerate() {
                // Half away from zero, as `f32::round`, which has no vector instruction.
                let codes = x.map(|x| {
                    let x = x * inverse;
                    ((x + 0.499_999_97_f32.copysign(x)) as i32).clamp(-LARGEST, LARGEST)
                });
                let part = at * (block / 16) + part;
                for (four, codes) in codes.as_chunks::<4>().0.iter().enumerate() {
                    let into = &mut into.codes[((part * 4 + four) * width + row) * 4..][..4];
                    into.copy_from_slice(&codes.map(|code| code as i8));
                }
                let sum: i32 = codes.iter().sum();
                if block == SMALL {
                    into.sums[part / 2 * width + row] += sum;
                } else {
                    into.sums[part * width + row] = sum;
                }
            }
        }
    }
    if block == LARGE {
        for (at, pair) in into.pairs.iter_mut().enumerate() {
            let (place, row) = (at / width * 4, at % width);
            let sum = |i: usize| {
                into.sums[(place + i) * width + row] + into.sums[(place + i + 1) * width + row]
            };
            *pair = (sum(0) & 0xffff) | (sum(2) << 16);
        }
    }
}

/// Scale of a small block, in half precision as ggml keeps it, and its inverse.
#[inline(always)]
fn small(x: &[f32]) -> (f32, f32) {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    (f16::from_f32(scale).to_f32(), inverse)
}

/// Scale of a large block and its inverse; the largest value gets the code -127.
#[inline(always)]
fn large(x: &[f32]) -> (f32, f32) {
    let highest = x.iter().fold(0.0_f32, |most, x| most.max(*x));
    let lowest = x.iter().fold(0.0_f32, |least, x| least.min(*x));
    let largest = if highest > -lowest { highest } else { lowest };
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    (-largest / 127.0, -127.0 / largest)
}
