//! Keys and values of one layer, in pages of 32 tokens.

use rayon::prelude::*;

use super::tile::PANEL;
use crate::error::GenerateError;
use crate::forward::{PAGE, Part};

/// Keys and values of one layer: for each key-value head all pages.
///
/// A page of a head holds its keys transposed (a row of 32 tokens for each value of the head), so that scores of all its
/// tokens are summed side by side; then its values in panels of 32 columns (a row of 32 columns for each token).
#[derive(Debug, Default)]
pub(super) struct Cache {
    pages: Vec<f32>,
    head_dim: usize,
    n_pages: usize,
}

/// Values of one head in one page.
fn page_len(head_dim: usize) -> usize {
    PAGE * (head_dim + head_dim.next_multiple_of(PANEL))
}

impl Cache {
    /// Room for `n_pages` pages of `n_kv_heads` heads.
    pub(super) fn new(
        n_pages: usize,
        n_kv_heads: usize,
        head_dim: usize,
    ) -> Result<Self, GenerateError> {
        let wanted = n_pages.checked_mul(n_kv_heads * page_len(head_dim));
        let needed = wanted.map_or(u64::MAX, |wanted| wanted as u64 * 4);
        let mut pages = Vec::new();
        let enough = wanted.is_some_and(|wanted| pages.try_reserve_exact(wanted).is_ok());
        if !enough {
            let reason = format!("{needed} bytes for {n_pages} pages of the cache of one layer");
            return Err(GenerateError::OutOfMemory { reason });
        }
        pages.resize(wanted.unwrap_or_default(), 0.0);
        Ok(Self {
            pages,
            head_dim,
            n_pages,
        })
    }

    /// Bytes of one token in one layer.
    pub(super) fn bytes_per_token(n_kv_heads: usize, head_dim: usize) -> usize {
        n_kv_heads * page_len(head_dim) / PAGE * size_of::<f32>()
    }

    /// Pages there are.
    pub(super) fn n_pages(&self) -> usize {
        self.n_pages
    }

    /// One page of a head: keys (head × 32), then values.
    pub(super) fn page(&self, head: usize, page: u32) -> (&[f32], &[f32]) {
        let len = page_len(self.head_dim);
        let page = &self.pages[(head * self.n_pages + page as usize) * len..][..len];
        page.split_at(self.head_dim * PAGE)
    }

    /// Writes keys and values (rows × heads × head) of all rows to their places.
    pub(super) fn write(&mut self, parts: &[Part], keys: &[f32], values: &[f32]) {
        let (head_dim, len) = (self.head_dim, page_len(self.head_dim));
        let of_head = self.n_pages * len;
        let n_heads = self.pages.len() / of_head.max(1);
        let one = |(head, pages): (usize, &mut [f32])| {
            for part in parts {
                for row in 0..part.len {
                    let position = part.length - part.len + row;
                    let page = part.pages[position / PAGE] as usize;
                    let from = ((part.start + row) * n_heads + head) * head_dim..;
                    let (into_keys, into_values) =
                        pages[page * len..][..len].split_at_mut(head_dim * PAGE);
                    let slot = position % PAGE;
                    let keys = &keys[from.clone()][..head_dim];
                    for (into, key) in into_keys[slot..].iter_mut().step_by(PAGE).zip(keys) {
                        *into = *key;
                    }
                    let panels = into_values.chunks_exact_mut(PAGE * PANEL);
                    for (into, values) in panels.zip(values[from][..head_dim].chunks(PANEL)) {
                        into[slot * PANEL..][..values.len()].copy_from_slice(values);
                    }
                }
            }
        };
        if keys.len() < 1 << 13 {
            self.pages
                .chunks_exact_mut(of_head)
                .enumerate()
                .for_each(one);
        } else {
            self.pages
                .par_chunks_exact_mut(of_head)
                .enumerate()
                .for_each(one);
        }
    }
}
