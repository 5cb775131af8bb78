//! Layer normalisation of packed rows.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::{Arch, Simd, WithSimd};

/// Layer normalisation (Ba et al. 2016): (x − mean) / √(variance + ε) · scale + shift, over one row.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    /// A normalisation of rows as long as `scale` and `shift`.
    pub(crate) fn new(scale: Vec<f32>, shift: Vec<f32>, epsilon: f64) -> Self {
        Self {
            scale,
            shift,
            epsilon: epsilon as f32,
        }
    }

    /// A normalisation that shifts nothing.
    pub(crate) fn without_shift(scale: Vec<f32>, epsilon: f64) -> Self {
        let shift = vec![0.0; scale.len()];
        Self::new(scale, shift, epsilon)
    }

    /// Scale, shift and ε.
    pub(super) fn parts(&self) -> (&[f32], &[f32], f32) {
        (&self.scale, &self.shift, self.epsilon)
    }

    /// Bytes of memory that the layer takes.
    pub(crate) fn n_bytes(&self) -> usize {
        4 * (self.scale.len() + self.shift.len())
    }

    /// Normalises each row of `x` in place.
    pub(crate) fn apply(&self, x: &mut [f32]) {
        Arch::new().dispatch(Normalise { norm: self, x });
    }
}

struct Normalise<'a> {
    norm: &'a LayerNorm,
    x: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.norm.scale.len();
        for row in self.x.chunks_exact_mut(n) {
            let mean = sum(
                simd,
                row,
                #[inline(always)]
                |x| x,
            ) / n as f32;
            let centre = simd.splat_f32s(mean);
            let squares = sum(
                simd,
                row,
                #[inline(always)]
                |x| {
                    let x = simd.sub_f32s(x, centre);
                    simd.mul_f32s(x, x)
                },
            );
            // Zeros that fill up the last vector were counted as values at distance `mean`.
            let filled = (n.next_multiple_of(S::F32_LANES) - n) as f32;
            let variance = (squares - filled * mean * mean) / n as f32;
            let rate = 1.0 / (variance + self.norm.epsilon).sqrt();
            scale(simd, row, mean, rate, self.norm);
        }
    }
}

/// Sums `of` over a row, in four running sums so that additions overlap; the last vector is filled up with zeros.
#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[f32], of: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let zero = simd.splat_f32s(0.0);
    let mut sums = [zero; 4];
    let (vectors, tail) = S::as_simd_f32s(row);
    let (fours, rest) = vectors.as_chunks::<4>();
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four) {
            *sum = simd.add_f32s(*sum, of(*x));
        }
    }
    for x in rest {
        sums[0] = simd.add_f32s(sums[0], of(*x));
    }
    if !tail.is_empty() {
        sums[1] = simd.add_f32s(sums[1], of(simd.partial_load_f32s(tail)));
    }
    let low = simd.add_f32s(sums[0], sums[1]);
    let high = simd.add_f32s(sums[2], sums[3]);
    simd.reduce_sum_f32s(simd.add_f32s(low, high))
}

#[inline(always)]
fn scale<S: Simd>(simd: S, row: &mut [f32], mean: f32, rate: f32, norm: &LayerNorm) {
    let (vectors, tail) = S::as_mut_simd_f32s(row);
    let (scales, scales_tail) = S::as_simd_f32s(&norm.scale);
    let (shifts, shifts_tail) = S::as_simd_f32s(&norm.shift);
    let centre = simd.splat_f32s(mean);
    let rates = simd.splat_f32s(rate);
    for ((x, scale), shift) in vectors.iter_mut().zip(scales).zip(shifts) {
        let unit = simd.mul_f32s(simd.sub_f32s(*x, centre), rates);
        *x = simd.mul_add_f32s(unit, *scale, *shift);
    }
    for ((x, scale), shift) in tail.iter_mut().zip(scales_tail).zip(shifts_tail) {
        *x = ((*x - mean) * rate).mul_add(*scale, *shift);
    }
}
