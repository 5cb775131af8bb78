//! Greedy k-means++: of a few rows drawn by their squared distance, the one that lowers the inertia most.

use fastrand::Rng;
use rayon::prelude::*;

use super::chance::generator;
use super::rows::Rows;
use crate::error::ClusteringError;
use crate::points::Points;
use crate::watch::Watch;

const PURPOSE: u64 = 4;

/// Chooses `k` rows (Arthur and Vassilvitskii 2007), `2 + ⌊ln k⌋` trials for each, in O(n · k · trials · dims).
///
/// All trials of a centroid are compared with all rows in one pass, so the cost is that of reading the rows `k` times.
pub(super) fn choose<P: Points>(
    rows: &Rows<P>,
    k: usize,
    seed: u64,
    start: usize,
    watch: &dyn Watch,
) -> Result<Vec<f32>, ClusteringError> {
    let dims = rows.points.dims();
    let trials = 2 + (k as f64).ln() as usize;
    let mut generator = generator(seed, start, PURPOSE);
    let mut state = State::new(rows, trials);
    let mut centroids = vec![0.0; k * dims];
    for (number, centroid) in centroids.chunks_exact_mut(dims).enumerate() {
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        // All rows are equally far from no centroid, so the first is drawn by weight alone.
        let drawn = if number == 0 { 1 } else { trials };
        let candidates: Vec<usize> = (0..drawn).map(|_| state.draw(&mut generator)).collect();
        let chosen = state.take(&candidates);
        rows.copy(chosen, centroid);
        watch.step(number + 1, k, "choosing first centroids");
    }
    Ok(centroids)
}

/// How far each row is from the centroids so far.
struct State<'a, P> {
    rows: &'a Rows<'a, P>,
    block: usize,
    trials: usize,
    closest: Vec<f32>,
    /// Distances to the candidates, block by block `trials × rows`.
    distances: Vec<f32>,
    /// Sums of weight times distance, by block.
    potentials: Vec<f64>,
}

impl<'a, P: Points> State<'a, P> {
    fn new(rows: &'a Rows<'a, P>, trials: usize) -> State<'a, P> {
        let (n_rows, block) = (rows.points.rows(), rows.points.block());
        let blocks = 0..n_rows.div_ceil(block);
        let mass = |number: usize| -> f64 {
            let rows_here = number * block..(number * block + block).min(n_rows);
            rows_here.map(|row| rows.weight(row)).sum()
        };
        State {
            rows,
            block,
            trials,
            closest: vec![f32::INFINITY; n_rows],
            distances: vec![0.0; n_rows * trials],
            potentials: blocks.map(mass).collect(),
        }
    }

    /// What a row adds to the potential.
    fn potential(&self, row: usize) -> f64 {
        let distance = self.closest[row];
        let distance = if distance == f32::INFINITY {
            1.0
        } else {
            f64::from(distance)
        };
        self.rows.weight(row) * distance
    }

    /// Draws a row in proportion to its potential.
    fn draw(&self, generator: &mut Rng) -> usize {
        let total: f64 = self.potentials.iter().sum();
        if total <= 0.0 {
            return generator.usize(..self.closest.len());
        }
        let mut left = generator.f64() * total;
        let mut block = 0;
        while block + 1 < self.potentials.len() && left >= self.potentials[block] {
            left -= self.potentials[block];
            block += 1;
        }
        let rows = block * self.block..((block + 1) * self.block).min(self.closest.len());
        let mut drawn = rows.start;
        for row in rows {
            let potential = self.potential(row);
            if potential > 0.0 {
                drawn = row;
                if left < potential {
                    break;
                }
                left -= potential;
            }
        }
        drawn
    }

    /// Takes the best of the candidates.
    fn take(&mut self, candidates: &[usize]) -> usize {
        let potentials = self.compare(candidates);
        let total = |trial: usize| -> f64 { potentials.iter().map(|block| block[trial]).sum() };
        let totals: Vec<f64> = (0..candidates.len()).map(total).collect();
        let best = (0..candidates.len())
            .min_by(|&a, &b| totals[a].total_cmp(&totals[b]))
            .unwrap_or(0);
        let (block, trials, count) = (self.block, self.trials, candidates.len());
        self.closest
            .par_chunks_mut(block)
            .zip(self.distances.par_chunks(block * trials))
            .for_each(|(closest, distances)| {
                let distances = distances[..closest.len() * count]
                    .iter()
                    .skip(best)
                    .step_by(count);
                closest
                    .iter_mut()
                    .zip(distances)
                    .for_each(|(closest, &distance)| *closest = closest.min(distance));
            });
        self.potentials = potentials.iter().map(|block| block[best]).collect();
        // By rounding a row may seem to be away from itself.
        let chosen = candidates[best];
        self.potentials[chosen / block] -= self.potential(chosen);
        self.closest[chosen] = 0.0;
        chosen
    }

    /// Distances of all rows to the candidates, and the potential of each block with each candidate.
    fn compare(&mut self, candidates: &[usize]) -> Vec<Vec<f64>> {
        let (rows, block, count) = (self.rows, self.block, candidates.len());
        let mut values = vec![0.0; rows.points.dims()];
        let singles: Vec<P::Ready> = candidates
            .iter()
            .map(|&candidate| {
                rows.copy(candidate, &mut values);
                rows.ready(&values, 1)
            })
            .collect();
        let singles: Vec<&P::Ready> = singles.iter().collect();
        self.closest
            .par_chunks(block)
            .zip(self.distances.par_chunks_mut(block * self.trials))
            .enumerate()
            .map(|(number, (closest, distances))| {
                let first = number * block;
                let distances = &mut distances[..closest.len() * count];
                rows.points
                    .scores(first..first + closest.len(), &singles, distances);
                let mut potentials = vec![0.0; count];
                for (i, (distances, &closest)) in
                    distances.chunks_exact_mut(count).zip(closest).enumerate()
                {
                    let weight = rows.weight(first + i);
                    for (distance, potential) in distances.iter_mut().zip(&mut potentials) {
                        *distance = rows.distance(first + i, *distance);
                        *potential += weight * f64::from(distance.min(closest));
                    }
                }
                potentials
            })
            .collect()
    }
}
