//! The quantised formats for which there are kernels, and where their parts lie in a tile.

use candle_core::quantized::GgmlDType;

/// Rows of one tile: one 32-bit lane of a 512-bit register each.
pub(super) const TILE: usize = 16;
/// Values of the large blocks of the K formats.
pub(super) const LARGE: usize = 256;
/// Values of the small blocks, and of the parts of large ones.
pub(super) const SMALL: usize = 32;
/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// A format of GGUF. A value is its code times a scale, less an offset or a minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 4 bits, one scale for 32 values.
    Q4_0,
    /// 5 bits, one scale for 32 values.
    Q5_0,
    /// 8 bits, one scale for 32 values.
    Q8_0,
    /// 4 bits, a scale and a minimum of 6 bits for 32 values.
    Q4K,
    /// 5 bits, a scale and a minimum of 6 bits for 32 values.
    Q5K,
    /// 6 bits, a scale of 8 bits for 16 values.
    Q6K,
}

/// Bytes from the start of a block of a tile to its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Bits of the codes beside the lowest four: one line (1 bit) or two (2 bits) for 32 values.
    pub(super) high: usize,
    /// Scales of the parts of a large block, sixteen at a time.
    pub(super) scales: usize,
    /// Minima of the parts, in pairs.
    pub(super) minima: usize,
    /// Sixteen scales of the scales, then sixteen of the minima, in half precision.
    pub(super) factors: usize,
    /// Next block.
    pub(super) stride: usize,
}

impl Kind {
    /// The format that GGUF calls so; none if there is no kernel.
    pub(super) fn of(dtype: GgmlDType) -> Option<Self> {
        match dtype {
            GgmlDType::Q4_0 => Some(Self::Q4_0),
            GgmlDType::Q5_0 => Some(Self::Q5_0),
            GgmlDType::Q8_0 => Some(Self::Q8_0),
            GgmlDType::Q4K => Some(Self::Q4K),
            GgmlDType::Q5K => Some(Self::Q5K),
            GgmlDType::Q6K => Some(Self::Q6K),
            _ => None,
        }
    }

    /// The format of this number, so that kernels can be made for each.
    pub(super) const fn from_number(number: u8) -> Self {
        const Q4_0: u8 = Kind::Q4_0 as u8;
        const Q5_0: u8 = Kind::Q5_0 as u8;
        const Q8_0: u8 = Kind::Q8_0 as u8;
        const Q4K: u8 = Kind::Q4K as u8;
        const Q5K: u8 = Kind::Q5K as u8;
        match number {
            Q4_0 => Self::Q4_0,
            Q5_0 => Self::Q5_0,
            Q8_0 => Self::Q8_0,
            Q4K => Self::Q4K,
            Q5K => Self::Q5K,
            _ => Self::Q6K,
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q5_0 => "Q5_0",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Values of a block.
    pub(super) const fn block(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => SMALL,
            Self::Q4K | Self::Q5K | Self::Q6K => LARGE,
        }
    }

    /// Bytes of a block as files have them.
    pub(super) const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q5_0 => 22,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// What is taken from a code, in the formats without minima.
    pub(super) const fn offset(self) -> i32 {
        match self {
            Self::Q4_0 => 8,
            Self::Q5_0 => 16,
            Self::Q8_0 => 128,
            Self::Q4K | Self::Q5K => 0,
            Self::Q6K => 32,
        }
    }

    /// Bits of a code beside the lowest four; the codes of `Q8_0` are not split.
    pub(super) const fn high_bits(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4K | Self::Q8_0 => 0,
            Self::Q5_0 | Self::Q5K => 1,
            Self::Q6K => 2,
        }
    }

    /// Where the parts of a block lie.
    ///
    /// The scales of small blocks stand before two of them, so that codes begin on a cache line.
    pub(super) const fn layout(self) -> Layout {
        let parts = self.block() / SMALL;
        let low = match self {
            Self::Q8_0 => 8 * LINE,
            _ => 4 * LINE,
        };
        let high = parts * low;
        let scales = high + parts * self.high_bits() * LINE;
        let (minima, factors, stride) = match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => (scales, scales, scales),
            Self::Q4K | Self::Q5K => (scales + 128, scales + 256, scales + 320),
            Self::Q6K => (scales + 256, scales + 256, scales + 320),
        };
        Layout {
            high,
            scales,
            minima,
            factors,
            stride,
        }
    }

    /// Lines of a tile of rows with `k` values.
    pub(super) const fn tile_lines(self, k: usize) -> usize {
        let blocks = k / self.block();
        match self.block() {
            SMALL => blocks.div_ceil(2) * self.pair() / LINE,
            _ => blocks * self.layout().stride / LINE,
        }
    }

    /// Bytes of two small blocks: their scales, which fill one line, then the codes of each.
    const fn pair(self) -> usize {
        LINE + 2 * self.layout().stride
    }

    /// Where a block's codes begin in a tile.
    pub(super) const fn codes_at(self, block: usize) -> usize {
        match self.block() {
            SMALL => block / 2 * self.pair() + LINE + block % 2 * self.layout().stride,
            _ => block * self.layout().stride,
        }
    }

    /// Where the scales of a small block begin in a tile.
    pub(super) const fn scales_at(self, block: usize) -> usize {
        block / 2 * self.pair() + block % 2 * 2 * TILE
    }
}
