//! How many rows of each cluster give each answer: whole numbers, so that rows which move correct them without a trace.

use rayon::prelude::*;

use super::Codes;

/// A row that goes to another cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Move {
    pub(crate) row: usize,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// Rows, or their weights, by answer and cluster: for each question `k × (levels + 1)`, the last of a cluster for no answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts<T>(Vec<Vec<T>>);

impl Counts<u32> {
    /// Of all rows.
    pub(crate) fn of_rows(codes: &Codes, labels: &[u32], k: usize) -> Counts<u32> {
        Counts::new(codes, k, |question, counts| {
            let (entries, mut labels) = (codes.levels(question) + 1, labels.iter());
            codes.each_answer(question, |code| {
                if let Some(&label) = labels.next() {
                    counts[label as usize * entries + code] += 1;
                }
            });
        })
    }

    /// Corrects them for rows that moved.
    pub(crate) fn correct(&mut self, codes: &Codes, moves: &[Move]) {
        let questions = self.0.par_iter_mut().enumerate();
        questions.for_each(|(question, counts)| {
            let entries = codes.levels(question) + 1;
            for &Move { row, from, to } in moves {
                let code = codes.raw(row, question);
                counts[from as usize * entries + code] -= 1;
                counts[to as usize * entries + code] += 1;
            }
        });
    }
}

impl Counts<f64> {
    /// The weights of all rows.
    pub(super) fn of_weights(
        codes: &Codes,
        labels: &[u32],
        weights: &[f32],
        k: usize,
    ) -> Counts<f64> {
        Counts::new(codes, k, |question, counts| {
            let (entries, mut rows) = (codes.levels(question) + 1, labels.iter().zip(weights));
            codes.each_answer(question, |code| {
                if let Some((&label, &weight)) = rows.next() {
                    counts[label as usize * entries + code] += f64::from(weight);
                }
            });
        })
    }
}

impl<T: Copy + Default + Into<f64> + Send + Sync> Counts<T> {
    fn new(codes: &Codes, k: usize, count: impl Fn(usize, &mut [T]) + Sync) -> Counts<T> {
        let of_question = |question: usize| {
            let mut counts = vec![T::default(); k * (codes.levels(question) + 1)];
            count(question, &mut counts);
            counts
        };
        let questions = (0..codes.questions()).into_par_iter();
        Counts(questions.map(of_question).collect())
    }

    /// Adds the rows that were counted to the one-hot columns of sums of clusters (`k × dims`).
    pub(crate) fn add_to(&self, codes: &Codes, dims: usize, sums: &mut [f64]) {
        let clusters = sums.par_chunks_exact_mut(dims).enumerate();
        clusters.for_each(|(cluster, sums)| {
            for (question, counts) in self.0.iter().enumerate() {
                let levels = codes.levels(question);
                let counts = &counts[cluster * (levels + 1)..][..levels];
                codes.add_answers(question, counts, &mut sums[codes.columns(question)]);
            }
        });
    }
}

impl Codes {
    /// Adds rows to the columns of a question, so many as `counts` says for each level.
    fn add_answers<T: Copy + Into<f64>>(&self, question: usize, counts: &[T], sums: &mut [f64]) {
        let columns = self.columns(question);
        match &self.scale {
            None => {
                for (sum, &count) in sums.iter_mut().zip(counts) {
                    *sum += count.into();
                }
            }
            Some(scale) => {
                for ((sum, &count), &factor) in
                    sums.iter_mut().zip(counts).zip(&scale[columns.clone()])
                {
                    *sum += count.into() * f64::from(factor);
                }
            }
        }
        if let Some(centre) = &self.centre {
            let answered: f64 = counts.iter().map(|&count| count.into()).sum();
            for (sum, &centre) in sums.iter_mut().zip(&centre[columns]) {
                *sum -= answered * f64::from(centre);
            }
        }
    }
}
