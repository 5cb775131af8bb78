//! Answers as a matrix of one-hot columns that is multiplied and never made.

use rayon::prelude::*;

use super::Codes;
use crate::points::Points;
use crate::product::Product;

impl Product for Codes {
    fn rows(&self) -> usize {
        self.n_rows
    }

    fn dims(&self) -> usize {
        Points::dims(self)
    }

    fn times(&self, right: &[f32], m: usize, into: &mut [f32]) {
        if m == 0 {
            return;
        }
        let tiles = self.tiles(&vec![0.0; m], |column, at| right[column * m + at]);
        let block = self.block();
        into.par_chunks_mut(block * m)
            .enumerate()
            .for_each(|(number, into)| {
                let first = number * block;
                tiles.all(self, &(first..first + into.len() / m), into);
            });
    }

    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]) {
        let (questions, numeric) = into.split_at_mut(self.one_hot() * m);
        let mut parts = Vec::new();
        let mut rest = questions;
        for question in 0..self.questions() {
            let (part, tail) = rest.split_at_mut(self.levels(question) * m);
            parts.push(part);
            rest = tail;
        }
        parts
            .into_par_iter()
            .enumerate()
            .for_each(|(question, part)| self.question_times(question, left, m, part));
        numeric
            .par_chunks_mut(m)
            .zip(&self.numeric)
            .for_each(|(sums, values)| {
                sums.fill(0.0);
                for (&value, left) in values.iter().zip(left.chunks(m)) {
                    for (sum, &left) in sums.iter_mut().zip(left) {
                        *sum += f64::from(value) * f64::from(left);
                    }
                }
            });
    }

    fn means(&self) -> Vec<f64> {
        let ones = vec![1.0; self.n_rows];
        let mut sums = vec![0.0; Points::dims(self)];
        self.transposed_times(&ones, 1, &mut sums);
        sums.iter().map(|sum| sum / self.n_rows as f64).collect()
    }

    fn variance(&self) -> f64 {
        let mut norms = vec![0.0; self.n_rows];
        self.squared_norms(0..self.n_rows, &mut norms);
        let mean_square =
            norms.iter().map(|&norm| f64::from(norm)).sum::<f64>() / self.n_rows as f64;
        (mean_square
            - Product::means(self)
                .iter()
                .map(|mean| mean * mean)
                .sum::<f64>())
        .max(0.0)
    }
}

impl Codes {
    /// The transposed columns of one question times `left`.
    fn question_times(&self, question: usize, left: &[f32], m: usize, into: &mut [f64]) {
        into.fill(0.0);
        let mut left = left.chunks(m);
        let mut answered = vec![0.0; m];
        let levels = self.levels(question);
        self.each_answer(question, |code| {
            let Some(left) = left.next().filter(|_| code < levels) else {
                return;
            };
            for (sum, &left) in into[code * m..][..m].iter_mut().zip(left) {
                *sum += f64::from(left);
            }
        });
        if self.centre.is_some() {
            for sums in into.chunks(m) {
                answered
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(answered, &sum)| *answered += sum);
            }
        }
        for (column, sums) in self.columns(question).zip(into.chunks_mut(m)) {
            let (factor, shift) = (
                f64::from(self.factor(column)),
                f64::from(self.shift(column)),
            );
            sums.iter_mut()
                .zip(&answered)
                .for_each(|(sum, &all)| *sum = factor * *sum - shift * all);
        }
    }
}
