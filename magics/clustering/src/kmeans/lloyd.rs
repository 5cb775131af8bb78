//! Lloyd's iterations, wherever the rows come from.

use rayon::prelude::*;

use super::batch::Epochs;
use super::rows::normalise;
use crate::error::ClusteringError;
use crate::fit::{Fit, Iteration, Stop};
use crate::options::{Metric, Options};
use crate::watch::Watch;

/// Far rows that are looked at for each empty cluster: some are equal, some are all that their cluster has.
const SPARE: usize = 4;
/// Values of centroids whose shift one thread sums.
const PIECE: usize = 1 << 14;

/// Where rows come from: memory, or blocks that are read again in each pass.
pub(super) trait Source {
    /// Rows.
    fn rows(&self) -> usize;
    /// Columns.
    fn dims(&self) -> usize;
    /// Distance.
    fn metric(&self) -> Metric;
    /// Labels all rows; `None` when the user stopped it.
    fn assign(
        &mut self,
        centroids: &[f32],
        k: usize,
        before: &[u32],
        labels: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<Option<Totals>, ClusteringError>;
    /// The rows that are farthest from their centroid, the farthest first.
    fn farthest(
        &mut self,
        centroids: &[f32],
        k: usize,
        count: usize,
    ) -> Result<Vec<Far>, ClusteringError>;
    /// Lowers `distances` to those of nearer candidates, and says which (counted from `first`).
    fn approach(
        &mut self,
        candidates: &[f32],
        first: u32,
        distances: &mut [f32],
        owners: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<(), ClusteringError>;
    /// Some rows, as centroids, in the order of their ascending numbers.
    fn fetch(&mut self, rows: &[usize]) -> Result<Vec<f32>, ClusteringError>;
    /// Weight of a row.
    fn weight(&self, row: usize) -> f64;
    /// The inertia by differences, where that is cheap.
    fn exact_inertia(
        &mut self,
        centroids: &[f32],
        labels: &[u32],
    ) -> Result<Option<f64>, ClusteringError>;
}

/// What one pass finds.
#[derive(Debug)]
pub(super) struct Totals {
    /// Sums of rows by cluster, `k × dims`.
    pub(super) sums: Vec<f64>,
    /// Sums of weights.
    pub(super) masses: Vec<f64>,
    /// Rows.
    pub(super) counts: Vec<usize>,
    pub(super) inertia: f64,
    /// Sum of weighted squared norms, of whose digits the inertia has lost some.
    pub(super) spread: f64,
    pub(super) moved: usize,
}

impl Totals {
    /// Of nothing; `size` is `k × dims`.
    pub(super) fn new(k: usize, size: usize) -> Totals {
        Totals {
            sums: vec![0.0; size],
            masses: vec![0.0; k],
            counts: vec![0; k],
            inertia: 0.0,
            spread: 0.0,
            moved: 0,
        }
    }

    /// Adds those of other rows.
    pub(super) fn merge(&mut self, other: &Totals) {
        self.sums
            .iter_mut()
            .zip(&other.sums)
            .for_each(|(sum, more)| *sum += more);
        self.masses
            .iter_mut()
            .zip(&other.masses)
            .for_each(|(sum, more)| *sum += more);
        self.counts
            .iter_mut()
            .zip(&other.counts)
            .for_each(|(sum, more)| *sum += more);
        self.inertia += other.inertia;
        self.spread += other.spread;
        self.moved += other.moved;
    }
}

/// A row that may become the centroid of an empty cluster.
#[derive(Debug, Clone)]
pub(super) struct Far {
    pub(super) row: usize,
    pub(super) label: u32,
    pub(super) distance: f32,
    pub(super) weight: f64,
    /// The row as a centroid.
    pub(super) values: Vec<f32>,
    /// What the row adds to the sum of its cluster.
    pub(super) pulls: Vec<f64>,
}

/// `Σ‖x‖² − Σ (2 s·c − w‖c‖²)`, with `s` the sum of the rows of a centroid, all from the origin.
pub(super) fn inertia(totals: &Totals, centroids: &[f32], origin: &[f32]) -> f64 {
    let dims = origin.len();
    let clusters = centroids
        .par_chunks_exact(dims)
        .zip(totals.sums.par_chunks_exact(dims));
    let gains: Vec<f64> = clusters
        .zip(&totals.masses)
        .map(|((centroid, sums), &mass)| {
            let columns = centroid.iter().zip(sums).zip(origin);
            let gain = columns.map(|((&centroid, sum), &origin)| {
                let (origin, centroid) = (f64::from(origin), f64::from(centroid));
                let place = centroid - origin;
                place * (2.0 * (sum - mass * origin) - mass * place)
            });
            gain.sum()
        })
        .collect();
    (totals.spread - gains.iter().sum::<f64>()).max(0.0)
}

/// What one start finds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) labels: Vec<u32>,
    pub(super) centroids: Vec<f32>,
    pub(super) counts: Vec<usize>,
    pub(super) inertia: f64,
    pub(super) spread: f64,
    pub(super) iterations: usize,
    pub(super) stop: Stop,
}

impl Found {
    /// The same, marked as stopped by the user.
    pub(super) fn interrupted(self) -> Found {
        Found {
            stop: Stop::Interrupted,
            ..self
        }
    }

    /// For the outside.
    pub(super) fn into_fit(self, dims: usize, options: &Options, distinct: Option<usize>) -> Fit {
        Fit {
            labels: self.labels,
            centroids: self.centroids,
            k: self.counts.len(),
            dims,
            metric: options.metric,
            inertia: self.inertia,
            sizes: self.counts,
            iterations: self.iterations,
            stop: self.stop,
            distinct,
        }
    }
}

/// Iterates until rows or centroids rest; labels always belong to the centroids that are returned.
pub(super) fn run(
    source: &mut dyn Epochs,
    mut centroids: Vec<f32>,
    start: usize,
    tolerance: f64,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Found, ClusteringError> {
    let (k, n_rows) = (options.k, source.rows());
    let (mut before, mut labels) = (vec![u32::MAX; n_rows], vec![0; n_rows]);
    let mut kept: Option<Found> = None;
    let mut stop = Stop::MaxIter;
    for number in 1..=options.max_iter + 1 {
        let Some(totals) = source.assign(&centroids, k, &before, &mut labels, watch)? else {
            return kept
                .map(|kept| {
                    Found {
                        labels: before,
                        ..kept
                    }
                    .interrupted()
                })
                .ok_or(ClusteringError::Stopped);
        };
        let of_totals = |labels, centroids, stop, iterations| Found {
            labels,
            centroids,
            counts: totals.counts.clone(),
            inertia: totals.inertia,
            spread: totals.spread,
            iterations,
            stop,
        };
        if stop != Stop::MaxIter || number > options.max_iter {
            let stop = if totals.moved == 0 {
                Stop::Settled
            } else {
                stop
            };
            return Ok(of_totals(labels, centroids, stop, number - 1));
        }
        let mut report = Iteration {
            start,
            number,
            inertia: totals.inertia,
            moved: totals.moved,
            shift: 0.0,
            reseeded: 0,
        };
        if totals.moved == 0 {
            watch.iteration(&report);
            return Ok(of_totals(labels, centroids, Stop::Settled, number));
        }
        let found = of_totals(Vec::new(), Vec::new(), stop, number);
        let (next, reseeded) = match moved(source, &centroids, totals) {
            Err(ClusteringError::Stopped) => {
                return Ok(Found {
                    labels,
                    centroids,
                    ..found
                }
                .interrupted());
            }
            other => other?,
        };
        report.shift = shift(&centroids, &next);
        report.reseeded = reseeded;
        watch.iteration(&report);
        if reseeded == 0 && report.shift <= tolerance {
            stop = Stop::Tolerance;
        }
        kept = Some(Found {
            centroids: std::mem::replace(&mut centroids, next),
            ..found
        });
        std::mem::swap(&mut before, &mut labels);
    }
    Err(ClusteringError::Stopped)
}

/// The centroids of the labels, far rows in place of empty clusters, and how many of these.
fn moved(
    source: &mut dyn Source,
    centroids: &[f32],
    mut totals: Totals,
) -> Result<(Vec<f32>, usize), ClusteringError> {
    let dims = source.dims();
    let empty: Vec<usize> = (0..totals.masses.len())
        .filter(|&j| totals.masses[j] <= 0.0)
        .collect();
    let mut chosen: Vec<Far> = Vec::new();
    if !empty.is_empty() {
        let far = source.farthest(centroids, totals.masses.len(), empty.len() * SPARE)?;
        for far in far {
            let label = far.label as usize;
            let alone = totals.counts[label] <= 1;
            let known = chosen.iter().any(|chosen| chosen.values == far.values);
            if chosen.len() == empty.len() || alone || known || at_centroid(&far, centroids) {
                continue;
            }
            totals.counts[label] -= 1;
            totals.masses[label] -= far.weight;
            let sums = &mut totals.sums[label * dims..(label + 1) * dims];
            sums.iter_mut()
                .zip(&far.pulls)
                .for_each(|(sum, pull)| *sum -= pull);
            chosen.push(far);
        }
    }
    let metric = source.metric();
    let mut next = vec![0.0; centroids.len()];
    next.par_chunks_exact_mut(dims)
        .zip(centroids.par_chunks_exact(dims))
        .zip(totals.sums.par_chunks_exact(dims).zip(&totals.masses))
        .for_each(|((next, before), (sums, &mass))| {
            next.copy_from_slice(before);
            if mass > 0.0 {
                centre(metric, next, sums, mass);
            }
        });
    for (&cluster, far) in empty.iter().zip(&chosen) {
        next[cluster * dims..(cluster + 1) * dims].copy_from_slice(&far.values);
    }
    Ok((next, chosen.len()))
}

/// Whether a far row is where its centroid is, so that nothing but rounding parts them.
fn at_centroid(far: &Far, centroids: &[f32]) -> bool {
    let dims = far.values.len();
    let centroid = &centroids[far.label as usize * dims..][..dims];
    centroid == far.values
}

/// The mean of a cluster, or its direction; where there is none, the centroid stays.
pub(super) fn centre(metric: Metric, centroid: &mut [f32], sums: &[f64], mass: f64) {
    let scale = match metric {
        Metric::L2 => mass,
        Metric::Cosine => sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt(),
    };
    if scale > 0.0 {
        centroid
            .iter_mut()
            .zip(sums)
            .for_each(|(value, sum)| *value = (sum / scale) as f32);
    }
    if metric == Metric::Cosine {
        normalise(centroid);
    }
}

/// Squared shift of all centroids.
pub(super) fn shift(before: &[f32], after: &[f32]) -> f64 {
    let pieces = before.par_chunks(PIECE).zip(after.par_chunks(PIECE));
    let of_piece = |(before, after): (&[f32], &[f32])| -> f64 {
        let pairs = before.iter().zip(after);
        pairs
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum()
    };
    pieces.map(of_piece).collect::<Vec<f64>>().iter().sum()
}

/// The squared shift at which to stop: `options.tolerance` times the mean variance of the columns.
pub(super) fn tolerance(
    source: &mut dyn Source,
    options: &Options,
    watch: &dyn Watch,
) -> Result<f64, ClusteringError> {
    if options.tolerance <= 0.0 {
        // Not even a shift of zero: rows settle then.
        return Ok(-1.0);
    }
    let (n_rows, dims) = (source.rows(), source.dims());
    let (before, mut labels) = (vec![0; n_rows], vec![0; n_rows]);
    let mut pass = |source: &mut dyn Source, centroid: &[f32]| {
        source
            .assign(centroid, 1, &before, &mut labels, watch)?
            .ok_or(ClusteringError::Stopped)
    };
    let totals = pass(source, &vec![0.0; dims])?;
    let mean: Vec<f32> = totals
        .sums
        .iter()
        .map(|sum| (sum / totals.masses[0]) as f32)
        .collect();
    let variance = match source.metric() {
        Metric::L2 => pass(source, &mean)?.inertia / totals.masses[0],
        // Rows of length 1: the mean square is 1.
        Metric::Cosine => {
            1.0 - mean
                .iter()
                .map(|&value| f64::from(value).powi(2))
                .sum::<f64>()
        }
    };
    Ok(options.tolerance * variance / dims as f64)
}
