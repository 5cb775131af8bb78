//! Products of one tile of quantised rows with a group of activations, on any processor.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use super::kind::{LARGE, SMALL, TILE};
use super::packed::{Packed, codes, factors};
use super::rows::{GROUP, Group};
use crate::model::instructions::Available;

/// Products of a tile's sixteen rows with each row of the group, whose rows must be quantised in the matrix's blocks.
pub(super) fn multiply(
    with: Available,
    matrix: &Packed,
    tile: usize,
    group: Group<'_>,
    out: &mut [[f32; TILE]],
) {
    with.arch().dispatch(|| sums(matrix, tile, group, out));
}

#[inline(always)]
fn sums(matrix: &Packed, tile: usize, group: Group<'_>, out: &mut [[f32; TILE]]) {
    let bytes = matrix.tile(tile);
    let offset = matrix.kind.offset();
    out.fill([0.0; TILE]);
    let mut x = [[0_i16; SMALL]; GROUP];
    for part in 0..matrix.k / SMALL {
        for (i, x) in x.iter_mut().enumerate().take(group.n) {
            for (at, four) in x.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let from = &group.codes[((part * 8 + at) * group.n + i) * 4..][..4];
                *four = std::array::from_fn(|j| i16::from(from[j]));
            }
        }
        let block = if matrix.kind.block() == LARGE {
            part / 8
        } else {
            part
        };
        for row in 0..TILE {
            let codes =
                codes(matrix.kind, bytes, part, row).map(|code| i16::from(code) - offset as i16);
            let [first, second] = factors(matrix.kind, bytes, part, row);
            for (i, (x, out)) in x.iter().zip(out.iter_mut()).enumerate().take(group.n) {
                let dot = |half: usize| -> i32 {
                    let (codes, x) = (
                        &codes.as_chunks::<16>().0[half],
                        &x.as_chunks::<16>().0[half],
                    );
                    codes
                        .iter()
                        .zip(x)
                        .map(|(a, b)| i32::from(*a) * i32::from(*b))
                        .sum()
                };
                let sum: i32 = x.iter().map(|x| i32::from(*x)).sum();
                let value =
                    first.0 * dot(0) as f32 + second.0 * dot(1) as f32 - first.1 * sum as f32;
                out[row] += group.scales[block * group.n + i] * value;
            }
        }
    }
}
