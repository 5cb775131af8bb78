//! Functions on whole vectors: exponential, error function, activations, soft caps; for any instruction set.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::Simd;

/// x·Φ(x) with the normal distribution's own function, through erf (Hendrycks and Gimpel 2016).
#[inline(always)]
pub fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
    let inner = simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    simd.mul_add_f32s(half, erf(simd, inner), half)
}

/// GELU with tanh in place of erf: ½(1 + tanh(z)) = σ(2z), with z = √(2/π)·(x + 0.044715·x³).
#[inline(always)]
pub fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(x, x);
    let twice = simd.splat_f32s(1.595_769);
    let cubic = simd.splat_f32s(1.595_769 * 0.044_715);
    let rate = simd.mul_add_f32s(square, cubic, twice);
    simd.mul_f32s(x, sigmoid(simd, simd.mul_f32s(rate, x)))
}

/// x·σ(1.702·x).
#[inline(always)]
pub fn quick_gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let inner = simd.mul_f32s(x, simd.splat_f32s(1.702));
    simd.mul_f32s(x, sigmoid(simd, inner))
}

/// x·σ(x).
#[inline(always)]
pub fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.mul_f32s(x, sigmoid(simd, x))
}

/// c·tanh(x/c), as c·(2σ(2x/c) − 1).
#[inline(always)]
pub fn capped<S: Simd>(simd: S, x: S::f32s, cap: f32) -> S::f32s {
    let sigma = sigmoid(simd, simd.mul_f32s(x, simd.splat_f32s(2.0 / cap)));
    simd.mul_add_f32s(sigma, simd.splat_f32s(2.0 * cap), simd.splat_f32s(-cap))
}

/// Error function, absolute error below 3e-7.
///
/// A rational approximation in x² on |x| ≤ 3.83, where erf reaches 1 within single precision; coefficients as in Eigen's
/// `erf` for `float`.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [
        -1.456_607_2e-5,
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329e-3,
        -1.426_473_9e-2,
    ];
    let x = simd.max_f32s(x, simd.splat_f32s(-3.832_507));
    let x = simd.min_f32s(x, simd.splat_f32s(3.832_507));
    let square = simd.mul_f32s(x, x);
    let above = polynomial(simd, square, &ABOVE);
    let below = polynomial(simd, square, &BELOW);
    simd.div_f32s(simd.mul_f32s(x, above), below)
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
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
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
    let series = polynomial(simd, rest, &SERIES);
    let square = simd.mul_f32s(rest, rest);
    let one = simd.splat_f32s(1.0);
    let fraction = simd.mul_add_f32s(series, square, simd.add_f32s(rest, one));
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    // The exponent field of `fraction` (in [0.7, 1.5)) grows by n.
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(fraction), exponent);
    simd.transmute_f32s_u32s(bits)
}

/// A polynomial by Horner's rule, the highest power's coefficient first.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut sum = simd.splat_f32s(0.0);
    for coefficient in coefficients {
        sum = simd.mul_add_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use libm::erf as erf_f64;
    use pulp::{Arch, WithSimd};

    use super::*;

    /// Which function.
    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Erf,
        Gelu,
        GeluTanh,
        QuickGelu,
        Silu,
        Capped,
    }

    /// Applies a function to each number.
    struct Map(Vec<f32>, Function);

    impl WithSimd for Map {
        type Output = Vec<f32>;

        fn with_simd<S: Simd>(mut self, simd: S) -> Vec<f32> {
            for number in &mut self.0 {
                let x = simd.splat_f32s(*number);
                let lanes = match self.1 {
                    Function::Exp => exp(simd, x),
                    Function::Erf => erf(simd, x),
                    Function::Gelu => gelu(simd, x),
                    Function::GeluTanh => gelu_tanh(simd, x),
                    Function::QuickGelu => quick_gelu(simd, x),
                    Function::Silu => silu(simd, x),
                    Function::Capped => capped(simd, x, 30.0),
                };
                *number = bytemuck::cast_slice::<S::f32s, f32>(&[lanes])[0];
            }
            self.0
        }
    }

    /// The largest error against `exact` on a grid, relative to numbers above `unit`.
    fn error(function: Function, (low, high): (f32, f32), unit: f64, exact: fn(f64) -> f64) -> f64 {
        let grid: Vec<f32> = (0..=100_000)
            .map(|i| low + (high - low) * i as f32 / 100_000.0)
            .collect();
        let found = Arch::new().dispatch(Map(grid.clone(), function));
        let errors = grid.iter().zip(found).map(|(x, y)| {
            let wanted = exact(f64::from(*x));
            (f64::from(y) - wanted).abs() / wanted.abs().max(unit)
        });
        errors.fold(0.0, |most, x| if x <= most { most } else { x })
    }

    #[test]
    fn functions_are_exact_enough() {
        assert!(error(Function::Exp, (-80.0, 88.0), 1e-40, f64::exp) < 3e-7);
        assert!(error(Function::Erf, (-6.0, 6.0), 1.0, erf_f64) < 3e-7);
        let wide = (-80.0, 80.0);
        let gelu = |x: f64| 0.5 * x * (1.0 + erf_f64(x / 2.0_f64.sqrt()));
        // Of a large negative number, the error of erf is multiplied by it.
        assert!(error(Function::Gelu, (-12.0, 12.0), 1.0, gelu) < 2e-6);
        let tanh = |x: f64| {
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + z.tanh())
        };
        assert!(error(Function::GeluTanh, wide, 1.0, tanh) < 4e-6);
        let quick = |x: f64| x / (1.0 + (-1.702 * x).exp());
        assert!(error(Function::QuickGelu, wide, 1.0, quick) < 2e-6);
        let silu = |x: f64| x / (1.0 + (-x).exp());
        assert!(error(Function::Silu, wide, 1.0, silu) < 2e-6);
        let capped = |x: f64| 30.0 * (x / 30.0).tanh();
        // 60·σ − 30: sixty times the error of σ.
        assert!(error(Function::Capped, wide, 1.0, capped) < 1e-5);
    }
}
