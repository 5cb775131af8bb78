//! What happens to rows between the products: norms, rotary positions, gates.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use mlk8s_lanes::{capped, gelu_tanh, silu};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::description::{Activation, Rope};
use crate::model::instructions::Available;

/// Values from which on it pays to wake other threads.
const MANY: usize = 1 << 15;

/// Root-mean-square norm (Zhang and Sennrich 2019): x / √(mean(x²) + ε) · weight.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) epsilon: f32,
}

impl Norm {
    /// Normalises each row of `x` into `out`.
    pub(super) fn apply(&self, with: Available, x: &[f32], out: &mut [f32]) {
        let n = self.weight.len();
        let one = |x: &[f32], out: &mut [f32]| {
            out.copy_from_slice(x);
            with.arch().dispatch(Normalise { norm: self, x: out });
        };
        if x.len() < MANY {
            one(x, out);
        } else {
            x.par_chunks(8 * n)
                .zip(out.par_chunks_mut(8 * n))
                .for_each(|(x, out)| one(x, out));
        }
    }

    /// Normalises each row of `x` where it stands.
    pub(super) fn apply_in_place(&self, with: Available, x: &mut [f32]) {
        let n = self.weight.len();
        let one = |x: &mut [f32]| with.arch().dispatch(Normalise { norm: self, x });
        if x.len() < MANY {
            one(x);
        } else {
            x.par_chunks_mut(64 * n).for_each(one);
        }
    }
}

struct Normalise<'a> {
    norm: &'a Norm,
    x: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.norm.weight.len();
        let (weights, weights_tail) = S::as_simd_f32s(&self.norm.weight);
        for row in self.x.chunks_exact_mut(n) {
            let (vectors, tail) = S::as_mut_simd_f32s(row);
            let mut sums = [simd.splat_f32s(0.0); 4];
            for (i, x) in vectors.iter().enumerate() {
                sums[i % 4] = simd.mul_add_f32s(*x, *x, sums[i % 4]);
            }
            let sum = simd.add_f32s(
                simd.add_f32s(sums[0], sums[1]),
                simd.add_f32s(sums[2], sums[3]),
            );
            let sum = simd.reduce_sum_f32s(sum) + tail.iter().map(|x| x * x).sum::<f32>();
            let rate = 1.0 / (sum / n as f32 + self.norm.epsilon).sqrt();
            for (x, weight) in vectors.iter_mut().zip(weights) {
                *x = simd.mul_f32s(simd.mul_f32s(*x, simd.splat_f32s(rate)), *weight);
            }
            for (x, weight) in tail.iter_mut().zip(weights_tail) {
                *x *= rate * weight;
            }
        }
    }
}

/// Adds to each row of `x` (rows × the norm's length) the normalised row of `y`, which is overwritten.
pub(super) fn add_normalised(with: Available, x: &mut [f32], y: &mut [f32], norm: Option<&Norm>) {
    if let Some(norm) = norm {
        norm.apply_in_place(with, y);
    }
    x.iter_mut().zip(y).for_each(|(x, y)| *x += *y);
}

/// Multiplies `up` into the activated `gate`.
pub(super) fn gate(with: Available, activation: Activation, gate: &mut [f32], up: &[f32]) {
    let one = |gate: &mut [f32], up: &[f32]| {
        with.arch().dispatch(Gate {
            activation,
            gates: gate,
            ups: up,
        });
    };
    if gate.len() < MANY {
        one(gate, up);
    } else {
        gate.par_chunks_mut(MANY / 4)
            .zip(up.par_chunks(MANY / 4))
            .for_each(|(gate, up)| one(gate, up));
    }
}

struct Gate<'a> {
    activation: Activation,
    gates: &'a mut [f32],
    ups: &'a [f32],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (gates, gates_tail) = S::as_mut_simd_f32s(self.gates);
        let (ups, ups_tail) = S::as_simd_f32s(self.ups);
        for (gate, up) in gates.iter_mut().zip(ups) {
            *gate = gated(simd, self.activation, *gate, *up);
        }
        if !gates_tail.is_empty() {
            let (gate, up) = (
                simd.partial_load_f32s(gates_tail),
                simd.partial_load_f32s(ups_tail),
            );
            let value = gated(simd, self.activation, gate, up);
            simd.partial_store_f32s(gates_tail, value);
        }
    }
}

#[inline(always)]
fn gated<S: Simd>(simd: S, activation: Activation, gate: S::f32s, up: S::f32s) -> S::f32s {
    let gate = match activation {
        Activation::Silu => silu(simd, gate),
        Activation::GeluTanh => gelu_tanh(simd, gate),
    };
    simd.mul_f32s(gate, up)
}

/// Makes of each value c·tanh(x/c).
pub(super) fn cap(with: Available, x: &mut [f32], cap: f32) {
    x.par_chunks_mut(MANY)
        .for_each(|x| with.arch().dispatch(Cap { x, cap }));
}

struct Cap<'a> {
    x: &'a mut [f32],
    cap: f32,
}

impl WithSimd for Cap<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, tail) = S::as_mut_simd_f32s(self.x);
        for x in vectors {
            *x = capped(simd, *x, self.cap);
        }
        if !tail.is_empty() {
            let value = capped(simd, simd.partial_load_f32s(tail), self.cap);
            simd.partial_store_f32s(tail, value);
        }
    }
}

/// Cosine and sine for the position of each row.
#[derive(Debug)]
pub(super) struct Angles {
    pairs: usize,
    interleaved: bool,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Angles {
    /// The angles of rows at `positions`.
    pub(super) fn new(rope: &Rope, positions: &[usize]) -> Self {
        let angles = positions.iter().flat_map(|position| {
            rope.frequencies
                .iter()
                .map(move |frequency| *position as f32 * frequency)
        });
        let (sines, cosines) = angles
            .map(|angle| {
                let (sine, cosine) = angle.sin_cos();
                (sine * rope.scale, cosine * rope.scale)
            })
            .unzip();
        Self {
            pairs: rope.frequencies.len(),
            interleaved: rope.interleaved,
            cosines,
            sines,
        }
    }

    /// Turns each head of each row of `x` (rows × `row_len`).
    pub(super) fn turn(&self, with: Available, x: &mut [f32], row_len: usize, head_dim: usize) {
        let one = |(row, x): (usize, &mut [f32])| {
            let cosines = &self.cosines[row * self.pairs..][..self.pairs];
            let sines = &self.sines[row * self.pairs..][..self.pairs];
            with.arch()
                .dispatch(|| self.turn_row(x, head_dim, cosines, sines));
        };
        if x.len() < MANY {
            x.chunks_exact_mut(row_len).enumerate().for_each(one);
        } else {
            x.par_chunks_exact_mut(row_len)
                .with_min_len(8)
                .enumerate()
                .for_each(one);
        }
    }

    #[inline(always)]
    fn turn_row(&self, x: &mut [f32], head_dim: usize, cosines: &[f32], sines: &[f32]) {
        for head in x.chunks_exact_mut(head_dim) {
            if self.interleaved {
                let pairs = head.as_chunks_mut::<2>().0.iter_mut();
                for (([a, b], cosine), sine) in pairs.zip(cosines).zip(sines) {
                    (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
                }
                continue;
            }
            let (first, second) = head.split_at_mut(self.pairs);
            for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
            }
        }
    }
}
