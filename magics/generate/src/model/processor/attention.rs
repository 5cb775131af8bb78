//! Attention of packed rows over a paged cache.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use mlk8s_lanes::{capped, exp};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::cache::Cache;
use super::tile::{PANEL, ROWS, add_products};
use crate::forward::{PAGE, Part};
use crate::model::instructions::Available;

/// Multiplications from which on it pays to wake other threads.
const MANY: usize = 1 << 16;

/// What attention needs to know of the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub(super) n_kv: usize,
    /// Query heads that share a key-value head.
    pub(super) group: usize,
    pub(super) dim: usize,
    pub(super) scale: f32,
    pub(super) cap: Option<f32>,
    pub(super) window: Option<usize>,
}

/// Some rows of one part and the query heads of one key-value head.
struct Job<'a> {
    heads: Heads,
    cache: &'a Cache,
    part: &'a Part,
    head: usize,
    /// Rows of the part.
    first: usize,
    n: usize,
    queries: &'a [f32],
    out: &'a mut [f32],
}

/// Attends with the queries of all rows (rows × heads × head) and gives as many values.
///
/// Softmax runs over the pages with a running maximum (Milakov and Gimelshein 2018); a page is read once for all query
/// heads that share it, and for all rows of a job.
pub(super) fn attend(
    with: Available,
    heads: Heads,
    cache: &Cache,
    parts: &[Part],
    queries: &[f32],
    out: &mut [f32],
) {
    let row_len = heads.group * heads.dim;
    let rows = queries.len() / (heads.n_kv * row_len);
    let work: usize = parts
        .iter()
        .map(|part| part.len * part.length * row_len * heads.n_kv)
        .sum();
    // By heads, so that every job has one piece of the result; one row needs no reordering.
    let mut by_heads = if rows == 1 {
        Vec::new()
    } else {
        vec![0.0; out.len()]
    };
    let into: &mut [f32] = if rows == 1 { out } else { &mut by_heads };
    let mut jobs = Vec::new();
    // As many rows as make the queries of a page's pass a few times eight.
    let block = (4 * ROWS / heads.group).max(1);
    for (head, mut into) in into.chunks_exact_mut(rows * row_len).enumerate() {
        for part in parts {
            for first in (0..part.len).step_by(block) {
                let n = block.min(part.len - first);
                let (out, rest) = into.split_at_mut(n * row_len);
                into = rest;
                jobs.push(Job {
                    heads,
                    cache,
                    part,
                    head,
                    first,
                    n,
                    queries,
                    out,
                });
            }
        }
    }
    let run = |job: Job<'_>| with.arch().dispatch(job);
    if work < MANY {
        jobs.into_iter().for_each(run);
    } else {
        jobs.into_par_iter().for_each(run);
    }
    if rows > 1 {
        let heads_of = by_heads.chunks_exact(rows * row_len);
        for (head, from) in heads_of.enumerate() {
            for (row, from) in from.chunks_exact(row_len).enumerate() {
                out[(row * heads.n_kv + head) * row_len..][..row_len].copy_from_slice(from);
            }
        }
    }
}

/// Softmax over the pages seen so far.
struct Running {
    /// For each query the largest score, and the sum of the exponentials below it.
    state: Vec<(f32, f32)>,
    /// For each eight queries: for each panel of the values eight rows of sums.
    sums: Vec<[f32; PANEL]>,
    n_panels: usize,
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Heads { group, dim, .. } = self.heads;
        let queries = self.scaled_queries();
        let n_panels = dim.div_ceil(PANEL);
        let n = self.n * group;
        let mut running = Running {
            state: vec![(f32::NEG_INFINITY, 0.0); n],
            sums: vec![[0.0; PANEL]; n.div_ceil(ROWS) * n_panels * ROWS],
            n_panels,
        };
        let pages = self.seen(self.start()).start / PAGE..(self.start() + self.n).div_ceil(PAGE);
        for at in pages {
            for (number, queries) in queries.chunks(ROWS * dim).enumerate() {
                self.add_page(simd, at, number * ROWS, queries, &mut running);
            }
        }
        for (i, out) in self.out.chunks_exact_mut(dim).enumerate() {
            let sums = &running.sums[i / ROWS * ROWS * n_panels..];
            for (panel, out) in out.chunks_mut(PANEL).enumerate() {
                let sums = &sums[panel * ROWS + i % ROWS];
                let total = running.state[i].1;
                out.iter_mut()
                    .zip(sums)
                    .for_each(|(out, sum)| *out = sum / total);
            }
        }
    }
}

impl Job<'_> {
    /// Position of the first row.
    fn start(&self) -> usize {
        self.part.length - self.part.len + self.first
    }

    /// The positions that a row sees.
    #[inline(always)]
    fn seen(&self, position: usize) -> std::ops::Range<usize> {
        let window = self.heads.window.unwrap_or(usize::MAX);
        (position + 1).saturating_sub(window)..position + 1
    }

    /// Attends with up to eight queries, the first of which is number `first`, to one page.
    #[inline(always)]
    fn add_page<S: Simd>(
        &self,
        simd: S,
        at: usize,
        first: usize,
        queries: &[f32],
        running: &mut Running,
    ) {
        let (keys, values) = self.cache.page(self.head, self.part.pages[at]);
        let valid = PAGE.min(self.start() + self.n - at * PAGE);
        let n = queries.len() / self.heads.dim;
        let n_panels = running.n_panels;
        let state = &mut running.state[first..first + n];
        let sums = &mut running.sums[first * n_panels..][..n_panels * ROWS];
        let mut scores = [[0.0; PAGE]; ROWS];
        let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
        for (row, query) in rows.iter_mut().zip(queries.chunks_exact(self.heads.dim)) {
            *row = query;
        }
        add_products(simd, &rows[..n], keys, &mut scores[..n]);
        for (i, (scores, state)) in scores.iter_mut().zip(state).enumerate() {
            let seen = self.seen(self.start() + (first + i) / self.heads.group);
            let here = |position: usize| position.saturating_sub(at * PAGE).min(PAGE);
            if let Some(cap) = self.heads.cap {
                cap_scores(simd, scores, cap);
            }
            let shrink = soften(simd, scores, here(seen.start)..here(seen.end), state);
            if shrink < 1.0 {
                for sums in sums.iter_mut().skip(i).step_by(ROWS) {
                    for sum in sums {
                        *sum *= shrink;
                    }
                }
            }
        }
        let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
        for (row, scores) in rows.iter_mut().zip(&scores) {
            *row = &scores[..valid];
        }
        let panels = values.chunks_exact(PAGE * PANEL);
        for (values, sums) in panels.zip(sums.chunks_exact_mut(ROWS)) {
            add_products(simd, &rows[..n], &values[..valid * PANEL], &mut sums[..n]);
        }
    }

    /// The queries of the job's rows and heads, times the scale.
    fn scaled_queries(&self) -> Vec<f32> {
        let width = self.heads.group * self.heads.dim;
        let mut queries = Vec::with_capacity(self.n * width);
        for row in 0..self.n {
            let at = ((self.part.start + self.first + row) * self.heads.n_kv + self.head) * width;
            queries.extend(
                self.queries[at..][..width]
                    .iter()
                    .map(|query| query * self.heads.scale),
            );
        }
        queries
    }
}

#[inline(always)]
fn cap_scores<S: Simd>(simd: S, scores: &mut [f32; PAGE], cap: f32) {
    for score in S::as_mut_simd_f32s(scores).0 {
        *score = capped(simd, *score, cap);
    }
}

/// Makes of the scores of a page their exponentials below the largest score so far, and updates the state (largest
/// score, sum of the exponentials); gives by what earlier sums shrink.
#[inline(always)]
fn soften<S: Simd>(
    simd: S,
    scores: &mut [f32; PAGE],
    seen: std::ops::Range<usize>,
    (largest, sum): &mut (f32, f32),
) -> f32 {
    if seen.is_empty() {
        *scores = [0.0; PAGE];
        return 1.0;
    }
    if seen.len() < PAGE {
        for (i, score) in scores.iter_mut().enumerate() {
            *score = if seen.contains(&i) {
                *score
            } else {
                f32::NEG_INFINITY
            };
        }
    }
    let vectors = S::as_mut_simd_f32s(scores).0;
    let mut most = vectors[0];
    for scores in vectors.iter() {
        most = simd.max_f32s(most, *scores);
    }
    let new = largest.max(simd.reduce_max_f32s(most));
    let mut total = simd.splat_f32s(0.0);
    for scores in vectors.iter_mut() {
        *scores = exp(simd, simd.sub_f32s(*scores, simd.splat_f32s(new)));
        total = simd.add_f32s(total, *scores);
    }
    let shrink = (*largest - new).exp();
    *sum = *sum * shrink + simd.reduce_sum_f32s(total);
    *largest = new;
    shrink
}
