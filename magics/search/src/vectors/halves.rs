//! The upper halves of the codes: four bits a dimension, to rule most vectors out from half the memory that their codes take.
//!
//! A code c of eight bits (128 stands for 0) begins with h = ⌊c / 16⌋, which alone stands for the middle of its sixteen
//! codes, 16 h + 7.5. With D dimensions after padding, byte j of a row has the half of dimension j in its lower four bits and
//! that of dimension j + D/2 in its upper ones, so that either comes out of a load with one instruction.
#![expect(
    unsafe_code,
    reason = "vector instructions need target features and raw loads"
)]

use super::dot::CODES;

/// Twice what a half of zero stands for, in codes.
const TWICE_MIDDLE: i32 = 15 - 2 * 128;

/// Bytes of a row of halves whose row of codes has `stride` bytes.
pub(super) const fn width(stride: usize) -> usize {
    stride / 2
}

/// Writes the halves of a row of codes and says how long the rest of `values` is that they do not say, rounded up.
///
/// `scale` is what one step of a code is worth; `codes` is padded, `values` is not.
pub(super) fn pack(values: &[f32], scale: f32, codes: &[u8], halves: &mut [u8]) -> f32 {
    let (low, high) = codes.split_at(halves.len());
    for ((half, low), high) in halves.iter_mut().zip(low).zip(high) {
        *half = (low >> 4) | (high & 0xf0);
    }
    let lost: f64 = values
        .iter()
        .zip(codes)
        .map(|(value, code)| {
            let stands_for = (2 * i32::from(code & 0xf0) + TWICE_MIDDLE) as f32 * (scale / 2.0);
            f64::from(value - stands_for).powi(2)
        })
        .sum();
    lost.sqrt() as f32 * 1.0001 + 1e-6
}

/// What the sum over the halves stands for: the sum of `query[i]` times the code, 0 being 0 again.
///
/// `offset` is 128 times the sum of the query's codes.
pub(super) fn stands_for(sum: i32, offset: i32) -> f32 {
    // The middle is 7.5 − 128 = −120.5 codes off: 241 / 256 of the offset of whole codes.
    16.0 * sum as f32 - offset as f32 * (241.0 / 256.0)
}

/// Writes the sum of `query[i]` times the half of dimension i for each row: `rows` has `out.len()` rows half as long as `query`.
pub(super) fn dots(query: &[i8], rows: &[u8], out: &mut [i32]) {
    debug_assert_eq!(query.len() % CODES, 0);
    assert_eq!(
        rows.len(),
        width(query.len()) * out.len(),
        "rows and query differ in length"
    );
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the features were just found on this processor.
            return unsafe { x86::dots_vnni(query, rows, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just found on this processor.
            return unsafe { x86::dots_avx2(query, rows, out) };
        }
    }
    portable(query, rows, out);
}

fn portable(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let (low, high) = query.split_at(width(query.len()));
    for (row, out) in rows.chunks_exact(low.len().max(1)).zip(out) {
        let pairs = low.iter().zip(high).zip(row);
        *out = pairs
            .map(|((&low, &high), &x)| {
                i32::from(low) * i32::from(x & 15) + i32::from(high) * i32::from(x >> 4)
            })
            .sum();
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi32,
        _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
        _mm256_setzero_si256, _mm256_srli_epi16, _mm512_add_epi32, _mm512_and_si512,
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
        _mm512_setzero_si512, _mm512_srli_epi16, _mm512_zextsi256_si512,
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn dots_vnni(query: &[i8], rows: &[u8], out: &mut [i32]) {
        let (low, high) = query.split_at(query.len() / 2);
        let nibble = _mm512_set1_epi8(15);
        let add = |sums: [__m512i; 2], low: __m512i, high: __m512i, x: __m512i| {
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(x), nibble);
            [
                _mm512_dpbusd_epi32(sums[0], _mm512_and_si512(x, nibble), low),
                _mm512_dpbusd_epi32(sums[1], upper, high),
            ]
        };
        for (row, out) in rows.chunks_exact(low.len().max(1)).zip(out) {
            let mut sums = [_mm512_setzero_si512(); 2];
            let (lows, highs, xs) = (low.chunks(64), high.chunks(64), row.chunks(64));
            for ((low, high), x) in lows.zip(highs).zip(xs) {
                // SAFETY: each chunk holds 64 bytes, the last perhaps 32, and the loads need no alignment.
                let (low, high, x) = unsafe {
                    if x.len() == 64 {
                        (
                            _mm512_loadu_si512(low.as_ptr().cast()),
                            _mm512_loadu_si512(high.as_ptr().cast()),
                            _mm512_loadu_si512(x.as_ptr().cast()),
                        )
                    } else {
                        (
                            half(low.as_ptr().cast()),
                            half(high.as_ptr().cast()),
                            half(x.as_ptr().cast()),
                        )
                    }
                };
                sums = add(sums, low, high, x);
            }
            *out = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
        }
    }

    /// 32 bytes and as many zeros.
    ///
    /// # Safety
    /// 32 bytes can be read at `at`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn half(at: *const u8) -> __m512i {
        // SAFETY: the caller promises 32 bytes.
        _mm512_zextsi256_si512(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn dots_avx2(query: &[i8], rows: &[u8], out: &mut [i32]) {
        let (low, high) = query.split_at(query.len() / 2);
        let (nibble, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
        for (row, out) in rows.chunks_exact(low.len().max(1)).zip(out) {
            let mut sum = _mm256_setzero_si256();
            let chunks = low.chunks_exact(32).zip(high.chunks_exact(32));
            for ((low, high), x) in chunks.zip(row.chunks_exact(32)) {
                // SAFETY: the chunks hold 32 bytes, and the loads need no alignment.
                let [low, high, x]: [__m256i; 3] = unsafe {
                    [low.as_ptr().cast(), high.as_ptr().cast(), x.as_ptr()]
                        .map(|at: *const u8| _mm256_loadu_si256(at.cast()))
                };
                // Two products of at most 15 · 127 stay far below 16 bits, and so do four.
                let lower = _mm256_maddubs_epi16(_mm256_and_si256(x, nibble), low);
                let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(x), nibble);
                let upper = _mm256_maddubs_epi16(upper, high);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(lower, ones));
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(upper, ones));
            }
            let four = _mm_add_epi32(
                _mm256_castsi256_si128(sum),
                _mm256_extracti128_si256::<1>(sum),
            );
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            *out = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::code;
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        let mut rng = fastrand::Rng::with_seed(3);
        for len in [64, 128, 320, 384, 768] {
            let query: Vec<i8> = (0..len).map(|_| rng.i8(-127..=127)).collect();
            let rows: Vec<u8> = (0..7 * width(len)).map(|_| rng.u8(..)).collect();
            let (mut fast, mut slow) = ([0; 7], [0; 7]);
            dots(&query, &rows, &mut fast);
            portable(&query, &rows, &mut slow);
            assert_eq!(fast, slow);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just found on this processor.
                unsafe { x86::dots_avx2(&query, &rows, &mut fast) };
                assert_eq!(fast, slow);
            }
        }
    }

    #[test]
    fn halves_are_wrong_by_no_more_than_is_said() {
        let mut rng = fastrand::Rng::with_seed(4);
        for dims in [3_usize, 64, 100, 384] {
            let stride = dims.next_multiple_of(CODES);
            let values: Vec<f32> = (0..dims).map(|_| rng.f32() - 0.5).collect();
            let (mut codes, mut halves) = (vec![0; stride], vec![0; width(stride)]);
            let (scale, _) = code(&values, &mut codes);
            let lost = pack(&values, scale, &codes, &mut halves);
            let mut query = vec![0_i8; stride];
            query[..dims].fill_with(|| rng.i8(-127..=127));
            let offset = 128 * query.iter().map(|&q| i32::from(q)).sum::<i32>();
            let mut sum = [0];
            dots(&query, &halves, &mut sum);
            let dot: f32 = query
                .iter()
                .zip(&values)
                .map(|(&q, x)| f32::from(q) * x)
                .sum();
            let length = query
                .iter()
                .map(|&q| f32::from(q).powi(2))
                .sum::<f32>()
                .sqrt();
            let off = (stands_for(sum[0], offset) * scale - dot).abs();
            assert!(off <= length * lost + 1e-3, "{off} {lost}");
            // Sixteen steps of uniform values between −1/2 and 1/2: a sixteenth over √12 a dimension.
            let expected = (dims as f32).sqrt() / 16.0 / 12.0_f32.sqrt();
            assert!(lost < 1.6 * expected, "{lost} {expected}");
        }
    }
}
