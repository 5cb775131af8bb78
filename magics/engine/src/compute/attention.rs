//! Self-attention of one sequence at a time, so that nothing is ever padded or masked across texts.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

#[cfg(test)]
mod tests;

use std::ops::Range;

use mlk8s_lanes::exp;
use pulp::{Arch, Simd, WithSimd};

use super::stack::{Stopped, go_on};
use super::tile::{Rows, multiply, vectors};

/// Queries whose scores are held at a time.
const QUERIES: usize = 48;

/// The heads of a self-attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Number of heads.
    pub(crate) n: usize,
    /// Values of one head.
    pub(crate) dim: usize,
}

/// What a token sees of its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of it.
    All,
    /// Itself and what stands before it.
    Before,
    /// Itself and as many tokens on each side.
    Near(usize),
}

/// Room for one head of one sequence.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    zeros: Vec<f32>,
    rates: Vec<f32>,
}

impl Heads {
    /// softmax(Q·Kᵀ/√dim)·V of one sequence: `qkv` is tokens × 3·n·dim (queries, keys, values), `out` tokens × n·dim.
    ///
    /// What a block of queries does not see costs nothing; `stop` is asked before each block but the first.
    pub(crate) fn attend(
        self,
        sight: Sight,
        qkv: &[f32],
        out: &mut [f32],
        scratch: &mut AttentionScratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        Arch::new().dispatch(Attend {
            heads: self,
            sight,
            qkv,
            out,
            scratch,
            stop,
        })
    }
}

struct Attend<'a> {
    heads: Heads,
    sight: Sight,
    qkv: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut AttentionScratch,
    stop: &'a dyn Fn() -> bool,
}

impl WithSimd for Attend<'_> {
    type Output = Result<(), Stopped>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Result<(), Stopped> {
        let Heads { n, dim } = self.heads;
        let n_tokens = self.out.len() / (n * dim);
        let shape = Shape {
            heads: self.heads,
            sight: self.sight,
            n_tokens,
            keys_width: vectors::<S>(n_tokens) * S::F32_LANES,
            values_width: vectors::<S>(dim) * S::F32_LANES,
        };
        self.scratch.resize(&shape);
        for head in 0..n {
            shape.pack(head, self.qkv, self.scratch);
            for first in (0..n_tokens).step_by(QUERIES) {
                if first > 0 {
                    go_on(self.stop)?;
                }
                let block = shape.block(first);
                shape.score(simd, head, &block, self.qkv, self.scratch);
                shape.weigh(simd, &block, self.scratch);
                shape.mix(simd, head, &block, self.scratch, self.out);
            }
        }
        Ok(())
    }
}

/// The lengths that a sequence and an instruction set give.
struct Shape {
    heads: Heads,
    sight: Sight,
    n_tokens: usize,
    /// Width of a panel of keys, one key a column.
    keys_width: usize,
    /// Width of a panel of values, one dimension a column.
    values_width: usize,
}

/// Some queries and the keys that at least one of them sees.
struct Block {
    queries: Range<usize>,
    /// Starts with a panel.
    keys: Range<usize>,
    /// Length of a row of scores: the keys, filled up to whole panels.
    columns: usize,
}

impl AttentionScratch {
    fn resize(&mut self, shape: &Shape) {
        let widest = shape.keys_width.max(shape.values_width);
        self.keys.resize(shape.columns() * shape.heads.dim, 0.0);
        let values = shape.heads.dim.next_multiple_of(shape.values_width);
        self.values.resize(values * shape.n_tokens, 0.0);
        self.scores.resize(QUERIES * shape.columns(), 0.0);
        self.zeros.resize(widest.max(self.zeros.len()), 0.0);
        self.rates.resize(QUERIES, 0.0);
    }
}

impl Shape {
    /// The tokens, filled up to whole panels; no row of scores is longer.
    fn columns(&self) -> usize {
        self.n_tokens.next_multiple_of(self.keys_width)
    }

    fn row_length(&self) -> usize {
        3 * self.heads.n * self.heads.dim
    }

    fn block(&self, first: usize) -> Block {
        let queries = first..self.n_tokens.min(first + QUERIES);
        let start = self.seen(first).start;
        let start = start - start % self.keys_width;
        let keys = start..self.seen(queries.end - 1).end;
        Block {
            columns: keys.len().next_multiple_of(self.keys_width),
            queries,
            keys,
        }
    }

    /// The keys that a query sees.
    fn seen(&self, query: usize) -> Range<usize> {
        match self.sight {
            Sight::All => 0..self.n_tokens,
            Sight::Before => 0..query + 1,
            Sight::Near(most) => {
                query.saturating_sub(most)..self.n_tokens.min(query.saturating_add(most + 1))
            }
        }
    }

    /// Copies one head's keys (transposed) and values into panels. What fills the last panel of keys is left as it is: the
    /// scores there are dropped.
    #[inline(always)]
    fn pack(&self, head: usize, qkv: &[f32], scratch: &mut AttentionScratch) {
        let Heads { n, dim } = self.heads;
        let (keys_width, values_width) = (self.keys_width, self.values_width);
        let row_length = self.row_length();
        let panels = scratch.keys.chunks_exact_mut(dim * keys_width);
        for (rows, panel) in qkv.chunks(keys_width * row_length).zip(panels) {
            for (column, row) in rows.chunks_exact(row_length).enumerate() {
                let keys = &row[(n + head) * dim..][..dim];
                for (key, place) in keys.iter().zip(panel.chunks_exact_mut(keys_width)) {
                    place[column] = *key;
                }
            }
        }
        let panels = scratch
            .values
            .chunks_exact_mut(self.n_tokens * values_width);
        for (i, panel) in panels.enumerate() {
            let rows = qkv.chunks_exact(row_length);
            for (row, place) in rows.zip(panel.chunks_exact_mut(values_width)) {
                let values = &row[(2 * n + head) * dim..][..dim][i * values_width..];
                for (place, value) in place.iter_mut().zip(values) {
                    *place = *value;
                }
            }
        }
    }

    /// scores = Q·Kᵀ for a block.
    #[inline(always)]
    fn score<S: Simd>(
        &self,
        simd: S,
        head: usize,
        block: &Block,
        qkv: &[f32],
        scratch: &mut AttentionScratch,
    ) {
        let (dim, width) = (self.heads.dim, self.keys_width);
        let queries = Rows {
            values: &qkv[block.queries.start * self.row_length() + head * dim..],
            stride: self.row_length(),
            n: block.queries.len(),
        };
        let zeros = &scratch.zeros[..width];
        let panels = &scratch.keys[block.keys.start * dim..][..block.columns * dim];
        for (i, panel) in panels.chunks_exact(dim * width).enumerate() {
            multiply(
                simd,
                queries,
                panel,
                zeros,
                #[inline(always)]
                |row, sums| {
                    scratch.scores[row * block.columns + i * width..][..width]
                        .copy_from_slice(sums);
                },
            );
        }
    }

    /// Turns each row of scores into weights exp(scale·(score − highest)), and notes one over their sum.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, block: &Block, scratch: &mut AttentionScratch) {
        let scale = 1.0 / (self.heads.dim as f32).sqrt();
        let rows = scratch.scores.chunks_exact_mut(block.columns);
        for ((query, row), rate) in block.queries.clone().zip(rows).zip(&mut scratch.rates) {
            let seen = self.seen(query);
            let seen = seen.start - block.keys.start..seen.end - block.keys.start;
            *rate = 1.0 / softmax(simd, row, seen, scale);
        }
    }

    /// out = weights·V, divided by the weights' sum.
    #[inline(always)]
    fn mix<S: Simd>(
        &self,
        simd: S,
        head: usize,
        block: &Block,
        scratch: &AttentionScratch,
        out: &mut [f32],
    ) {
        let Heads { n, dim } = self.heads;
        let width = self.values_width;
        let weights = Rows {
            values: &scratch.scores,
            stride: block.columns,
            n: block.queries.len(),
        };
        let panels = scratch.values.chunks_exact(self.n_tokens * width);
        for (i, panel) in panels.enumerate() {
            let columns = width.min(dim - i * width);
            multiply(
                simd,
                weights,
                &panel[block.keys.start * width..block.keys.end * width],
                &scratch.zeros[..width],
                #[inline(always)]
                |row, sums| {
                    let start = (block.queries.start + row) * n * dim + head * dim + i * width;
                    let out = &mut out[start..][..columns];
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = sum * scratch.rates[row];
                    }
                },
            );
        }
    }
}

/// Weights of the `seen` scores, zero for the rest; returns their sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, row: &mut [f32], seen: Range<usize>, scale: f32) -> f32 {
    let Range { start, end } = seen;
    row[..start].fill(f32::NEG_INFINITY);
    row[end..].fill(f32::NEG_INFINITY);
    let whole = start - start % S::F32_LANES..end.next_multiple_of(S::F32_LANES);
    let (vectors, _) = S::as_mut_simd_f32s(&mut row[whole]);
    let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in &*vectors {
        highest = simd.max_f32s(highest, *x);
    }
    let highest = simd.splat_f32s(simd.reduce_max_f32s(highest));
    let scales = simd.splat_f32s(scale);
    let mut sum = simd.splat_f32s(0.0);
    for x in &mut *vectors {
        *x = exp(simd, simd.mul_f32s(simd.sub_f32s(*x, highest), scales));
        sum = simd.add_f32s(sum, *x);
    }
    // What stands outside has weight exp(−87) or less, not 0; the sum doesn't notice, the product need not.
    row[..start].fill(0.0);
    row[end..].fill(0.0);
    simd.reduce_sum_f32s(sum)
}
