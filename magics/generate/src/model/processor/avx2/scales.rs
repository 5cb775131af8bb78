//! What happens to whole sums: scales, offsets, minima.

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_add_epi32, _mm256_blend_epi16,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_cvtepu8_epi32,
    _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_madd_epi16, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi16, _mm256_slli_epi32,
    _mm256_sub_epi32,
};

use super::super::kind::TILE;
use super::{HALF, Side, Sums, Whole};

/// Adds whole sums, times the scales of a block and those of the activations.
///
/// # Safety
/// The side must have N rows with that block.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn add_scaled<const N: usize>(
    sums: &mut Sums<N>,
    whole: Whole<N>,
    scales: [__m256; 2],
    side: Side<'_>,
    block: usize,
) {
    for (i, (sums, whole)) in sums.iter_mut().zip(whole).enumerate() {
        // SAFETY: the caller says that there are as many.
        let x = _mm256_set1_ps(unsafe { *side.group.scales.as_ptr().add(side.at(block, i)) });
        for half in 0..2 {
            let scale = _mm256_mul_ps(scales[half], x);
            sums[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[half]), scale, sums[half]);
        }
    }
}

/// Takes from whole sums what is too much, as the codes of `Q6_K` are 32 too large: in a part of 32 values.
///
/// # Safety
/// The side must have N rows with that part, in large blocks.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn subtract_offsets<const N: usize>(
    whole: &mut Whole<N>,
    scales: [[__m256i; 2]; 2],
    side: Side<'_>,
    part: usize,
) {
    let [first, second] = scales;
    let offsets = [0, 1].map(|half| [first[half], second[half]]);
    let mut factors = [_mm256_setzero_si256(); 2];
    for (factors, [first, second]) in factors.iter_mut().zip(offsets) {
        *factors = _mm256_slli_epi16::<5>(pairs(first, second));
    }
    for (i, whole) in whole.iter_mut().enumerate() {
        // SAFETY: the caller says that there are as many.
        let (first, second) = unsafe {
            let sums = side.group.sums.as_ptr();
            (
                _mm256_set1_epi32(*sums.add(side.at(2 * part, i))),
                _mm256_set1_epi32(*sums.add(side.at(2 * part + 1, i))),
            )
        };
        let x = pairs(first, second);
        for (whole, factors) in whole.iter_mut().zip(factors) {
            *whole = _mm256_sub_epi32(*whole, _mm256_madd_epi16(factors, x));
        }
    }
}

/// Takes from the sums the minima times the sums of the activation's codes.
///
/// # Safety
/// At `minima` must be four times 32 of them, and the side must have N rows with that large block.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn subtract_minima<const N: usize>(
    sums: &mut Sums<N>,
    minima: *const u8,
    factors: [__m256; 2],
    side: Side<'_>,
    block: usize,
) {
    let mut whole = [[_mm256_setzero_si256(); 2]; N];
    for pair in 0..4 {
        for half in 0..2 {
            // SAFETY: sixteen of the caller's bytes.
            let minima = unsafe { _mm_loadu_si128(minima.add((2 * pair + half) * TILE).cast()) };
            let minima = _mm256_cvtepu8_epi16(minima);
            for (i, whole) in whole.iter_mut().enumerate() {
                // SAFETY: the caller says that there are as many.
                let x = unsafe { *side.group.pairs.as_ptr().add(side.at(block * 4 + pair, i)) };
                let product = _mm256_madd_epi16(minima, _mm256_set1_epi32(x));
                whole[half] = _mm256_add_epi32(whole[half], product);
            }
        }
    }
    for (i, (sums, whole)) in sums.iter_mut().zip(whole).enumerate() {
        // SAFETY: the caller says that there are as many.
        let x = _mm256_set1_ps(unsafe { *side.group.scales.as_ptr().add(side.at(block, i)) });
        for half in 0..2 {
            let factor = _mm256_mul_ps(factors[half], x);
            sums[half] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(whole[half]), factor, sums[half]);
        }
    }
}

/// Two numbers of 16 bits in each lane.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn pairs(first: __m256i, second: __m256i) -> __m256i {
    _mm256_blend_epi16::<0b1010_1010>(first, _mm256_slli_epi32::<16>(second))
}

/// A number of 16 bits twice in each lane.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn twice(numbers: __m256i) -> __m256i {
    pairs(numbers, numbers)
}

/// Sixteen scales, each of them twice in its lane.
///
/// # Safety
/// They must be there.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn unsigned_scales(at: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller has sixteen bytes there.
    let (first, second) = unsafe {
        (
            _mm_loadl_epi64(at.cast()),
            _mm_loadl_epi64(at.add(HALF).cast()),
        )
    };
    [
        twice(_mm256_cvtepu8_epi32(first)),
        twice(_mm256_cvtepu8_epi32(second)),
    ]
}

/// Two times sixteen scales with signs, one in each lane.
///
/// # Safety
/// They must be there.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn signed_scales(at: *const u8) -> [[__m256i; 2]; 2] {
    let mut scales = [[_mm256_setzero_si256(); 2]; 2];
    for (i, scale) in scales.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: the caller has 32 bytes there.
        *scale = _mm256_cvtepi8_epi32(unsafe { _mm_loadl_epi64(at.add(i * HALF).cast()) });
    }
    scales
}

/// Sixteen numbers in half precision.
///
/// # Safety
/// They must be there.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) unsafe fn half_precision(at: *const u8) -> [__m256; 2] {
    // SAFETY: the caller has sixteen numbers of two bytes there.
    unsafe {
        [
            _mm256_cvtph_ps(_mm_loadu_si128(at.cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(at.add(TILE).cast())),
        ]
    }
}
