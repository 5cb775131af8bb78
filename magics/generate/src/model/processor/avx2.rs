//! Products of one tile of quantised rows with groups of activations, in AVX2.
//!
//! Two registers hold four codes of each of the tile's sixteen rows. `vpmaddubsw` multiplies them with four codes of an
//! activation, which stand in every lane, and adds neighbours up. Its sums have 16 bits: as many as surely fit are added
//! before `vpmaddwd` widens them, which multiplies them by the scales of the parts, too. The whole numbers are those of
//! the kernels with VNNI, and so are the sums in single precision, but for the last bit where a part's sum exceeds 2²⁴.
#![expect(
    unsafe_code,
    reason = "these instructions are only to be had through std::arch"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "these loads don't ask for alignment"
)]

mod codes;
mod scales;

use std::arch::x86_64::{
    __m256, __m256i, _mm256_abs_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_loadu_ps,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_sub_epi32,
};

use codes::{Chunk, PARTS, Unpacked};
use scales::{
    add_scaled, half_precision, signed_scales, subtract_minima, subtract_offsets, twice,
    unsigned_scales,
};

use super::kind::{Kind, SMALL, TILE};
use super::packed::{Packed, ahead};
use super::rows::{GROUP, Group, LARGEST};

/// Rows of a tile whose codes are in one register.
const HALF: usize = TILE / 2;
/// Activations whose sums the registers have room for.
const PASS: usize = 4;

/// For each of some activations the sums of a tile's sixteen rows.
type Whole<const N: usize> = [[__m256i; 2]; N];
type Sums<const N: usize> = [[__m256; 2]; N];

/// Some activations of a group.
#[derive(Clone, Copy)]
struct Side<'a> {
    group: Group<'a>,
    first: usize,
}

/// Products of a tile's sixteen rows with each row of the groups.
///
/// # Safety
/// The processor must have the instructions; the groups, of which all but the last are full, must have as many rows as
/// `out` and be as long as the matrix's, quantised in its blocks.
pub(super) unsafe fn multiply(
    matrix: &Packed,
    tile: usize,
    groups: &[Group<'_>],
    out: &mut [[f32; TILE]],
) {
    // SAFETY: the caller's promises are those of the functions.
    unsafe {
        match matrix.kind {
            Kind::Q4_0 => chunks::<{ Kind::Q4_0 as u8 }>(matrix, tile, groups, out),
            Kind::Q5_0 => chunks::<{ Kind::Q5_0 as u8 }>(matrix, tile, groups, out),
            Kind::Q8_0 => chunks::<{ Kind::Q8_0 as u8 }>(matrix, tile, groups, out),
            Kind::Q4K => chunks::<{ Kind::Q4K as u8 }>(matrix, tile, groups, out),
            Kind::Q5K => chunks::<{ Kind::Q5K as u8 }>(matrix, tile, groups, out),
            Kind::Q6K => chunks::<{ Kind::Q6K as u8 }>(matrix, tile, groups, out),
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn chunks<const KIND: u8>(
    matrix: &Packed,
    tile: usize,
    groups: &[Group<'_>],
    out: &mut [[f32; TILE]],
) {
    out.fill([0.0; TILE]);
    let n_parts = matrix.k / SMALL;
    let chunks = (0..n_parts.div_ceil(PARTS)).map(|number| Chunk {
        tile: matrix.tile(tile).as_ptr(),
        number,
        n_parts: PARTS.min(n_parts - number * PARTS),
        run: run(Kind::from_number(KIND)),
        unpacked: std::ptr::null(),
    });
    // SAFETY: as the caller promises.
    unsafe {
        match *groups {
            [group] if group.n == 1 => {
                for chunk in chunks {
                    add_chunk::<KIND, 1, false>(chunk, Side { group, first: 0 }, out);
                }
            }
            _ => many::<KIND>(chunks, groups, out),
        }
    }
}

/// Unpacks each chunk once for all groups.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn many<const KIND: u8>(
    chunks: impl Iterator<Item = Chunk>,
    groups: &[Group<'_>],
    out: &mut [[f32; TILE]],
) {
    let mut unpacked = Unpacked::new();
    // SAFETY: as the caller promises; there is room for the codes of a chunk.
    unsafe {
        for mut chunk in chunks {
            chunk.unpack::<KIND>(&mut unpacked);
            chunk.unpacked = unpacked.as_ptr();
            chunk.run = std::hint::black_box(chunk.run);
            for (group, out) in groups.iter().zip(out.chunks_mut(GROUP)) {
                for (pass, out) in out.chunks_mut(PASS).enumerate() {
                    let side = Side {
                        group: *group,
                        first: pass * PASS,
                    };
                    match out.len() {
                        1 => add_chunk::<KIND, 1, true>(chunk, side, out),
                        2 => add_chunk::<KIND, 2, true>(chunk, side, out),
                        3 => add_chunk::<KIND, 3, true>(chunk, side, out),
                        _ => add_chunk::<KIND, PASS, true>(chunk, side, out),
                    }
                }
            }
        }
    }
}

/// Adds the products of a chunk with N activations.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_chunk<const KIND: u8, const N: usize, const UNPACKED: bool>(
    chunk: Chunk,
    side: Side<'_>,
    out: &mut [[f32; TILE]],
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    // SAFETY: sixteen numbers are two registers; the rest is as the caller promises.
    unsafe {
        for (sums, out) in sums.iter_mut().zip(out.iter()) {
            sums[0] = _mm256_loadu_ps(out.as_ptr());
            sums[1] = _mm256_loadu_ps(out.as_ptr().add(HALF));
        }
        if Kind::from_number(KIND).block() == SMALL {
            small::<KIND, N, UNPACKED>(chunk, side, &mut sums);
        } else {
            large::<KIND, N, UNPACKED>(chunk, side, &mut sums);
        }
        for (sums, out) in sums.iter().zip(out) {
            _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(HALF), sums[1]);
        }
    }
}

/// The formats with one scale for 32 values.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn small<const KIND: u8, const N: usize, const UNPACKED: bool>(
    chunk: Chunk,
    side: Side<'_>,
    sums: &mut Sums<N>,
) {
    let kind = Kind::from_number(KIND);
    let ones = _mm256_set1_epi16(1);
    // SAFETY: the tile has codes and sixteen scales for each of the chunk's blocks, the group N rows with a scale and a sum.
    unsafe {
        for part in 0..chunk.n_parts {
            let block = chunk.number * PARTS + part;
            let mut whole = [[_mm256_setzero_si256(); 2]; N];
            for (i, whole) in whole.iter_mut().enumerate() {
                let sum = _mm256_set1_epi32(*side.group.sums.as_ptr().add(side.at(block, i)));
                let offset = match kind {
                    Kind::Q4_0 => _mm256_slli_epi32::<3>(sum),
                    Kind::Q5_0 => _mm256_slli_epi32::<4>(sum),
                    // The codes of `Q8_0` are taken with their signs.
                    _ => continue,
                };
                *whole = [_mm256_sub_epi32(whole[0], offset); 2];
            }
            if !UNPACKED {
                ahead(chunk.codes::<KIND>(part).0, kind.layout().stride);
            }
            add_part::<KIND, N, UNPACKED>(chunk, part, side, [[ones; 2]; 2], &mut whole);
            let scales = half_precision(chunk.tile.add(kind.scales_at(block)));
            add_scaled(sums, whole, scales, side, block);
        }
    }
}

/// The formats with two levels of scales.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn large<const KIND: u8, const N: usize, const UNPACKED: bool>(
    chunk: Chunk,
    side: Side<'_>,
    sums: &mut Sums<N>,
) {
    let kind = Kind::from_number(KIND);
    let layout = kind.layout();
    // SAFETY: a tile's block has parts where the layout says; the group has N rows, with sums for each 16 values.
    unsafe {
        let at = chunk.tile.add(chunk.number * layout.stride);
        let mut whole = [[_mm256_setzero_si256(); 2]; N];
        for part in 0..PARTS {
            if !UNPACKED {
                ahead(at.add(part * layout.stride / 8), layout.stride / 8);
            }
            let scales = if matches!(kind, Kind::Q6K) {
                let scales = signed_scales(at.add(layout.scales + 2 * part * TILE));
                subtract_offsets(&mut whole, scales, side, chunk.number * PARTS + part);
                let [first, second] = scales;
                [
                    [twice(first[0]), twice(first[1])],
                    [twice(second[0]), twice(second[1])],
                ]
            } else {
                [unsigned_scales(at.add(layout.scales + part * TILE)); 2]
            };
            add_part::<KIND, N, UNPACKED>(chunk, part, side, scales, &mut whole);
        }
        let factors = half_precision(at.add(layout.factors));
        add_scaled(sums, whole, factors, side, chunk.number);
        if !matches!(kind, Kind::Q6K) {
            let factors = half_precision(at.add(layout.factors + 2 * TILE));
            subtract_minima(sums, at.add(layout.minima), factors, side, chunk.number);
        }
    }
}

/// How many sums of two products fit 16 bits, whatever the codes are.
const fn run(kind: Kind) -> usize {
    let largest = match kind {
        Kind::Q8_0 => 128,
        _ => (16 << kind.high_bits()) - 1,
    };
    i16::MAX as usize / (2 * LARGEST as usize * largest)
}

/// Adds the products of a part, times the scales of its two times 16 values, which stand twice in each lane.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn add_part<const KIND: u8, const N: usize, const UNPACKED: bool>(
    chunk: Chunk,
    part: usize,
    side: Side<'_>,
    scales: [[__m256i; 2]; 2],
    whole: &mut Whole<N>,
) {
    const {
        // Either whole halves, or whole parts of them, so that one scale is that of all.
        assert!(matches!(run(Kind::from_number(KIND)), 1 | 2 | 4 | 8));
    }
    let run = run(Kind::from_number(KIND));
    // What it doesn't know the compiler doesn't unroll. Of many steps it would change the order, and keep codes in memory.
    let steps = if UNPACKED && run >= 4 { chunk.run } else { run };
    // SAFETY: the chunk has that part, and the group N rows of 32 codes for it.
    unsafe {
        let x = side
            .group
            .codes
            .as_ptr()
            .add((chunk.number * PARTS + part) * SMALL * side.group.n + 4 * side.first);
        for begin in 0..8 / run {
            let begin = begin * run;
            let mut short = [[_mm256_setzero_si256(); 2]; N];
            for four in begin..begin + steps {
                let first = chunk.four::<KIND, UNPACKED>(part, four, 0);
                let second = chunk.four::<KIND, UNPACKED>(part, four, 1);
                for (i, short) in short.iter_mut().enumerate() {
                    let x = x.add(4 * (four * side.group.n + i)).cast::<i32>();
                    let x = _mm256_set1_epi32(x.read_unaligned());
                    short[0] = _mm256_add_epi16(short[0], products::<KIND>(first, x));
                    short[1] = _mm256_add_epi16(short[1], products::<KIND>(second, x));
                }
            }
            for (whole, short) in whole.iter_mut().zip(short) {
                for half in 0..2 {
                    let sum = _mm256_madd_epi16(short[half], scales[begin / 4][half]);
                    whole[half] = _mm256_add_epi32(whole[half], sum);
                }
            }
        }
    }
}

/// Products of codes, two of them added up.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn products<const KIND: u8>(codes: __m256i, x: __m256i) -> __m256i {
    if matches!(Kind::from_number(KIND), Kind::Q8_0) {
        // One side must have no signs. No `x` is -128, so that all of them can be turned.
        return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
    }
    _mm256_maddubs_epi16(codes, x)
}

impl Side<'_> {
    /// Where what there is once for each row and block stands for row `i`.
    #[inline]
    fn at(self, block: usize, i: usize) -> usize {
        block * self.group.n + self.first + i
    }
}
