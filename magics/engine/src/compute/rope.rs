//! Rotary positions: queries and keys are turned by angles that grow with the place of their token.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::{Arch, Simd, WithSimd};

use super::attention::Heads;

/// Rotary position embedding (Su et al. 2021), value i of a head's first half being paired with value i of its second.
#[derive(Debug)]
pub(crate) struct Rope {
    half: usize,
    /// Positions × half.
    cosines: Vec<f32>,
    /// Positions × half.
    sines: Vec<f32>,
}

impl Rope {
    /// Angles position · theta^(−2i/dim) for heads of `dim` values, an even number.
    pub(crate) fn new(n_positions: usize, dim: usize, theta: f64) -> Self {
        let half = dim / 2;
        let rates: Vec<f32> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / dim as f64) as f32)
            .collect();
        // Angles are rounded to single precision before the cosine is taken, as they were when models were trained.
        let angles = (0..n_positions)
            .flat_map(|position| rates.iter().map(move |rate| position as f32 * rate));
        let (cosines, sines) = angles
            .map(|angle| (f64::from(angle).cos() as f32, f64::from(angle).sin() as f32))
            .unzip();
        Self {
            half,
            cosines,
            sines,
        }
    }

    /// Half of a head's values, and cosines and sines, positions × half.
    pub(super) fn tables(&self) -> (usize, &[f32], &[f32]) {
        (self.half, &self.cosines, &self.sines)
    }

    /// Bytes of memory that the angles take.
    pub(crate) fn n_bytes(&self) -> usize {
        4 * (self.cosines.len() + self.sines.len())
    }

    /// Turns the queries and keys of one sequence in place; `qkv` is tokens × 3·n·dim, as [`Heads::attend`] takes it.
    pub(crate) fn turn(&self, heads: Heads, qkv: &mut [f32]) {
        Arch::new().dispatch(Turn {
            rope: self,
            heads,
            qkv,
        });
    }
}

struct Turn<'a> {
    rope: &'a Rope,
    heads: Heads,
    qkv: &'a mut [f32],
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Heads { n, dim } = self.heads;
        let half = self.rope.half;
        let cosines = self.rope.cosines.chunks_exact(half);
        let angles = cosines.zip(self.rope.sines.chunks_exact(half));
        for (row, (cosines, sines)) in self.qkv.chunks_exact_mut(3 * n * dim).zip(angles) {
            for head in row[..2 * n * dim].chunks_exact_mut(dim) {
                let (first, second) = head.split_at_mut(half);
                turn(simd, first, second, cosines, sines);
            }
        }
    }
}

#[inline(always)]
fn turn<S: Simd>(simd: S, first: &mut [f32], second: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (first, first_tail) = S::as_mut_simd_f32s(first);
    let (second, second_tail) = S::as_mut_simd_f32s(second);
    let (cosines, cosines_tail) = S::as_simd_f32s(cosines);
    let (sines, sines_tail) = S::as_simd_f32s(sines);
    let angles = cosines.iter().zip(sines);
    for ((a, b), (cosine, sine)) in first.iter_mut().zip(second).zip(angles) {
        (*a, *b) = pair(simd, *a, *b, *cosine, *sine);
    }
    if !first_tail.is_empty() {
        let (a, b) = pair(
            simd,
            simd.partial_load_f32s(first_tail),
            simd.partial_load_f32s(second_tail),
            simd.partial_load_f32s(cosines_tail),
            simd.partial_load_f32s(sines_tail),
        );
        simd.partial_store_f32s(first_tail, a);
        simd.partial_store_f32s(second_tail, b);
    }
}

/// Points (a, b) of the plane, turned.
#[inline(always)]
fn pair<S: Simd>(
    simd: S,
    a: S::f32s,
    b: S::f32s,
    cosine: S::f32s,
    sine: S::f32s,
) -> (S::f32s, S::f32s) {
    let across = simd.mul_f32s(b, sine);
    let along = simd.mul_f32s(b, cosine);
    (
        simd.sub_f32s(simd.mul_f32s(a, cosine), across),
        simd.mul_add_f32s(a, sine, along),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{difference, numbers, on_each};
    use super::*;

    #[derive(Clone, Copy)]
    struct Run<'a>(&'a Rope, Heads, &'a [f32]);

    impl WithSimd for Run<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(rope, heads, qkv) = self;
            let mut qkv = qkv.to_vec();
            let turn = Turn {
                rope,
                heads,
                qkv: &mut qkv,
            };
            turn.with_simd(simd);
            qkv
        }
    }

    #[test]
    fn every_instruction_set_is_exact() {
        let mut random = fastrand::Rng::with_seed(13);
        for (n_tokens, n, dim) in [(1, 1, 2), (9, 2, 10), (40, 3, 64), (7, 1, 38)] {
            let heads = Heads { n, dim };
            let qkv = numbers(&mut random, n_tokens * 3 * n * dim);
            let rope = Rope::new(n_tokens + 3, dim, 1000.0);
            let wanted: Vec<f64> = (0..qkv.len())
                .map(|at| {
                    let (position, part, i) =
                        (at / (3 * n * dim), at / (n * dim) % 3, at % (n * dim) % dim);
                    let x = f64::from(qkv[at]);
                    if part == 2 {
                        return x;
                    }
                    let power = (i % (dim / 2)) as f64 / (dim / 2) as f64;
                    let angle = position as f64 * 1000.0_f64.powf(-power);
                    if i < dim / 2 {
                        x * angle.cos() - f64::from(qkv[at + dim / 2]) * angle.sin()
                    } else {
                        x * angle.cos() + f64::from(qkv[at - dim / 2]) * angle.sin()
                    }
                })
                .collect();
            for found in on_each(Run(&rope, heads, &qkv)) {
                assert!(difference(&found, &wanted) < 2e-6, "{n_tokens} {heads:?}");
            }
        }
    }
}
