//! The codes of a chunk of 256 values of each row of a tile.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::super::kind::{Kind, LARGE, LINE, SMALL, TILE};

/// Parts of 32 values in a chunk.
pub(super) const PARTS: usize = LARGE / SMALL;
/// Bytes of a register.
const HALF_LINE: usize = LINE / 2;

/// 256 values of each row of a tile, or what is left of them at the end of the rows.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) tile: *const u8,
    pub(super) number: usize,
    pub(super) n_parts: usize,
    /// How many sums of two products are added up in 16 bits: known, or hidden from the compiler.
    pub(super) run: usize,
    /// Its codes, if they have been unpacked.
    pub(super) unpacked: *const u8,
}

/// Memory for the codes of a chunk: a line for four values of each row. Those of `Q8_0` are read where they are.
#[repr(align(64))]
pub(super) struct Unpacked([u8; LARGE * TILE]);

impl Unpacked {
    pub(super) fn new() -> Self {
        Self([0; LARGE * TILE])
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl Chunk {
    /// Where the lines of a part are, and those with its higher bits.
    #[inline]
    pub(super) fn codes<const KIND: u8>(self, part: usize) -> (*const u8, *const u8) {
        let kind = Kind::from_number(KIND);
        let layout = kind.layout();
        let parts = kind.block() / SMALL;
        let block = kind.codes_at((self.number * PARTS + part) / parts);
        let (block, part) = (self.tile.wrapping_add(block), part % parts);
        (
            block.wrapping_add(part * (layout.high / parts)),
            block.wrapping_add(layout.high + part * kind.high_bits() * LINE),
        )
    }

    /// Four codes of each row of one half of the tile.
    ///
    /// # Safety
    /// The tile must have the part, and with `UNPACKED` so must `unpacked`; `four` must be below eight.
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    pub(super) unsafe fn four<const KIND: u8, const UNPACKED: bool>(
        self,
        part: usize,
        four: usize,
        half: usize,
    ) -> __m256i {
        let half = half * HALF_LINE;
        let (low, high) = self.codes::<KIND>(part);
        // SAFETY: as the caller promises.
        unsafe {
            if matches!(Kind::from_number(KIND), Kind::Q8_0) {
                // With signs.
                let codes = load(low.add(four * LINE + half));
                return _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
            }
            if UNPACKED {
                return load(self.unpacked.add((part * 8 + four) * LINE + half));
            }
            let codes = load(low.add(four % 4 * LINE + half));
            let codes = if four < 4 {
                codes
            } else {
                _mm256_srli_epi16::<4>(codes)
            };
            let codes = _mm256_and_si256(codes, _mm256_set1_epi8(15));
            with_high::<KIND>(codes, high.add(half), four)
        }
    }

    /// Unpacks its codes.
    ///
    /// # Safety
    /// The tile must have all its parts.
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    pub(super) unsafe fn unpack<const KIND: u8>(self, into: &mut Unpacked) {
        if matches!(Kind::from_number(KIND), Kind::Q8_0) {
            return;
        }
        let parts = into.0.as_chunks_mut::<{ 8 * LINE }>().0;
        for (part, lines) in parts.iter_mut().enumerate().take(self.n_parts) {
            for (four, line) in lines.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
                for (half, into) in line.as_chunks_mut::<HALF_LINE>().0.iter_mut().enumerate() {
                    // SAFETY: the tile has the part; a register has as many bytes as half a line.
                    unsafe {
                        let codes = self.four::<KIND, false>(part, four, half);
                        _mm256_storeu_si256(into.as_mut_ptr().cast(), codes);
                    }
                }
            }
        }
    }
}

/// Puts the higher bits of the `four`th four codes above the lowest four bits.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn with_high<const KIND: u8>(low: __m256i, high: *const u8, four: usize) -> __m256i {
    let (bits, mask) = match Kind::from_number(KIND).high_bits() {
        0 => return low,
        1 => {
            // SAFETY: the caller has half a line at `high` for one bit.
            let bits = unsafe { load(high) };
            let bits = match four {
                0 => _mm256_slli_epi16::<4>(bits),
                1 => _mm256_slli_epi16::<3>(bits),
                2 => _mm256_slli_epi16::<2>(bits),
                3 => _mm256_slli_epi16::<1>(bits),
                4 => bits,
                5 => _mm256_srli_epi16::<1>(bits),
                6 => _mm256_srli_epi16::<2>(bits),
                _ => _mm256_srli_epi16::<3>(bits),
            };
            (bits, 16)
        }
        _ => {
            // SAFETY: the caller has half a line there for two bits of the first four, and behind a line that of the others.
            let bits = unsafe { load(high.add(four / 4 * LINE)) };
            let bits = match four % 4 {
                0 => _mm256_slli_epi16::<4>(bits),
                1 => _mm256_slli_epi16::<2>(bits),
                2 => bits,
                _ => _mm256_srli_epi16::<2>(bits),
            };
            (bits, 48)
        }
    };
    _mm256_or_si256(low, _mm256_and_si256(bits, _mm256_set1_epi8(mask)))
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: the caller has 32 bytes there.
    unsafe { _mm256_loadu_si256(at.cast()) }
}
