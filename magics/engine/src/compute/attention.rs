//! Self-attention of one sequence at a time, so that nothing is ever padded or masked across texts.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::{Arch, Simd, WithSimd};

use super::activation::exp;
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
    /// Each token sees only itself and those before it.
    pub(crate) causal: bool,
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
    pub(crate) fn attend(self, qkv: &[f32], out: &mut [f32], scratch: &mut AttentionScratch) {
        Arch::new().dispatch(Attend {
            heads: self,
            qkv,
            out,
            scratch,
        });
    }
}

struct Attend<'a> {
    heads: Heads,
    qkv: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut AttentionScratch,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Heads { n, dim, .. } = self.heads;
        let n_tokens = self.out.len() / (n * dim);
        let shape = Shape {
            heads: self.heads,
            n_tokens,
            keys_width: vectors::<S>(n_tokens) * S::F32_LANES,
            values_width: vectors::<S>(dim) * S::F32_LANES,
        };
        self.scratch.resize(&shape);
        for head in 0..n {
            shape.pack(head, self.qkv, self.scratch);
            for first in (0..n_tokens).step_by(QUERIES) {
                let n_queries = QUERIES.min(n_tokens - first);
                shape.score(simd, head, first, n_queries, self.qkv, self.scratch);
                shape.weigh(simd, first, n_queries, self.scratch);
                shape.mix(simd, head, first, n_queries, self.scratch, self.out);
            }
        }
    }
}

/// The lengths that a sequence and an instruction set give.
struct Shape {
    heads: Heads,
    n_tokens: usize,
    /// Width of a panel of keys, one key a column.
    keys_width: usize,
    /// Width of a panel of values, one dimension a column.
    values_width: usize,
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
    /// Length of a row of scores: the tokens, filled up to whole panels.
    fn columns(&self) -> usize {
        self.n_tokens.next_multiple_of(self.keys_width)
    }

    fn row_length(&self) -> usize {
        3 * self.heads.n * self.heads.dim
    }

    /// Copies one head's keys (transposed) and values into panels. What fills the last panel of keys is left as it is: the
    /// scores there are dropped.
    #[inline(always)]
    fn pack(&self, head: usize, qkv: &[f32], scratch: &mut AttentionScratch) {
        let Heads { n, dim, .. } = self.heads;
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

    /// scores = Q·Kᵀ for some queries.
    #[inline(always)]
    fn score<S: Simd>(
        &self,
        simd: S,
        head: usize,
        first: usize,
        n_queries: usize,
        qkv: &[f32],
        scratch: &mut AttentionScratch,
    ) {
        let (dim, width, columns) = (self.heads.dim, self.keys_width, self.columns());
        let queries = Rows {
            values: &qkv[first * self.row_length() + head * dim..],
            stride: self.row_length(),
            n: n_queries,
        };
        let zeros = &scratch.zeros[..width];
        for (i, panel) in scratch.keys.chunks_exact(dim * width).enumerate() {
            multiply(
                simd,
                queries,
                panel,
                zeros,
                #[inline(always)]
                |row, sums| {
                    scratch.scores[row * columns + i * width..][..width].copy_from_slice(sums);
                },
            );
        }
    }

    /// Turns each row of scores into weights exp(scale·(score − highest)), and notes one over their sum.
    #[inline(always)]
    fn weigh<S: Simd>(
        &self,
        simd: S,
        first: usize,
        n_queries: usize,
        scratch: &mut AttentionScratch,
    ) {
        let scale = 1.0 / (self.heads.dim as f32).sqrt();
        let columns = self.columns();
        for query in 0..n_queries {
            let seen = if self.heads.causal {
                first + query + 1
            } else {
                self.n_tokens
            };
            let row = &mut scratch.scores[query * columns..][..columns];
            scratch.rates[query] = 1.0 / softmax(simd, row, seen, scale);
        }
    }

    /// out = weights·V, divided by the weights' sum.
    #[inline(always)]
    fn mix<S: Simd>(
        &self,
        simd: S,
        head: usize,
        first: usize,
        n_queries: usize,
        scratch: &AttentionScratch,
        out: &mut [f32],
    ) {
        let Heads { n, dim, .. } = self.heads;
        let width = self.values_width;
        let weights = Rows {
            values: &scratch.scores,
            stride: self.columns(),
            n: n_queries,
        };
        let panels = scratch.values.chunks_exact(self.n_tokens * width);
        for (i, panel) in panels.enumerate() {
            let columns = width.min(dim - i * width);
            multiply(
                simd,
                weights,
                panel,
                &scratch.zeros[..width],
                #[inline(always)]
                |row, sums| {
                    let start = (first + row) * n * dim + head * dim + i * width;
                    let out = &mut out[start..][..columns];
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = sum * scratch.rates[row];
                    }
                },
            );
        }
    }
}

/// Weights of the first `seen` scores, zero for the rest; returns their sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, row: &mut [f32], seen: usize, scale: f32) -> f32 {
    row[seen..].fill(f32::NEG_INFINITY);
    let (vectors, _) = S::as_mut_simd_f32s(&mut row[..seen.next_multiple_of(S::F32_LANES)]);
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
    // What stands beyond has weight exp(−87) or less, not 0; the sum doesn't notice, the product need not.
    row[seen..].fill(0.0);
    simd.reduce_sum_f32s(sum)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{difference, numbers, on_each};
    use super::*;

    #[derive(Clone, Copy)]
    struct Run<'a>(Heads, &'a [f32]);

    impl WithSimd for Run<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(heads, qkv) = self;
            let mut out = vec![0.0; qkv.len() / 3];
            let attend = Attend {
                heads,
                qkv,
                out: &mut out,
                scratch: &mut AttentionScratch::default(),
            };
            attend.with_simd(simd);
            out
        }
    }

    fn plain(Heads { n, dim, causal }: Heads, qkv: &[f32]) -> Vec<f64> {
        let rows: Vec<&[f32]> = qkv.chunks_exact(3 * n * dim).collect();
        let mut out = Vec::new();
        for (i, query) in rows.iter().enumerate() {
            let seen = if causal { i + 1 } else { rows.len() };
            for head in 0..n {
                let part =
                    |row: &[f32], part: usize| row[(part * n + head) * dim..][..dim].to_vec();
                let weights: Vec<f64> = rows[..seen]
                    .iter()
                    .map(|row| {
                        let products = part(query, 0).into_iter().zip(part(row, 1));
                        let score: f64 = products.map(|(a, b)| f64::from(a) * f64::from(b)).sum();
                        (score / (dim as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = weights.iter().sum();
                for k in 0..dim {
                    let values = rows.iter().map(|row| f64::from(part(row, 2)[k]));
                    out.push(values.zip(&weights).map(|(a, b)| a * b).sum::<f64>() / sum);
                }
            }
        }
        out
    }

    #[test]
    fn every_instruction_set_is_exact() {
        let mut random = fastrand::Rng::with_seed(12);
        for (n_tokens, n, dim) in [(1, 2, 3), (5, 1, 16), (20, 3, 32), (49, 2, 10), (70, 1, 40)] {
            let qkv = numbers(&mut random, 3 * n_tokens * n * dim);
            for causal in [false, true] {
                let heads = Heads { n, dim, causal };
                let wanted = plain(heads, &qkv);
                for found in on_each(Run(heads, &qkv)) {
                    assert!(difference(&found, &wanted) < 2e-6, "{n_tokens} {heads:?}");
                }
            }
        }
    }
}
