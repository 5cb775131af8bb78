//! Numbers of 32 or 16 bits, seen as 32 bits a few rows at a time.

use std::borrow::Cow;
use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::ahead;

/// Row-major values.
#[derive(Debug, Clone)]
pub(super) enum Values<'a> {
    /// 32 bits.
    Single(Cow<'a, [f32]>),
    /// 16 bits.
    Half(Cow<'a, [f16]>),
}

impl Values<'_> {
    /// All values, widened.
    pub(super) fn into_single(self) -> Vec<f32> {
        match self {
            Values::Single(values) => values.into_owned(),
            Values::Half(values) => values.to_f32_vec(),
        }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Values::Single(values) => values.len(),
            Values::Half(values) => values.len(),
        }
    }

    /// Calls `see` with the first row and the values of `size` rows at a time.
    pub(super) fn each_tile(
        &self,
        rows: Range<usize>,
        dims: usize,
        size: usize,
        mut see: impl FnMut(usize, &[f32]),
    ) {
        let starts = rows.clone().step_by(size);
        let places = |start: usize| start * dims..(start + size).min(rows.end) * dims;
        match self {
            Values::Single(values) => starts.for_each(|start| see(start, &values[places(start)])),
            Values::Half(values) => {
                let mut tile = vec![0.0; size.min(rows.len()) * dims];
                for start in starts {
                    let halves = &values[places(start)];
                    let tile = &mut tile[..halves.len()];
                    halves.convert_to_f32_slice(tile);
                    see(start, tile);
                }
            }
        }
    }

    /// Asks for part `part` of `parts` of values that will be needed soon, where they need no widening.
    #[expect(clippy::inline_always, reason = "as for the function it calls")]
    #[inline(always)]
    pub(super) fn prefetch(&self, places: Range<usize>, part: usize, parts: usize) {
        if let Values::Single(values) = self {
            ahead::fetch(&values[places], part, parts);
        }
    }

    /// Some columns of one row, for which `tile` has room.
    #[expect(clippy::inline_always, reason = "the caller has wider instructions")]
    #[inline(always)]
    pub(super) fn columns<'v>(&'v self, start: usize, tile: &'v mut [f32]) -> &'v [f32] {
        match self {
            Values::Single(values) => &values[start..start + tile.len()],
            Values::Half(values) => {
                values[start..start + tile.len()].convert_to_f32_slice(tile);
                tile
            }
        }
    }
}
