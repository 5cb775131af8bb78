//! Matrices in single precision, in panels of 32 rows.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::tile::{PANEL, ROWS, add_products};
use crate::model::instructions::Available;

/// A matrix of `n` rows of `k` values; the last panel is filled up with rows of zeros.
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) n: usize,
    pub(super) k: usize,
    /// For each panel `k` × 32.
    panels: Vec<f32>,
}

impl Dense {
    /// Packs `n` rows of `k` values, of which `value` gives each.
    pub(super) fn new(n: usize, k: usize, value: impl Fn(usize) -> f32 + Sync) -> Self {
        let mut panels = vec![0.0; n.div_ceil(PANEL) * k * PANEL];
        panels
            .par_chunks_mut((k * PANEL).max(1))
            .enumerate()
            .for_each(|(panel, into)| {
                for row in 0..PANEL.min(n - panel * PANEL) {
                    for at in 0..k {
                        into[at * PANEL + row] = value((panel * PANEL + row) * k + at);
                    }
                }
            });
        Self { n, k, panels }
    }

    /// Panels of 32 rows.
    pub(super) fn n_panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    /// Bytes of memory.
    pub(super) fn n_bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// The values of one row.
    pub(super) fn row(&self, row: usize, into: &mut [f32]) {
        let panel = &self.panels[row / PANEL * self.k * PANEL..][..self.k * PANEL];
        for (into, values) in into.iter_mut().zip(panel.chunks_exact(PANEL)) {
            *into = values[row % PANEL];
        }
    }

    /// Products of one panel's rows with up to eight rows of `x` (row `i` begins at `i * k`).
    pub(super) fn multiply(
        &self,
        with: Available,
        panel: usize,
        x: &[f32],
        out: &mut [[f32; PANEL]; ROWS],
    ) {
        with.arch().dispatch(Product {
            matrix: self,
            panel,
            x,
            out,
        });
    }
}

struct Product<'a> {
    matrix: &'a Dense,
    panel: usize,
    x: &'a [f32],
    out: &'a mut [[f32; PANEL]; ROWS],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let k = self.matrix.k;
        let n = (self.x.len() / k).min(ROWS);
        let mut rows = [self.x; ROWS];
        for (row, x) in rows.iter_mut().zip(self.x.chunks_exact(k)) {
            *row = x;
        }
        *self.out = [[0.0; PANEL]; ROWS];
        let panel = &self.matrix.panels[self.panel * k * PANEL..][..k * PANEL];
        add_products(simd, &rows[..n], panel, &mut self.out[..n]);
    }
}
