//! Centroids of dense rows, and the two nearest of each row.

use std::ops::Range;

use super::panels::Panels;
use super::{WIDE, dots};

/// Rows whose products with a slab of the columns are made together.
pub(super) const SLAB_ROWS: usize = 64;

/// Centroids of dense rows.
#[derive(Debug)]
pub struct Ready {
    panels: Option<Panels>,
    /// Centroids, from the origin of the rows.
    pub(super) centroids: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Where to write the nearest centroid of each row, its score, and the score of the next, which is infinite for a
/// single centroid.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) labels: &'a mut [u32],
    pub(super) scores: &'a mut [f32],
    pub(super) seconds: &'a mut [f32],
}

impl Found<'_> {
    /// The places of some of the rows.
    pub(super) fn of(&mut self, rows: Range<usize>) -> Found<'_> {
        Found {
            labels: &mut self.labels[rows.clone()],
            scores: &mut self.scores[rows.clone()],
            seconds: &mut self.seconds[rows],
        }
    }
}

impl Ready {
    /// Takes centroids from the origin of the rows, whose scores start at `bias`.
    pub(super) fn new(centroids: Vec<f32>, bias: Vec<f32>, dims: usize) -> Ready {
        let packed = dims < WIDE && bias.len() > 1;
        Ready {
            panels: packed.then(|| Panels::new(&centroids, &bias, dims)),
            centroids,
            bias,
        }
    }

    /// Looks at rows that follow each other (row-major `n × dims`).
    pub(super) fn nearest(&self, rows: &[f32], dims: usize, found: Found) {
        if let Some(panels) = &self.panels {
            return panels.nearest(rows, found);
        }
        let rows: Vec<&[f32]> = rows.chunks_exact(dims).collect();
        self.nearest_wide(&rows, dims, found);
    }

    /// Looks at rows wherever they are, along their columns.
    pub(super) fn nearest_wide(&self, rows: &[&[f32]], dims: usize, mut found: Found) {
        let k = self.bias.len();
        let centroids: Vec<&[f32]> = self.centroids.chunks_exact(dims).collect();
        let mut products = vec![0.0; SLAB_ROWS.min(rows.len()) * k];
        for (number, rows) in rows.chunks(SLAB_ROWS).enumerate() {
            let products = &mut products[..rows.len() * k];
            products.fill(0.0);
            dots::add_products(rows, &centroids, dims, products);
            let first = number * SLAB_ROWS;
            self.lowest(products, found.of(first..first + rows.len()));
        }
    }

    /// The lowest two scores of each row, whose products are given; of equals, the first is the nearest.
    fn lowest(&self, products: &[f32], found: Found) {
        let outputs = found.labels.iter_mut().zip(found.scores).zip(found.seconds);
        for (products, ((label, least), second)) in
            products.chunks_exact(self.bias.len()).zip(outputs)
        {
            (*label, *least, *second) = (0, f32::INFINITY, f32::INFINITY);
            for (j, (bias, product)) in self.bias.iter().zip(products).enumerate() {
                let score = bias - product;
                if score < *least {
                    (*label, *second, *least) = (j as u32, *least, score);
                } else {
                    *second = second.min(score);
                }
            }
        }
    }
}
