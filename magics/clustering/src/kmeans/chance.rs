//! Random choices that depend on the seed alone.

use fastrand::Rng;

/// A generator for one purpose of one start.
pub(super) fn generator(seed: u64, start: usize, purpose: u64) -> Rng {
    Rng::with_seed(mixed(mixed(seed ^ mixed(start as u64)) ^ purpose))
}

/// A number above 0 and below 1 that belongs to a row, whoever asks for it.
pub(super) fn of_row(seed: u64, row: usize) -> f64 {
    ((mixed(seed ^ mixed(row as u64)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// A bijection that leaves no pattern (Steele, Lea and Flood 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
