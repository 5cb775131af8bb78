//! Long dense rows, looked at here and there.

use std::ops::Range;

use super::ready::{Found, SLAB_ROWS};
use super::values::Values;
use super::{Dense, Ready, WIDE, sums};
use crate::points::{Bounded, Entry, Points};

impl Dense<'_> {
    /// The nearest two centroids of rows that follow each other.
    pub(super) fn nearest_in(&self, rows: Range<usize>, ready: &Ready, mut found: Found) {
        let first = rows.start;
        let whole = rows.len().max(1);
        self.values
            .each_tile(rows, self.dims, self.block().min(whole), |start, tile| {
                let places = start - first..start - first + tile.len() / self.dims;
                ready.nearest(tile, self.dims, found.of(places));
            });
    }
}

impl Bounded<Ready> for Dense<'_> {
    fn nearest_two(
        &self,
        rows: &[usize],
        ready: &Ready,
        labels: &mut [u32],
        scores: &mut [f32],
        seconds: &mut [f32],
    ) {
        let mut found = Found {
            labels,
            scores,
            seconds,
        };
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else {
            return;
        };
        if last - first + 1 == rows.len() {
            return self.nearest_in(first..last + 1, ready, found);
        }
        if let (Values::Single(values), WIDE..) = (&self.values, self.dims) {
            let of_row = |&row: &usize| &values[row * self.dims..(row + 1) * self.dims];
            let rows: Vec<&[f32]> = rows.iter().map(of_row).collect();
            return ready.nearest_wide(&rows, self.dims, found);
        }
        let mut tile = vec![0.0; rows.len().min(SLAB_ROWS) * self.dims];
        for (number, rows) in rows.chunks(SLAB_ROWS).enumerate() {
            let tile = &mut tile[..rows.len() * self.dims];
            for (&row, into) in rows.iter().zip(tile.chunks_exact_mut(self.dims)) {
                self.copy(row, into);
            }
            let first = number * SLAB_ROWS;
            ready.nearest(tile, self.dims, found.of(first..first + rows.len()));
        }
    }

    fn add_listed(&self, entries: Vec<Entry>, sums: &mut [f64]) {
        sums::add_by_columns(&self.values, self.dims, entries, sums);
    }

    fn origin(&self) -> &[f32] {
        &self.origin
    }
}
