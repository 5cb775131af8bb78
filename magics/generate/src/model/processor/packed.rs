//! Quantised matrices in tiles of sixteen rows, in the order in which the kernels read them, at the size of the file.

use half::f16;
use memmap2::{Advice, MmapMut};
use rayon::prelude::*;

use super::kind::{Kind, LARGE, LINE, SMALL, TILE};
use crate::error::GenerateError;

/// A matrix of `n` rows of `k` values; the last tile is filled up with rows of zeros.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) kind: Kind,
    pub(super) n: usize,
    pub(super) k: usize,
    /// Pages of memory of its own, so that tiles begin on cache lines and the system may use large pages.
    bytes: MmapMut,
}

impl Packed {
    /// Packs rows as GGUF has them: `n * k / block` blocks. `bytes` must be as long as that, and `k` whole blocks.
    pub(super) fn new(kind: Kind, bytes: &[u8], n: usize, k: usize) -> Result<Self, GenerateError> {
        let tile_bytes = kind.tile_lines(k) * LINE;
        let row_bytes = k / kind.block() * kind.block_bytes();
        let needed = n.div_ceil(TILE) * tile_bytes;
        let failed = |_| GenerateError::OutOfMemory {
            reason: format!("{needed} bytes for a matrix of {n} × {k}"),
        };
        let mut packed = MmapMut::map_anon(needed).map_err(failed)?;
        // Where the system has no large pages, small ones do.
        let _ = packed.advise(Advice::HugePage);
        packed[..needed]
            .par_chunks_mut(tile_bytes.max(1))
            .enumerate()
            .for_each(|(tile, into)| {
                for row in 0..TILE.min(n - tile * TILE) {
                    let from = &bytes[(tile * TILE + row) * row_bytes..][..row_bytes];
                    for (at, block) in from.chunks_exact(kind.block_bytes()).enumerate() {
                        pack_block(kind, block, Place { row, block: at }, into);
                    }
                }
            });
        Ok(Self {
            kind,
            n,
            k,
            bytes: packed,
        })
    }

    /// Tiles of sixteen rows.
    pub(super) fn n_tiles(&self) -> usize {
        self.n.div_ceil(TILE)
    }

    /// The bytes of one tile.
    pub(super) fn tile(&self, tile: usize) -> &[u8] {
        let bytes = self.kind.tile_lines(self.k) * LINE;
        &self.bytes[tile * bytes..][..bytes]
    }

    /// Bytes of memory.
    pub(super) fn n_bytes(&self) -> usize {
        self.n_tiles() * self.kind.tile_lines(self.k) * LINE
    }

    /// The values of one row.
    pub(super) fn row(&self, row: usize, into: &mut [f32]) {
        let tile = self.tile(row / TILE);
        for (part, into) in into.chunks_exact_mut(SMALL).enumerate() {
            let codes = codes(self.kind, tile, part, row % TILE);
            let factors = factors(self.kind, tile, part, row % TILE);
            for (i, (into, code)) in into.iter_mut().zip(codes).enumerate() {
                let (scale, minimum) = factors[i / 16];
                *into = scale * (i32::from(code) - self.kind.offset()) as f32 - minimum;
            }
        }
    }
}

/// A block of one row in a tile.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    block: usize,
}

/// Puts one block of the file into its tile.
fn pack_block(kind: Kind, block: &[u8], place: Place, tile: &mut [u8]) {
    let Place { row, block: at } = place;
    let mut codes = [0; LARGE];
    read_codes(kind, block, &mut codes);
    for (part, codes) in codes[..kind.block()]
        .as_chunks::<SMALL>()
        .0
        .iter()
        .enumerate()
    {
        put_codes(kind, codes, at * (kind.block() / SMALL) + part, row, tile);
    }
    let layout = kind.layout();
    if kind.block() == SMALL {
        tile[kind.scales_at(at) + 2 * row..][..2].copy_from_slice(&block[..2]);
        return;
    }
    let into = &mut tile[at * layout.stride..][..layout.stride];
    if kind == Kind::Q6K {
        for (part, scale) in block[192..208].iter().enumerate() {
            into[layout.scales + part * TILE + row] = *scale;
        }
        into[layout.factors + 2 * row..][..2].copy_from_slice(&block[208..210]);
        return;
    }
    for part in 0..8 {
        let (scale, minimum) = six_bits(part, &block[4..16]);
        into[layout.scales + part * TILE + row] = scale;
        into[layout.minima + part / 2 * 2 * TILE + 2 * row + part % 2] = minimum;
    }
    into[layout.factors + 2 * row..][..2].copy_from_slice(&block[..2]);
    into[layout.factors + 2 * TILE + 2 * row..][..2].copy_from_slice(&block[2..4]);
}

/// Scale and minimum of a part of a `Q4_K` or `Q5_K` block (ggml's `get_scale_min_k4`).
fn six_bits(part: usize, scales: &[u8]) -> (u8, u8) {
    if part < 4 {
        return (scales[part] & 63, scales[part + 4] & 63);
    }
    let low = scales[part + 4];
    (
        (low & 15) | (scales[part - 4] >> 6 << 4),
        (low >> 4) | (scales[part] >> 6 << 4),
    )
}

/// Unsigned codes of one block of a file.
fn read_codes(kind: Kind, block: &[u8], codes: &mut [u8; LARGE]) {
    match kind {
        Kind::Q4_0 => halves(&block[2..18], codes),
        Kind::Q5_0 => {
            halves(&block[6..22], codes);
            for (i, code) in codes[..SMALL].iter_mut().enumerate() {
                *code |= (block[2 + i / 8] >> (i % 8) & 1) << 4;
            }
        }
        Kind::Q8_0 => {
            for (code, byte) in codes.iter_mut().zip(&block[2..34]) {
                *code = byte.wrapping_add(128);
            }
        }
        Kind::Q4K | Kind::Q5K => {
            let low = if kind == Kind::Q4K { 16 } else { 48 };
            for (i, code) in codes.iter_mut().enumerate() {
                let byte = block[low + i / 64 * 32 + i % 32];
                *code = byte >> (i / 32 % 2 * 4) & 15;
                if kind == Kind::Q5K {
                    *code |= (block[16 + i % 32] >> (i / 32) & 1) << 4;
                }
            }
        }
        Kind::Q6K => {
            for (i, code) in codes.iter_mut().enumerate() {
                let (half, quarter, j) = (i / 128, i / 32 % 4, i % 32);
                let low = block[half * 64 + quarter % 2 * 32 + j] >> (quarter / 2 * 4) & 15;
                let high = block[128 + half * 32 + j] >> (quarter * 2) & 3;
                *code = low | high << 4;
            }
        }
    }
}

/// Sixteen values in the low halves of the bytes, then sixteen in the high ones.
fn halves(bytes: &[u8], codes: &mut [u8; LARGE]) {
    for (i, byte) in bytes.iter().enumerate() {
        codes[i] = byte & 15;
        codes[i + 16] = byte >> 4;
    }
}

/// Puts 32 codes of one row at their places: four of them side by side, sixteen rows on one line.
fn put_codes(kind: Kind, codes: &[u8; SMALL], part: usize, row: usize, tile: &mut [u8]) {
    /// The lowest bit of each of four codes.
    const ONES: u32 = 0x0101_0101;
    let (low, high) = lines(kind, part);
    let four = |four: usize| u32::from_le_bytes(codes.as_chunks::<4>().0[four]);
    let mut put = |line: usize, codes: u32| {
        tile[line + 4 * row..][..4].copy_from_slice(&codes.to_le_bytes());
    };
    if kind == Kind::Q8_0 {
        (0..8).for_each(|at| put(low + at * LINE, four(at)));
        return;
    }
    for at in 0..4 {
        let (first, second) = (four(at) & (15 * ONES), four(at + 4) & (15 * ONES));
        put(low + at * LINE, first | second << 4);
    }
    let bits = kind.high_bits();
    for line in 0..bits {
        let fours = 8 / bits;
        let mask = ((1 << bits) - 1) * ONES;
        let high_bits = |at: usize| (four(line * fours + at) >> 4 & mask) << (at * bits);
        put(high + line * LINE, (0..fours).map(high_bits).sum());
    }
}

/// The 32 codes of one row in one part of a tile.
pub(super) fn codes(kind: Kind, tile: &[u8], part: usize, row: usize) -> [u8; SMALL] {
    let (low, high) = lines(kind, part);
    std::array::from_fn(|i| {
        let (four, byte) = (i / 4, row * 4 + i % 4);
        match kind.high_bits() {
            0 if kind == Kind::Q8_0 => tile[low + four * LINE + byte],
            bits => {
                let code = tile[low + four % 4 * LINE + byte] >> (four / 4 * 4) & 15;
                match bits {
                    0 => code,
                    1 => code | (tile[high + byte] >> four & 1) << 4,
                    _ => code | (tile[high + four / 4 * LINE + byte] >> (four % 4 * 2) & 3) << 4,
                }
            }
        }
    })
}

/// Where the low and the high bits of a part of 32 values begin in the tile.
fn lines(kind: Kind, part: usize) -> (usize, usize) {
    let layout = kind.layout();
    let parts = kind.block() / SMALL;
    let (block, part) = (kind.codes_at(part / parts), part % parts);
    let low = block + part * (layout.high / parts);
    (low, block + layout.high + part * kind.high_bits() * LINE)
}

/// Scale and minimum of each half of a part of 32 values.
pub(super) fn factors(kind: Kind, tile: &[u8], part: usize, row: usize) -> [(f32, f32); 2] {
    let layout = kind.layout();
    let half = |at: usize| f16::from_le_bytes([tile[at], tile[at + 1]]).to_f32();
    if kind.block() == SMALL {
        let scale = half(kind.scales_at(part) + 2 * row);
        return [(scale, 0.0); 2];
    }
    let block = part / 8 * layout.stride;
    let part = part % 8;
    let scale = half(block + layout.factors + 2 * row);
    let scales = block + layout.scales + row;
    if kind == Kind::Q6K {
        return [0, 1].map(|i| {
            (
                scale * f32::from(tile[scales + (2 * part + i) * TILE].cast_signed()),
                0.0,
            )
        });
    }
    let minimum = tile[block + layout.minima + part / 2 * 2 * TILE + 2 * row + part % 2];
    let minimum = half(block + layout.factors + 2 * TILE + 2 * row) * f32::from(minimum);
    [(scale * f32::from(tile[scales + part * TILE]), minimum); 2]
}

/// Asks for the lines that come some time after those at `at`; the processor by itself doesn't look beyond a page.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse")]
#[inline]
pub(super) fn ahead(at: *const u8, n_bytes: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    const DISTANCE: usize = 8 << 10;
    for line in 0..n_bytes.div_ceil(LINE) {
        let at = at.wrapping_add(DISTANCE + line * LINE);
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn rows_are_what_the_format_says() {
        use GgmlDType as D;
        for dtype in [D::Q4_0, D::Q5_0, D::Q8_0, D::Q4K, D::Q5K, D::Q6K] {
            let mut random = fastrand::Rng::with_seed(3);
            let (n, k) = (21, 512);
            let values: Vec<f32> = (0..n * k).map(|_| random.f32() * 2.0 - 0.7).collect();
            let tensor = Tensor::from_vec(values, (n, k), &Device::Cpu).unwrap();
            let quantised = QTensor::quantize(&tensor, dtype).unwrap();
            let wanted = quantised
                .dequantize(&Device::Cpu)
                .unwrap()
                .to_vec2::<f32>()
                .unwrap();
            let kind = Kind::of(dtype).unwrap();
            let packed = Packed::new(kind, &quantised.data().unwrap(), n, k).unwrap();
            let mut row = vec![0.0; k];
            for (i, wanted) in wanted.iter().enumerate() {
                packed.row(i, &mut row);
                for (found, wanted) in row.iter().zip(wanted) {
                    assert!((found - wanted).abs() < 1e-5, "{dtype:?}: {found} {wanted}");
                }
            }
            let file = quantised.data().unwrap().len() as f64 / n as f64 * 32.0;
            assert!(
                packed.n_bytes() as f64 <= file * 1.03,
                "{dtype:?} takes more memory than its file"
            );
        }
    }
}
