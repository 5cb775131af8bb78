//! How long packed data is once unpacked, found without keeping it: exact, in bounded memory.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Inflates into a window that is written over and over; stops at the end or once there are more than `allowed`.
pub(super) fn inflated_len(data: &[u8], allowed: u64) -> u64 {
    let mut window = vec![0_u8; 32 << 10];
    let zlib = matches!(data, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31));
    let flags = if zlib {
        TINFL_FLAG_PARSE_ZLIB_HEADER
    } else {
        0
    };
    let mut state = DecompressorOxide::new();
    let (mut read, mut at, mut total) = (0, 0, 0_u64);
    loop {
        let (status, used, written) = decompress(&mut state, &data[read..], &mut window, at, flags);
        read += used;
        total += written as u64;
        at = (at + written) % window.len();
        if total > allowed || status != TINFLStatus::HasMoreOutput {
            return total;
        }
    }
}

/// Length of LZW data (PDF 32000, 7.4.4): each code adds a string one longer than the one before it.
pub(super) fn lzw_len(data: &[u8], allowed: u64) -> u64 {
    lzw_len_with(data, allowed, 1).max(lzw_len_with(data, allowed, 0))
}

fn lzw_len_with(data: &[u8], allowed: u64, early: usize) -> u64 {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut lengths: Vec<u64> = Vec::with_capacity(4096);
    let (mut total, mut before, mut width) = (0_u64, None, 9);
    let (mut bits, mut n_bits) = (0_usize, 0);
    for byte in data {
        bits = (bits << 8 | usize::from(*byte)) & 0xff_ffff;
        n_bits += 8;
        if n_bits < width {
            continue;
        }
        n_bits -= width;
        let code = bits >> n_bits & ((1 << width) - 1);
        match code {
            END => break,
            CLEAR => {
                lengths.clear();
                before = None;
                width = 9;
                continue;
            }
            _ => {}
        }
        let known = if code < CLEAR {
            Some(1)
        } else {
            lengths.get(code - END - 1).copied()
        };
        let len = known.or(before.map(|len: u64| len + 1)).unwrap_or(1);
        if let Some(before) = before
            && lengths.len() < 4096 - END - 1
        {
            lengths.push(before + 1);
        }
        before = Some(len);
        total += len;
        width = match lengths.len() + END + 1 + early {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if total > allowed {
            break;
        }
    }
    total
}

/// Length of run-length data (PDF 32000, 7.4.5).
pub(super) fn run_len(data: &[u8]) -> u64 {
    let (mut at, mut total) = (0, 0_u64);
    while let Some(byte) = data.get(at) {
        match byte {
            128 => break,
            0..128 => {
                total += u64::from(*byte) + 1;
                at += usize::from(*byte) + 2;
            }
            _ => {
                total += 257 - u64::from(*byte);
                at += 2;
            }
        }
    }
    total
}

/// Bytes behind base-85 digits (PDF 32000, 7.4.3); what is no digit is left out.
pub(super) fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() * 4 / 5 + 4);
    let mut digits = Vec::with_capacity(5);
    for byte in data {
        match byte {
            b'~' => break,
            b'z' if digits.is_empty() => bytes.extend([0; 4]),
            b'!'..=b'u' => digits.push(u32::from(byte - b'!')),
            _ => {}
        }
        if digits.len() == 5 {
            bytes.extend(group(&digits));
            digits.clear();
        }
    }
    if digits.len() > 1 {
        let kept = digits.len() - 1;
        digits.resize(5, 84);
        bytes.extend(&group(&digits)[..kept]);
    }
    bytes
}

fn group(digits: &[u32]) -> [u8; 4] {
    digits
        .iter()
        .fold(0_u32, |sum, digit| {
            sum.wrapping_mul(85).wrapping_add(*digit)
        })
        .to_be_bytes()
}

/// Bytes behind hexadecimal digits (PDF 32000, 7.4.2).
pub(super) fn hex(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = data
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| (*byte as char).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflated_length_is_exact_and_stops_when_too_long() {
        let data = vec![b'a'; 5_000_000];
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&data, 6);
        assert_eq!(inflated_len(&packed, u64::MAX), 5_000_000);
        assert!((1_000..100_000).contains(&inflated_len(&packed, 1_000)));
        assert_eq!(inflated_len(b"no zlib at all", 1_000), 0);
    }

    #[test]
    fn run_length_and_ascii_codes() {
        assert_eq!(run_len(&[2, b'a', b'b', b'c', 255, b'x', 128]), 5);
        assert_eq!(ascii85(b"87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(hex(b"48 65 6C 6c 6F>"), b"Hello");
    }

    #[test]
    fn lzw_length() {
        // The example of the specification: 45 45 45 45 45 65 45 45 45 66.
        assert_eq!(
            lzw_len(
                &[0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01],
                1_000
            ),
            10
        );
    }
}
