//! Mini-batch k-means: centroids move after each few rows, ever less (Sculley 2010).

use rayon::prelude::*;

use super::chance::generator;
use super::lloyd::{Found, Source, centre, shift};
use super::rows::Rows;
use crate::error::ClusteringError;
use crate::fit::{Iteration, Stop};
use crate::options::Options;
use crate::points::Points;
use crate::watch::Watch;

const PURPOSE: u64 = 5;
/// Rows whose nearest centroids one thread looks for.
const TASK: usize = 128;
/// Epochs without a lower inertia after which nothing more is expected.
const PATIENCE: usize = 5;
/// Empty clusters look at this many far rows each.
const SPARE: usize = 4;

/// Rows that are taken a few at a time, all once in an epoch.
pub(super) trait Epochs: Source {
    /// Gives each batch of one epoch to `state`; `false` when the user stopped it.
    fn epoch(
        &mut self,
        batch: usize,
        generator: &mut fastrand::Rng,
        state: &mut State,
        watch: &dyn Watch,
    ) -> Result<bool, ClusteringError>;
}

impl<P: Points> Epochs for &Rows<'_, P> {
    fn epoch(
        &mut self,
        batch: usize,
        generator: &mut fastrand::Rng,
        state: &mut State,
        watch: &dyn Watch,
    ) -> Result<bool, ClusteringError> {
        Ok(state.epoch(self, 0, batch, generator, watch))
    }
}

/// Centroids on the move: each is the mean of all rows that it ever got, so that a row moves it by `1/count`.
#[derive(Debug)]
pub(super) struct State {
    k: usize,
    centroids: Vec<f32>,
    sums: Vec<f64>,
    masses: Vec<f64>,
    labels: Vec<u32>,
    inertia: f64,
    moved: usize,
    hits: Vec<usize>,
}

impl State {
    fn new(centroids: Vec<f32>, k: usize, n_rows: usize) -> State {
        State {
            k,
            sums: vec![0.0; centroids.len()],
            centroids,
            masses: vec![0.0; k],
            labels: vec![u32::MAX; n_rows],
            inertia: 0.0,
            moved: 0,
            hits: vec![0; k],
        }
    }

    /// All of `rows` in random order; their labels stand from `first` on.
    pub(super) fn epoch<P: Points>(
        &mut self,
        rows: &Rows<P>,
        first: usize,
        batch: usize,
        generator: &mut fastrand::Rng,
        watch: &dyn Watch,
    ) -> bool {
        let mut order: Vec<usize> = (0..rows.points.rows()).collect();
        generator.shuffle(&mut order);
        for chosen in order.chunks(batch.max(1)) {
            if watch.stopped() {
                return false;
            }
            self.step(rows, first, chosen);
        }
        true
    }

    fn step<P: Points>(&mut self, rows: &Rows<P>, first: usize, chosen: &[usize]) {
        let dims = rows.points.dims();
        let ready = rows.ready(&self.centroids, self.k);
        let (mut labels, mut scores) = (vec![0; chosen.len()], vec![0.0; chosen.len()]);
        chosen
            .par_chunks(TASK)
            .zip(labels.par_chunks_mut(TASK).zip(scores.par_chunks_mut(TASK)))
            .for_each(|(chosen, (labels, scores))| {
                rows.points.nearest_of(chosen, &ready, labels, scores);
            });
        let mut touched = vec![false; self.k];
        for ((&row, &label), &score) in chosen.iter().zip(&labels).zip(&scores) {
            let cluster = label as usize;
            let weight = rows.weight(row);
            self.inertia += weight * f64::from(rows.distance(row, score));
            self.masses[cluster] += weight;
            self.hits[cluster] += 1;
            self.moved +=
                usize::from(std::mem::replace(&mut self.labels[first + row], label) != label);
            touched[cluster] = true;
            let sums = &mut self.sums[cluster * dims..(cluster + 1) * dims];
            rows.points
                .add(row..row + 1, &[0], Some(&[rows.pull(row) as f32]), sums);
        }
        for (cluster, _) in touched.iter().enumerate().filter(|(_, touched)| **touched) {
            let places = cluster * dims..(cluster + 1) * dims;
            if self.masses[cluster] > 0.0 {
                let centroid = &mut self.centroids[places.clone()];
                centre(
                    rows.metric,
                    centroid,
                    &self.sums[places],
                    self.masses[cluster],
                );
            }
        }
    }

    /// Puts far rows in place of centroids that got no row in an epoch.
    fn reseed(&mut self, source: &mut dyn Source) -> Result<usize, ClusteringError> {
        let empty: Vec<usize> = (0..self.k)
            .filter(|&cluster| self.hits[cluster] == 0)
            .collect();
        if empty.is_empty() {
            return Ok(0);
        }
        let dims = source.dims();
        let mut far = source.farthest(&self.centroids, self.k, empty.len() * SPARE)?;
        far.dedup_by(|a, b| a.values == b.values);
        for (&cluster, far) in empty.iter().zip(&far) {
            let places = cluster * dims..(cluster + 1) * dims;
            self.centroids[places.clone()].copy_from_slice(&far.values);
            self.sums[places].copy_from_slice(&far.pulls);
            self.masses[cluster] = far.weight;
        }
        Ok(empty.len().min(far.len()))
    }
}

/// Epochs until centroids rest or the inertia falls no more; `max_iter` epochs at most.
///
/// The inertia of an epoch is that of its batches, each before it moved the centroids.
pub(super) fn run(
    source: &mut dyn Epochs,
    centroids: Vec<f32>,
    start: usize,
    tolerance: f64,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Found, ClusteringError> {
    let (k, n_rows) = (options.k, source.rows());
    let batch = options.batch.unwrap_or(n_rows);
    let mut generator = generator(options.seed, start, PURPOSE);
    let mut state = State::new(centroids, k, n_rows);
    let (mut stop, mut iterations) = (Stop::MaxIter, 0);
    let (mut least, mut patience) = (f64::INFINITY, PATIENCE);
    for number in 1..=options.max_iter {
        let before = state.centroids.clone();
        (state.inertia, state.moved) = (0.0, 0);
        state.hits.fill(0);
        if !source.epoch(batch, &mut generator, &mut state, watch)? {
            stop = Stop::Interrupted;
            break;
        }
        iterations = number;
        let reseeded = state.reseed(source)?;
        let report = Iteration {
            start,
            number,
            inertia: state.inertia,
            moved: state.moved,
            shift: shift(&before, &state.centroids),
            reseeded,
        };
        watch.iteration(&report);
        patience = if report.inertia < least {
            PATIENCE
        } else {
            patience - 1
        };
        least = least.min(report.inertia);
        if reseeded == 0 && (report.shift <= tolerance || patience == 0) {
            stop = Stop::Tolerance;
            break;
        }
        patience = patience.max(1);
    }
    finish(source, state, iterations, stop)
}

/// Labels all rows; that pass is not stopped, because labels of the centroids are all that is to be kept.
fn finish(
    source: &mut dyn Epochs,
    mut state: State,
    iterations: usize,
    stop: Stop,
) -> Result<Found, ClusteringError> {
    let before = vec![u32::MAX; state.labels.len()];
    let totals = source
        .assign(
            &state.centroids,
            state.k,
            &before,
            &mut state.labels,
            &crate::watch::Silent,
        )?
        .ok_or(ClusteringError::Stopped)?;
    Ok(Found {
        labels: state.labels,
        centroids: state.centroids,
        counts: totals.counts,
        inertia: totals.inertia,
        spread: totals.spread,
        iterations,
        stop,
    })
}
