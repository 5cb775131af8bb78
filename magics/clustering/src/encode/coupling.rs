//! What an answer says about the other answers, without a matrix of all pairs.

use crate::codes::Codes;
use crate::points::Points;
use crate::product::Product;

/// Rows in the space of coupled answers, centred: `X S P` minus its means, where `P(v, u)` is the share of level `u`
/// among the rows with level `v`. Each product is three passes over the codes.
pub(super) struct Coupling<'a> {
    codes: &'a Codes,
    scale: &'a [f32],
    counts: Vec<f64>,
    means: Vec<f64>,
}

impl Coupling<'_> {
    pub(super) fn new<'a>(codes: &'a Codes, scale: &'a [f32]) -> Coupling<'a> {
        let counts = codes
            .counts()
            .iter()
            .map(|&count| count.max(1) as f64)
            .collect();
        let mut coupling = Coupling {
            codes,
            scale,
            counts,
            means: vec![0.0; scale.len()],
        };
        let mut sums = vec![0.0; scale.len()];
        coupling.transposed_times(&vec![1.0; Points::rows(codes)], 1, &mut sums);
        coupling.means = sums
            .iter()
            .map(|sum| sum / Points::rows(codes) as f64)
            .collect();
        coupling
    }

    /// `P · right`: where each level stands on `m` axes, row-major `levels × m`.
    pub(super) fn values(&self, right: &[f32], m: usize) -> Vec<f32> {
        if m == 0 {
            return Vec::new();
        }
        let mut rows = vec![0.0; Points::rows(self.codes) * m];
        self.codes.times(right, m, &mut rows);
        let mut values = vec![0.0; self.scale.len() * m];
        self.codes.transposed_times(&rows, m, &mut values);
        let values = values.chunks(m).zip(&self.counts);
        values
            .flat_map(|(row, count)| row.iter().map(move |value| (value / count) as f32))
            .collect()
    }

    fn weighted(values: &mut [f32], m: usize, weights: &[f32]) {
        for (row, &weight) in values.chunks_mut(m).zip(weights) {
            for value in row {
                *value *= weight;
            }
        }
    }
}

impl Product for Coupling<'_> {
    fn rows(&self) -> usize {
        Points::rows(self.codes)
    }

    fn dims(&self) -> usize {
        self.scale.len()
    }

    fn times(&self, right: &[f32], m: usize, into: &mut [f32]) {
        let mut values = self.values(right, m);
        Coupling::weighted(&mut values, m, self.scale);
        self.codes.times(&values, m, into);
        let mut means = vec![0.0; m];
        for (row, mean) in right.chunks(m).zip(&self.means) {
            means
                .iter_mut()
                .zip(row)
                .for_each(|(sum, &value)| *sum += mean * f64::from(value));
        }
        for row in into.chunks_mut(m) {
            row.iter_mut()
                .zip(&means)
                .for_each(|(value, mean)| *value = (f64::from(*value) - mean) as f32);
        }
    }

    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]) {
        self.codes.transposed_times(left, m, into);
        let shares = into.chunks(m).zip(self.scale.iter().zip(&self.counts));
        let shares: Vec<f32> = shares
            .flat_map(|(row, (&scale, count))| {
                row.iter()
                    .map(move |value| (value * f64::from(scale) / count) as f32)
            })
            .collect();
        let mut rows = vec![0.0; Points::rows(self.codes) * m];
        self.codes.times(&shares, m, &mut rows);
        self.codes.transposed_times(&rows, m, into);
        let mut sums = vec![0.0; m];
        for row in left.chunks(m) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, &value)| *sum += f64::from(value));
        }
        for (row, mean) in into.chunks_mut(m).zip(&self.means) {
            row.iter_mut()
                .zip(&sums)
                .for_each(|(value, sum)| *value -= mean * sum);
        }
    }

    fn means(&self) -> Vec<f64> {
        vec![0.0; self.scale.len()]
    }

    fn variance(&self) -> f64 {
        let mut unit = vec![0.0; self.scale.len()];
        let mut column = vec![0.0; Points::rows(self.codes)];
        let mut sum = 0.0;
        for at in 0..unit.len() {
            unit[at] = 1.0;
            self.times(&unit, 1, &mut column);
            unit[at] = 0.0;
            sum += column
                .iter()
                .map(|&value| f64::from(value).powi(2))
                .sum::<f64>();
        }
        sum / column.len() as f64
    }
}
