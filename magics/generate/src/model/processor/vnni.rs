//! Products of one tile of quantised rows with a group of activations, in AVX-512 with VNNI.
//!
//! One register holds four codes of each of the tile's sixteen rows; `vpdpbusd` multiplies them with four codes of an
//! activation, which stand in every lane.
#![expect(
    unsafe_code,
    reason = "these instructions are only to be had through std::arch"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "these loads don't ask for alignment"
)]

use std::arch::x86_64::{
    __m256i, __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_and_si512,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi16, _mm512_cvtepu8_epi32,
    _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_slli_epi32,
    _mm512_srli_epi16, _mm512_storeu_ps, _mm512_sub_epi32, _mm512_ternarylogic_epi32,
};

use super::kind::{Kind, LARGE, LINE, SMALL, TILE};
use super::packed::{Packed, ahead};
use super::rows::Group;

/// Products of a tile's sixteen rows with each row of the group.
///
/// # Safety
/// The processor must have the instructions, and the group's rows must be as long as the matrix's, quantised in its blocks.
pub(super) unsafe fn multiply(
    matrix: &Packed,
    tile: usize,
    group: Group<'_>,
    out: &mut [[f32; TILE]],
) {
    macro_rules! by_rows {
        ($kernel:ident, $kind:expr) => {
            match group.n {
                1 => $kernel::<{ $kind as u8 }, 1>(matrix, tile, group, out),
                2 => $kernel::<{ $kind as u8 }, 2>(matrix, tile, group, out),
                3 => $kernel::<{ $kind as u8 }, 3>(matrix, tile, group, out),
                4 => $kernel::<{ $kind as u8 }, 4>(matrix, tile, group, out),
                5 => $kernel::<{ $kind as u8 }, 5>(matrix, tile, group, out),
                6 => $kernel::<{ $kind as u8 }, 6>(matrix, tile, group, out),
                7 => $kernel::<{ $kind as u8 }, 7>(matrix, tile, group, out),
                _ => $kernel::<{ $kind as u8 }, 8>(matrix, tile, group, out),
            }
        };
    }
    // SAFETY: the caller's promises are those of the kernels.
    unsafe {
        match matrix.kind {
            Kind::Q4_0 => by_rows!(small, Kind::Q4_0),
            Kind::Q5_0 => by_rows!(small, Kind::Q5_0),
            Kind::Q8_0 => by_rows!(small, Kind::Q8_0),
            Kind::Q4K => by_rows!(large, Kind::Q4K),
            Kind::Q5K => by_rows!(large, Kind::Q5K),
            Kind::Q6K => by_rows!(large, Kind::Q6K),
        }
    }
}

/// The formats with one scale for 32 values.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn small<const KIND: u8, const N: usize>(
    matrix: &Packed,
    tile: usize,
    group: Group<'_>,
    out: &mut [[f32; TILE]],
) {
    let kind = Kind::from_number(KIND);
    let layout = kind.layout();
    let blocks = matrix.k / SMALL;
    let codes = matrix.tile(tile).as_ptr();
    // SAFETY: a tile has `blocks` blocks of codes, and sixteen scales for each; the group has N rows of `k` codes, and N
    // scales and sums for each block.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); N];
        for block in 0..blocks {
            let mut whole = [_mm512_setzero_si512(); N];
            for (i, whole) in whole.iter_mut().enumerate() {
                let sum = _mm512_set1_epi32(*group.sums.as_ptr().add(block * N + i));
                let offset = match kind {
                    Kind::Q4_0 => _mm512_slli_epi32::<3>(sum),
                    Kind::Q5_0 => _mm512_slli_epi32::<4>(sum),
                    _ => _mm512_slli_epi32::<7>(sum),
                };
                *whole = _mm512_sub_epi32(*whole, offset);
            }
            let low = codes.add(kind.codes_at(block));
            ahead(low, layout.stride);
            let x = group.codes.as_ptr().add(block * SMALL * N);
            add_half::<KIND, N, 0>(low, low.add(layout.high), x, &mut whole);
            add_half::<KIND, N, 1>(low, low.add(layout.high), x, &mut whole);
            let scale = _mm512_cvtph_ps(_mm256_loadu_si256(
                codes.add(kind.scales_at(block)).cast::<__m256i>(),
            ));
            for (i, (sum, whole)) in sums.iter_mut().zip(whole).enumerate() {
                let scale = _mm512_mul_ps(
                    scale,
                    _mm512_set1_ps(*group.scales.as_ptr().add(block * N + i)),
                );
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, *sum);
            }
        }
        store(sums, out);
    }
}

/// The formats with two levels of scales.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn large<const KIND: u8, const N: usize>(
    matrix: &Packed,
    tile: usize,
    group: Group<'_>,
    out: &mut [[f32; TILE]],
) {
    let kind = Kind::from_number(KIND);
    let layout = kind.layout();
    let codes = matrix.tile(tile).as_ptr();
    // SAFETY: a tile has `k / 256` blocks with parts where the layout says; the group has N rows of `k` codes, N scales
    // for each block, and N sums for each 16 values.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); N];
        for block in 0..matrix.k / LARGE {
            let at = codes.add(block * layout.stride);
            let mut inner = [_mm512_setzero_ps(); N];
            for part in 0..LARGE / SMALL {
                let low = at.add(part * 4 * LINE);
                let high = at.add(layout.high + part * kind.high_bits() * LINE);
                let x = group.codes.as_ptr().add((block * LARGE + part * SMALL) * N);
                let scales = at.add(layout.scales);
                ahead(at.add(part * layout.stride / 8), layout.stride / 8);
                if matches!(kind, Kind::Q6K) {
                    let x_sums = group.sums.as_ptr().add((block * 16 + part * 2) * N);
                    let mut whole = offsets::<N>(x_sums);
                    add_half::<KIND, N, 0>(low, high, x, &mut whole);
                    add_scaled(
                        &mut inner,
                        whole,
                        signed_scales(scales.add(2 * part * TILE)),
                    );
                    let mut whole = offsets::<N>(x_sums.add(N));
                    add_half::<KIND, N, 1>(low, high, x, &mut whole);
                    add_scaled(
                        &mut inner,
                        whole,
                        signed_scales(scales.add((2 * part + 1) * TILE)),
                    );
                } else {
                    let mut whole = [_mm512_setzero_si512(); N];
                    add_both::<KIND, N>(low, high, x, &mut whole);
                    add_scaled(&mut inner, whole, unsigned_scales(scales.add(part * TILE)));
                }
            }
            let factor = half_precision(at.add(layout.factors));
            for (i, (sum, inner)) in sums.iter_mut().zip(inner).enumerate() {
                let x_scale = _mm512_set1_ps(*group.scales.as_ptr().add(block * N + i));
                *sum = _mm512_fmadd_ps(inner, _mm512_mul_ps(factor, x_scale), *sum);
            }
            if !matches!(kind, Kind::Q6K) {
                let factor = half_precision(at.add(layout.factors + 2 * TILE));
                subtract_minima::<N>(at.add(layout.minima), factor, group, block, &mut sums);
            }
        }
        store(sums, out);
    }
}

/// Adds the products of one half (sixteen values) of a part to the sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn add_half<const KIND: u8, const N: usize, const HALF: usize>(
    low: *const u8,
    high: *const u8,
    x: *const i8,
    sums: &mut [__m512i; N],
) {
    let kind = Kind::from_number(KIND);
    let mask = _mm512_set1_epi8(15);
    // SAFETY: the caller has four lines (eight of `Q8_0`) at `low`, the higher bits at `high`, and 32 codes of N rows.
    unsafe {
        for four in 0..4 {
            let codes = if matches!(kind, Kind::Q8_0) {
                _mm512_loadu_si512(low.add((HALF * 4 + four) * LINE).cast::<__m512i>())
            } else {
                let codes = _mm512_loadu_si512(low.add(four * LINE).cast::<__m512i>());
                let codes = if HALF == 0 {
                    codes
                } else {
                    _mm512_srli_epi16::<4>(codes)
                };
                with_high::<KIND>(_mm512_and_si512(codes, mask), high, HALF * 4 + four)
            };
            add::<N>(codes, x.add((HALF * 4 + four) * 4 * N), sums);
        }
    }
}

/// Adds the products of both halves of a part to the sums, reading each line once.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn add_both<const KIND: u8, const N: usize>(
    low: *const u8,
    high: *const u8,
    x: *const i8,
    sums: &mut [__m512i; N],
) {
    let mask = _mm512_set1_epi8(15);
    // SAFETY: as for `add_half`.
    unsafe {
        for four in 0..4 {
            let codes = _mm512_loadu_si512(low.add(four * LINE).cast::<__m512i>());
            let first = with_high::<KIND>(_mm512_and_si512(codes, mask), high, four);
            add::<N>(first, x.add(four * 4 * N), sums);
            let second = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask);
            let second = with_high::<KIND>(second, high, 4 + four);
            add::<N>(second, x.add((4 + four) * 4 * N), sums);
        }
    }
}

/// Puts the higher bits of the `four`th four codes above the lowest four bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn with_high<const KIND: u8>(low: __m512i, high: *const u8, four: usize) -> __m512i {
    /// low | (bits & mask)
    const OR_AND: i32 = 0b1111_1000;
    let kind = Kind::from_number(KIND);
    // SAFETY: the caller has one line at `high` for one bit, two for two bits, and `four` is below eight.
    unsafe {
        match kind.high_bits() {
            0 => low,
            1 => {
                let bits = _mm512_loadu_si512(high.cast::<__m512i>());
                let bits = match four {
                    0 => _mm512_slli_epi16::<4>(bits),
                    1 => _mm512_slli_epi16::<3>(bits),
                    2 => _mm512_slli_epi16::<2>(bits),
                    3 => _mm512_slli_epi16::<1>(bits),
                    4 => bits,
                    5 => _mm512_srli_epi16::<1>(bits),
                    6 => _mm512_srli_epi16::<2>(bits),
                    _ => _mm512_srli_epi16::<3>(bits),
                };
                _mm512_ternarylogic_epi32::<OR_AND>(low, bits, _mm512_set1_epi8(16))
            }
            _ => {
                let bits = _mm512_loadu_si512(high.add(four / 4 * LINE).cast::<__m512i>());
                let bits = match four % 4 {
                    0 => _mm512_slli_epi16::<4>(bits),
                    1 => _mm512_slli_epi16::<2>(bits),
                    2 => bits,
                    _ => _mm512_srli_epi16::<2>(bits),
                };
                _mm512_ternarylogic_epi32::<OR_AND>(low, bits, _mm512_set1_epi8(48))
            }
        }
    }
}

/// Adds the products of four codes of every row of the tile with four codes of each activation.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn add<const N: usize>(codes: __m512i, x: *const i8, sums: &mut [__m512i; N]) {
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the caller has four codes of N rows at `x`.
        let x = _mm512_set1_epi32(unsafe { x.add(4 * i).cast::<i32>().read_unaligned() });
        *sum = _mm512_dpbusd_epi32(*sum, codes, x);
    }
}

/// What the sums of `Q6_K` begin with: its codes are 32 too large.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn offsets<const N: usize>(sums: *const i32) -> [__m512i; N] {
    let mut offsets = [_mm512_setzero_si512(); N];
    for (i, offset) in offsets.iter_mut().enumerate() {
        // SAFETY: the caller has N sums there.
        let sum = _mm512_set1_epi32(unsafe { *sums.add(i) });
        *offset = _mm512_sub_epi32(*offset, _mm512_slli_epi32::<5>(sum));
    }
    offsets
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_scaled<const N: usize>(sums: &mut [__m512; N], whole: [__m512i; N], scale: __m512) {
    for (sum, whole) in sums.iter_mut().zip(whole) {
        *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, *sum);
    }
}

/// Takes from each sum the minima times the sums of the activation's codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn subtract_minima<const N: usize>(
    minima: *const u8,
    factor: __m512,
    group: Group<'_>,
    block: usize,
    sums: &mut [__m512; N],
) {
    // SAFETY: there are four times 32 minima, and for each of them N pairs of sums.
    unsafe {
        let mut whole = [_mm512_setzero_si512(); N];
        for pair in 0..4 {
            let minima = _mm512_cvtepu8_epi16(_mm256_loadu_si256(
                minima.add(pair * 2 * TILE).cast::<__m256i>(),
            ));
            for (i, whole) in whole.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(*group.pairs.as_ptr().add((block * 4 + pair) * N + i));
                *whole = _mm512_dpwssd_epi32(*whole, minima, x);
            }
        }
        for (i, (sum, whole)) in sums.iter_mut().zip(whole).enumerate() {
            let x_scale = _mm512_set1_ps(*group.scales.as_ptr().add(block * N + i));
            *sum = _mm512_fnmadd_ps(
                _mm512_cvtepi32_ps(whole),
                _mm512_mul_ps(factor, x_scale),
                *sum,
            );
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn unsigned_scales(at: *const u8) -> __m512 {
    // SAFETY: the caller has sixteen bytes there.
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(at.cast()) }))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn signed_scales(at: *const u8) -> __m512 {
    // SAFETY: the caller has sixteen bytes there.
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(at.cast()) }))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn half_precision(at: *const u8) -> __m512 {
    // SAFETY: the caller has sixteen numbers of two bytes there.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn store<const N: usize>(sums: [__m512; N], out: &mut [[f32; TILE]]) {
    for (sum, out) in sums.iter().zip(out) {
        // SAFETY: sixteen numbers are 512 bits.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) };
    }
}
