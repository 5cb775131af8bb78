//! Adaptive binary range coder that keeps the tagger's model file small.
//!
//! The coder of LZMA (I. Pavlov): eleven-bit probabilities that adapt by a thirty-second at each bit.

const PROBABILITY_BITS: u32 = 11;
const ADAPT: u32 = 5;
const TOP: u32 = 1 << 24;

/// Probabilities for numbers below a power of two, coded from the highest bit down.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    bits: u32,
    probabilities: Vec<u16>,
}

impl Numbers {
    /// Numbers below `1 << bits`.
    pub(crate) fn below(bits: u32) -> Self {
        Self {
            bits,
            probabilities: vec![1 << (PROBABILITY_BITS - 1); 1 << bits],
        }
    }
}

/// Writes numbers.
#[derive(Debug)]
pub(crate) struct Encoder {
    low: u64,
    range: u32,
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            low: 0,
            range: u32::MAX,
            bytes: Vec::new(),
        }
    }

    fn shift(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.bytes.push((self.low >> 24) as u8);
            self.low = (self.low << 8) & 0xffff_ffff;
        }
    }

    /// Adds to `low` and hands a carry to the bytes already written.
    fn add(&mut self, amount: u32) {
        self.low += u64::from(amount);
        if self.low > 0xffff_ffff {
            self.low &= 0xffff_ffff;
            for byte in self.bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
    }

    fn bit(&mut self, bit: bool, probability: &mut u16) {
        let bound = (self.range >> PROBABILITY_BITS) * u32::from(*probability);
        if bit {
            self.add(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        adapt(probability, bit);
        self.shift();
    }

    pub(crate) fn number(&mut self, value: u32, numbers: &mut Numbers) {
        let mut node = 1;
        for shift in (0..numbers.bits).rev() {
            let bit = value >> shift & 1 == 1;
            self.bit(bit, &mut numbers.probabilities[node]);
            node = node << 1 | usize::from(bit);
        }
    }

    /// Bits that are as likely 0 as 1.
    pub(crate) fn plain(&mut self, value: u32, bits: u32) {
        for shift in (0..bits).rev() {
            self.range >>= 1;
            if value >> shift & 1 == 1 {
                self.add(self.range);
            }
            self.shift();
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        for _ in 0..4 {
            self.bytes.push((self.low >> 24) as u8);
            self.low = (self.low << 8) & 0xffff_ffff;
        }
        self.bytes
    }
}

/// Reads numbers back; past the end it reads zeros.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    code: u32,
    range: u32,
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self {
            code: 0,
            range: u32::MAX,
            bytes: bytes.iter(),
        };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next_byte();
        }
        decoder
    }

    fn next_byte(&mut self) -> u32 {
        self.bytes.next().map_or(0, |&byte| u32::from(byte))
    }

    fn shift(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.code = self.code << 8 | self.next_byte();
        }
    }

    fn bit(&mut self, probability: &mut u16) -> bool {
        let bound = (self.range >> PROBABILITY_BITS) * u32::from(*probability);
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        adapt(probability, bit);
        self.shift();
        bit
    }

    pub(crate) fn number(&mut self, numbers: &mut Numbers) -> u32 {
        let mut node = 1;
        for _ in 0..numbers.bits {
            node = node << 1 | usize::from(self.bit(&mut numbers.probabilities[node]));
        }
        node as u32 - (1 << numbers.bits)
    }

    pub(crate) fn plain(&mut self, bits: u32) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            value = value << 1 | u32::from(bit);
            self.shift();
        }
        value
    }
}

fn adapt(probability: &mut u16, bit: bool) {
    if bit {
        *probability -= *probability >> ADAPT;
    } else {
        *probability += ((1 << PROBABILITY_BITS) - *probability) >> ADAPT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let values: Vec<u32> = (0..5_000u32)
            .map(|i| i.wrapping_mul(2_654_435_761) >> 20)
            .collect();
        let mut encoder = Encoder::new();
        let mut numbers = Numbers::below(6);
        for &value in &values {
            encoder.number(value >> 6, &mut numbers);
            encoder.plain(value & 63, 6);
        }
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        let mut numbers = Numbers::below(6);
        let back: Vec<u32> = values
            .iter()
            .map(|_| decoder.number(&mut numbers) << 6 | decoder.plain(6))
            .collect();
        assert_eq!(values, back);
    }
}
