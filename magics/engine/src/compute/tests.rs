//! Instruction sets one after the other, where a program only uses the best.

use pulp::{Scalar, Simd, WithSimd};

/// Results of plain code and of each instruction set that this processor has.
pub(super) fn on_each<Op: WithSimd + Copy>(op: Op) -> Vec<Op::Output> {
    let mut all = vec![Simd::vectorize(Scalar::new(), op)];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, op)));
        all.extend(pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, op)));
    }
    #[cfg(target_arch = "aarch64")]
    all.extend(pulp::aarch64::Neon::try_new().map(|simd| Simd::vectorize(simd, op)));
    all
}

/// Numbers between -½ and ½.
pub(super) fn numbers(random: &mut fastrand::Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| random.f32() - 0.5).collect()
}

/// The largest difference; not a number if there is one among them.
pub(super) fn difference(found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let differences = found.iter().zip(wanted);
    let differences = differences.map(|(a, b)| (f64::from(*a) - b).abs());
    differences.fold(0.0, |most, x| if x <= most { most } else { x })
}
