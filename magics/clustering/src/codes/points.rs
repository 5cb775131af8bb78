//! Answers as rows of k-means: centroids are looked up, answers counted.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use std::array;
use std::ops::Range;

use pulp::Simd;
use rayon::prelude::*;

use super::counts::Counts;
use super::{Answers, Codes};
use crate::gather::{self, Gather, Lanes, Singles, Tiles};
use crate::points::Points;

/// Questions whose entries are added to a row before its sums go back to memory.
const AT_ONCE: usize = 4;

impl Points for Codes {
    /// One entry a level, one (zero) for a missing answer, one a numeric column.
    type Ready = Tiles;

    fn rows(&self) -> usize {
        self.n_rows
    }

    fn dims(&self) -> usize {
        self.one_hot() + self.numeric.len()
    }

    fn block(&self) -> usize {
        (self.n_rows / 64).clamp(256, 2048)
    }

    fn ready(&self, centroids: &[f32], k: usize) -> Tiles {
        let half_norms = gather::half_norms(centroids, self.dims());
        let dims = self.dims();
        debug_assert_eq!(half_norms.len(), k);
        self.tiles(&half_norms, |column, centroid| {
            -centroids[centroid * dims + column]
        })
    }

    fn nearest(&self, rows: Range<usize>, ready: &Tiles, labels: &mut [u32], scores: &mut [f32]) {
        ready.nearest(self, &rows, labels, scores);
    }

    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        let dims = self.dims();
        for (at, row) in rows.enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[at]));
            let sums = &mut sums[labels[at] as usize * dims..][..dims];
            for question in 0..self.questions() {
                self.add_answer(question, self.raw(row, question), weight, sums);
            }
            for (sum, values) in sums[self.one_hot()..].iter_mut().zip(&self.numeric) {
                *sum += weight * f64::from(values[row]);
            }
        }
    }

    fn adds_at_once(&self) -> bool {
        true
    }

    fn add_all(&self, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        let (dims, k) = (self.dims(), sums.len() / self.dims());
        match weights {
            None => Counts::of_rows(self, labels, k).add_to(self, dims, sums),
            Some(weights) => {
                Counts::of_weights(self, labels, weights, k).add_to(self, dims, sums);
            }
        }
        let numeric: Vec<Vec<f64>> = self
            .numeric
            .par_iter()
            .map(|values| {
                let mut sums = vec![0.0; k];
                for (row, (&value, &label)) in values.iter().zip(labels).enumerate() {
                    sums[label as usize] +=
                        f64::from(value) * weights.map_or(1.0, |weights| f64::from(weights[row]));
                }
                sums
            })
            .collect();
        for (cluster, sums) in sums.chunks_exact_mut(dims).enumerate() {
            for (sum, numeric) in sums[self.one_hot()..].iter_mut().zip(&numeric) {
                *sum += numeric[cluster];
            }
        }
    }

    fn scores(&self, rows: Range<usize>, singles: &[&Tiles], scores: &mut [f32]) {
        Tiles::joined(singles).all(self, &rows, scores);
    }

    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]) {
        let mut sums = vec![0.0; rows.len()];
        for question in 0..self.questions() {
            let of_code = self.squared_lengths(question);
            let mut sums = sums.iter_mut();
            self.each_answer_of(rows.clone(), question, |code| {
                if let Some(sum) = sums.next() {
                    *sum += of_code[code];
                }
            });
        }
        for values in &self.numeric {
            for (sum, &value) in sums.iter_mut().zip(&values[rows.clone()]) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        for (norm, sum) in norms.iter_mut().zip(sums) {
            *norm = sum as f32;
        }
    }

    fn answers(&self) -> Option<&Codes> {
        self.numeric.is_empty().then_some(self)
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        into.fill(0.0);
        for question in 0..self.questions() {
            let Some(code) = self.code(row, question) else {
                continue;
            };
            for column in self.columns(question) {
                into[column] = -self.shift(column);
            }
            let column = self.offset(question) + code as usize;
            into[column] += self.factor(column);
        }
        for (into, values) in into[self.one_hot()..].iter_mut().zip(&self.numeric) {
            *into = values[row];
        }
    }
}

impl Codes {
    /// A table in which each row finds, for each answer, what it adds to `row · value(·, column)`.
    pub(super) fn tiles(&self, start: &[f32], value: impl Fn(usize, usize) -> f32 + Sync) -> Tiles {
        let mut tiles = Tiles::new(
            self.one_hot() + self.questions() + self.numeric.len(),
            start,
        );
        let width = tiles.width;
        for tile in &mut tiles.tiles {
            let (first, columns) = (tile.first, tile.columns(width));
            let entries = (0..self.questions()).map(|question| self.levels(question) + 1);
            let mut runs = tile.runs(entries.chain([self.numeric.len()]));
            runs.par_iter_mut().enumerate().for_each(|(question, run)| {
                for at in 0..columns {
                    if question == self.questions() {
                        for numeric in 0..self.numeric.len() {
                            run.set(numeric, at, value(self.one_hot() + numeric, first + at));
                        }
                        continue;
                    }
                    let value = |column: usize| value(column, first + at);
                    let shift = self.shift_of(question, value);
                    for (code, column) in self.columns(question).enumerate() {
                        run.set(code, at, self.part(column, value(column), shift));
                    }
                }
            });
        }
        tiles
    }

    /// What the centre takes from the product of an answered question with a column of values.
    pub(super) fn shift_of(&self, question: usize, value: impl Fn(usize) -> f32) -> f64 {
        let Some(centre) = &self.centre else {
            return 0.0;
        };
        self.columns(question)
            .map(|column| f64::from(centre[column]) * f64::from(value(column)))
            .sum()
    }

    /// What an answer adds to the product of its row with a column of values, of which `value` is the one of the answer.
    pub(super) fn part(&self, column: usize, value: f32, shift: f64) -> f32 {
        (f64::from(self.factor(column)) * f64::from(value) - shift) as f32
    }

    /// Adds the part of a row that answers `question` with `code`, times `weight`, to the one-hot columns.
    fn add_answer(&self, question: usize, code: usize, weight: f64, sums: &mut [f64]) {
        if code >= self.levels(question) || weight == 0.0 {
            return;
        }
        if let Some(centre) = &self.centre {
            for column in self.columns(question) {
                sums[column] -= weight * f64::from(centre[column]);
            }
        }
        let column = self.offset(question) + code;
        sums[column] += weight * f64::from(self.factor(column));
    }

    /// `‖·‖²` of the part of a row, for each answer to the question and for none.
    fn squared_lengths(&self, question: usize) -> Vec<f64> {
        let centre: f64 = self
            .columns(question)
            .map(|column| f64::from(self.shift(column)).powi(2))
            .sum();
        let answered = self.columns(question).map(|column| {
            let (factor, shift) = (
                f64::from(self.factor(column)),
                f64::from(self.shift(column)),
            );
            (factor * (factor - 2.0 * shift) + centre).max(0.0)
        });
        answered.chain([0.0]).collect()
    }

    /// Adds to the sums of `rows` the entries of their answers.
    #[inline(always)]
    pub(super) fn sum_answers<L: Lanes, S: Simd, const N: usize>(
        &self,
        simd: S,
        rows: &Range<usize>,
        entries: &[[L::Of<S>; N]],
        sums: &mut [[L::Of<S>; N]],
    ) {
        match &self.answers {
            Answers::Narrow(codes) => {
                self.sum_codes::<L, S, _, N>(simd, (codes, rows), entries, sums);
            }
            Answers::Wide(codes) => {
                self.sum_codes::<L, S, _, N>(simd, (codes, rows), entries, sums);
            }
        }
    }

    #[inline(always)]
    fn sum_codes<L: Lanes, S: Simd, C: Copy + Into<u32>, const N: usize>(
        &self,
        simd: S,
        (codes, rows): (&[C], &Range<usize>),
        entries: &[[L::Of<S>; N]],
        sums: &mut [[L::Of<S>; N]],
    ) {
        let of_question = |question: usize| {
            let slab =
                &entries[self.offsets[question] + question..=self.offsets[question + 1] + question];
            (
                slab,
                &codes[question * self.n_rows + rows.start..][..rows.len()],
            )
        };
        let whole = self.questions() - self.questions() % AT_ONCE;
        for first in (0..whole).step_by(AT_ONCE) {
            let several: [_; AT_ONCE] = array::from_fn(|at| of_question(first + at));
            for (row, sums) in sums.iter_mut().enumerate() {
                let mut total = *sums;
                for (slab, codes) in &several {
                    gather::add::<L, S, N>(simd, &mut total, &slab[codes[row].into() as usize]);
                }
                *sums = total;
            }
        }
        for question in whole..self.questions() {
            let (slab, codes) = of_question(question);
            for (&code, sums) in codes.iter().zip(sums.iter_mut()) {
                gather::add::<L, S, N>(simd, sums, &slab[code.into() as usize]);
            }
        }
    }
}

impl Gather for Codes {
    #[inline(always)]
    fn sum<S: Simd, const N: usize>(
        &self,
        simd: S,
        rows: Range<usize>,
        entries: &[[S::f32s; N]],
        sums: &mut [[S::f32s; N]],
    ) {
        self.sum_answers::<Singles, S, N>(simd, &rows, entries, sums);
        let numeric = &entries[self.one_hot() + self.questions()..];
        for (entry, values) in numeric.iter().zip(&self.numeric) {
            for (&value, sums) in values[rows.clone()].iter().zip(sums.iter_mut()) {
                gather::add_times(simd, sums, entry, value);
            }
        }
    }
}
