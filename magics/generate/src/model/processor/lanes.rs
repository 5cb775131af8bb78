//! Functions on whole vectors: exponential, activations, soft caps.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::Simd;

/// x·σ(x).
#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.mul_f32s(x, sigmoid(simd, x))
}

/// GELU with tanh in place of erf: ½(1 + tanh(z)) = σ(2z), with z = √(2/π)·(x + 0.044715·x³).
#[inline(always)]
pub(super) fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(x, x);
    let twice = simd.splat_f32s(1.595_769);
    let cubic = simd.splat_f32s(1.595_769 * 0.044_715);
    let rate = simd.mul_add_f32s(square, cubic, twice);
    simd.mul_f32s(x, sigmoid(simd, simd.mul_f32s(rate, x)))
}

/// c·tanh(x/c), as c·(2σ(2x/c) − 1).
#[inline(always)]
pub(super) fn capped<S: Simd>(simd: S, x: S::f32s, cap: f32) -> S::f32s {
    let sigma = sigmoid(simd, simd.mul_f32s(x, simd.splat_f32s(2.0 / cap)));
    simd.mul_add_f32s(sigma, simd.splat_f32s(2.0 * cap), simd.splat_f32s(-cap))
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let falling = exp(simd, simd.sub_f32s(simd.splat_f32s(0.0), x));
    simd.div_f32s(one, simd.add_f32s(one, falling))
}

/// Exponential function for arguments up to 88; below -87 the result is that of -87, about 1e-38. Relative error below 3e-7.
///
/// Cephes: exp(x) = 2ⁿ·exp(r) with n = round(x/ln 2) and |r| ≤ ½·ln 2, then a polynomial of degree 6.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding this rounds to an integer, which then stands in the lowest bits of the mantissa.
    const ROUNDER: f32 = 12_582_912.0;
    const SERIES: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let x = simd.max_f32s(x, simd.splat_f32s(-87.0));
    let x = simd.min_f32s(x, simd.splat_f32s(88.0));
    let rounder = simd.splat_f32s(ROUNDER);
    let shifted = simd.mul_add_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), rounder);
    let whole = simd.sub_f32s(shifted, rounder);
    // ln 2 in two parts, the first exact in few bits.
    let rest = simd.mul_add_f32s(whole, simd.splat_f32s(-0.693_359_4), x);
    let rest = simd.mul_add_f32s(whole, simd.splat_f32s(2.121_944_4e-4), rest);
    let mut series = simd.splat_f32s(0.0);
    for coefficient in SERIES {
        series = simd.mul_add_f32s(series, rest, simd.splat_f32s(coefficient));
    }
    let square = simd.mul_f32s(rest, rest);
    let fraction = simd.mul_add_f32s(series, square, simd.add_f32s(rest, simd.splat_f32s(1.0)));
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    // The exponent field of `fraction` (in [0.7, 1.5)) grows by n.
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(fraction), exponent);
    simd.transmute_f32s_u32s(bits)
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Map(f32, fn(f32) -> f64, u8);

    impl WithSimd for Map {
        type Output = f64;

        fn with_simd<S: Simd>(self, simd: S) -> f64 {
            let x = simd.splat_f32s(self.0);
            let found = match self.2 {
                0 => exp(simd, x),
                1 => silu(simd, x),
                2 => gelu_tanh(simd, x),
                _ => capped(simd, x, 30.0),
            };
            let found = f64::from(bytemuck::cast_slice::<S::f32s, f32>(&[found])[0]);
            let wanted = (self.1)(self.0);
            (found - wanted).abs() / wanted.abs().max(if self.2 == 0 { 1e-40 } else { 1.0 })
        }
    }

    #[test]
    fn functions_are_exact_enough() {
        let gelu = |x: f32| {
            let x = f64::from(x);
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + z.tanh())
        };
        let functions: [fn(f32) -> f64; 4] = [
            |x| f64::from(x).exp(),
            |x| f64::from(x) / (1.0 + (-f64::from(x)).exp()),
            gelu,
            |x| 30.0 * (f64::from(x) / 30.0).tanh(),
        ];
        for (number, function) in functions.into_iter().enumerate() {
            for i in -40_000..40_000 {
                let x = i as f32 / 500.0;
                let error = Arch::new().dispatch(Map(x, function, number as u8));
                assert!(error < 4e-6, "function {number} of {x}: {error}");
            }
        }
    }
}
