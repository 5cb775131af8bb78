//! How much more often two answers go together than chance would have it.

use rayon::prelude::*;

use crate::codes::Codes;
use crate::points::Points;
use crate::product::Product;

/// Levels up to which all pairs are kept; beyond, they are counted anew for each product.
pub(super) const KEPT: usize = 4096;

/// Positive pointwise mutual information of levels of different columns (Church and Hanks 1990; Levy and Goldberg
/// 2014), a symmetric matrix `levels × levels`.
pub(super) struct Ppmi<'a> {
    codes: &'a Codes,
    /// Pairs that each level is in.
    margins: Vec<f64>,
    total: f64,
    /// For each column, row-major `levels of the column × levels`.
    kept: Vec<Vec<f32>>,
}

impl Ppmi<'_> {
    pub(super) fn new(codes: &Codes) -> Ppmi<'_> {
        let mut answered = vec![0.0_f32; Points::rows(codes)];
        for question in 0..codes.questions() {
            let (levels, mut row) = (codes.levels(question), answered.iter_mut());
            codes.each_answer(question, |code| {
                if let Some(answered) = row.next().filter(|_| code < levels) {
                    *answered += 1.0;
                }
            });
        }
        // A level goes together with each other answer of its rows.
        for answers in &mut answered {
            *answers -= 1.0;
        }
        let mut margins = vec![0.0; codes.one_hot()];
        codes.transposed_times(&answered, 1, &mut margins);
        let total = margins.iter().sum();
        let mut ppmi = Ppmi {
            codes,
            margins,
            total,
            kept: Vec::new(),
        };
        if codes.one_hot() <= KEPT {
            ppmi.kept = (0..codes.questions())
                .into_par_iter()
                .map(|question| ppmi.of_question(question))
                .collect();
        }
        ppmi
    }

    fn of_question(&self, question: usize) -> Vec<f32> {
        let width = self.codes.one_hot();
        let mut rows = vec![0.0; self.codes.levels(question) * width];
        for other in (0..self.codes.questions()).filter(|&other| other != question) {
            let block = self.block(question, other);
            for (row, values) in block.chunks(self.codes.levels(other)).enumerate() {
                rows[row * width + self.codes.offset(other)..][..values.len()]
                    .copy_from_slice(values);
            }
        }
        rows
    }

    /// Row-major `levels of a × levels of b`.
    fn block(&self, a: usize, b: usize) -> Vec<f32> {
        let (levels_a, levels_b) = (self.codes.levels(a), self.codes.levels(b));
        let counts = self.codes.pairs(a, b);
        let mut values = Vec::with_capacity(levels_a * levels_b);
        for (row, counts) in counts.chunks(levels_b + 1).take(levels_a).enumerate() {
            let of_row = self.margins[self.codes.offset(a) + row];
            for (column, &count) in counts[..levels_b].iter().enumerate() {
                let expected = of_row * self.margins[self.codes.offset(b) + column];
                let ratio = f64::from(count) * self.total / expected;
                values.push(if ratio > 1.0 { ratio.ln() as f32 } else { 0.0 });
            }
        }
        values
    }
}

impl Product for Ppmi<'_> {
    fn rows(&self) -> usize {
        self.codes.one_hot()
    }

    fn dims(&self) -> usize {
        self.codes.one_hot()
    }

    fn times(&self, right: &[f32], m: usize, into: &mut [f32]) {
        let mut sums = vec![0.0; into.len()];
        self.transposed_times(right, m, &mut sums);
        into.iter_mut()
            .zip(sums)
            .for_each(|(into, sum)| *into = sum as f32);
    }

    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]) {
        let of_question = |question: usize| {
            let mut sums = vec![0.0_f64; self.codes.levels(question) * m];
            let mut add = |block: &[f32], first: usize, width: usize| {
                for (sums, values) in sums.chunks_mut(m).zip(block.chunks(width)) {
                    for (&value, left) in values
                        .iter()
                        .zip(left[first * m..].chunks(m))
                        .filter(|(value, _)| **value != 0.0)
                    {
                        sums.iter_mut()
                            .zip(left)
                            .for_each(|(sum, &left)| *sum += f64::from(value * left));
                    }
                }
            };
            if let Some(kept) = self.kept.get(question) {
                add(kept, 0, self.codes.one_hot());
            } else {
                for other in (0..self.codes.questions()).filter(|&other| other != question) {
                    add(
                        &self.block(question, other),
                        self.codes.offset(other),
                        self.codes.levels(other),
                    );
                }
            }
            sums
        };
        let parts: Vec<Vec<f64>> = (0..self.codes.questions())
            .into_par_iter()
            .map(of_question)
            .collect();
        into.iter_mut()
            .zip(parts.into_iter().flatten())
            .for_each(|(into, sum)| *into = sum);
    }

    fn means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.codes.one_hot()];
        self.transposed_times(&vec![1.0; self.codes.one_hot()], 1, &mut sums);
        sums.iter()
            .map(|sum| sum / self.codes.one_hot() as f64)
            .collect()
    }

    fn variance(&self) -> f64 {
        let square = |question: usize| -> f64 {
            let values = self
                .kept
                .get(question)
                .cloned()
                .unwrap_or_else(|| self.of_question(question));
            values.iter().map(|&value| f64::from(value).powi(2)).sum()
        };
        let squares: Vec<f64> = (0..self.codes.questions())
            .into_par_iter()
            .map(square)
            .collect();
        let mean_square = squares.iter().sum::<f64>() / self.codes.one_hot() as f64;
        (mean_square - self.means().iter().map(|mean| mean * mean).sum::<f64>()).max(0.0)
    }
}
