//! How far rows are apart in the space of the answers themselves, which is the same for whatever encoding.

use crate::codes::Codes;
use crate::points::Points;

/// Rows on which silhouettes are measured: all pairs of them are compared.
const SILHOUETTE_ROWS: usize = 1000;

/// Distances between all pairs of some rows: the root of the number of answers in which they differ, as between one-hot
/// rows.
pub(super) struct Differences {
    n_rows: usize,
    distances: Vec<f32>,
}

impl Differences {
    pub(super) fn new(answers: &Codes) -> Differences {
        let n_rows = Points::rows(answers).min(SILHOUETTE_ROWS);
        let mut distances = vec![0.0_f32; n_rows * n_rows];
        for question in 0..answers.questions() {
            let codes: Vec<Option<u32>> =
                (0..n_rows).map(|row| answers.code(row, question)).collect();
            for (into, a) in distances.chunks_mut(n_rows).zip(&codes) {
                into.iter_mut()
                    .zip(&codes)
                    .for_each(|(distance, b)| *distance += if a == b { 0.0 } else { 2.0 });
            }
        }
        for distance in &mut distances {
            *distance = distance.sqrt();
        }
        Differences { n_rows, distances }
    }

    /// The mean silhouette (Rousseeuw 1987); a row alone in its cluster counts 0.
    pub(super) fn silhouette(&self, labels: &[u32], k: usize) -> f64 {
        let labels = &labels[..self.n_rows];
        let mut sizes = vec![0_u32; k];
        for &label in labels {
            sizes[label as usize] += 1;
        }
        let of_row = |(distances, &own): (&[f32], &u32)| {
            let mut sums = vec![0.0; k];
            for (&distance, &label) in distances.iter().zip(labels) {
                sums[label as usize] += f64::from(distance);
            }
            let size = f64::from(sizes[own as usize]);
            let others = (0..k).filter(|&other| other != own as usize && sizes[other] > 0);
            let nearest = others
                .map(|other| sums[other] / f64::from(sizes[other]))
                .fold(f64::INFINITY, f64::min);
            if size < 2.0 || nearest.is_infinite() {
                return 0.0;
            }
            let inside = sums[own as usize] / (size - 1.0);
            (nearest - inside) / nearest.max(inside).max(f64::MIN_POSITIVE)
        };
        self.distances
            .chunks(self.n_rows)
            .zip(labels)
            .map(of_row)
            .sum::<f64>()
            / self.n_rows as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silhouettes_follow_their_definition() {
        // Rows at 0 0, 0 1 and 1 2: distances √2, √4, √4.
        let answers = Codes::new(&[vec![0, 0, 1], vec![0, 1, 2]], &[2, 3]).unwrap();
        let found = Differences::new(&answers).silhouette(&[0, 0, 1], 2);
        let wanted = 2.0 * (2.0 - 2.0_f64.sqrt()) / 2.0 / 3.0;
        assert!((found - wanted).abs() < 1e-6);
    }
}
