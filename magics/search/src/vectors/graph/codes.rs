//! Cosines between vectors by their codes of 8 bits.

use crate::vectors::Segment;
use crate::vectors::dot;

/// Codes of all vectors of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes<'a> {
    rows: &'a [u8],
    scales: &'a [f32],
    stride: usize,
}

/// A vector as one side of a product of codes.
#[derive(Debug, Clone)]
pub(crate) struct Coded {
    /// Padded to a row of codes.
    pub(crate) codes: Vec<i8>,
    /// What one step of a code is worth.
    pub(crate) scale: f32,
    /// 128 times the sum of the codes: what the offset of the other side's codes adds.
    pub(crate) offset: i32,
}

impl<'a> Codes<'a> {
    pub(super) fn of(segment: &'a Segment) -> Self {
        Self {
            rows: segment.codes(0..segment.len()),
            scales: segment.scales(),
            stride: segment.stride(),
        }
    }

    /// The vector at a place.
    pub(super) fn coded(&self, place: u32) -> Coded {
        let row = self.row(place).iter();
        let codes: Vec<i8> = row.map(|&code| (code ^ 0x80).cast_signed()).collect();
        Coded {
            offset: 128 * codes.iter().map(|&code| i32::from(code)).sum::<i32>(),
            codes,
            scale: self.scales[place as usize],
        }
    }

    /// Codes of the vector at a place.
    pub(super) fn row(&self, place: u32) -> &'a [u8] {
        &self.rows[place as usize * self.stride..][..self.stride]
    }

    /// What one step of the codes at a place is worth.
    pub(super) fn scale(&self, place: u32) -> f32 {
        self.scales[place as usize]
    }

    /// Cosine with one vector.
    pub(super) fn cosine(&self, query: &Coded, place: u32) -> f32 {
        let mut sum = [0];
        dot::codes(&query.codes, self.row(place), &mut sum);
        query.cosine(sum[0], self.scale(place))
    }

    /// Cosines with the vectors at some places; `sums` is room to work in.
    pub(super) fn cosines(
        &self,
        query: &Coded,
        places: &[u32],
        sums: &mut Vec<i32>,
        out: &mut Vec<f32>,
    ) {
        sums.clear();
        sums.resize(places.len(), 0);
        dot::codes_at(&query.codes, self.rows, places, sums);
        let scored = places.iter().zip(&*sums);
        out.clear();
        out.extend(scored.map(|(&place, &sum)| query.cosine(sum, self.scale(place))));
    }
}

impl Coded {
    /// The cosine that a sum of products of codes stands for.
    pub(super) fn cosine(&self, sum: i32, scale: f32) -> f32 {
        (sum - self.offset) as f32 * (scale * self.scale)
    }
}
