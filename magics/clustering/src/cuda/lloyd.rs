//! Lloyd's iterations over rows on a card; the same steps, in the same order, as on the CPU.

use super::data::{Data, Grouping};
use super::error::CudaError;
use super::model::{Model, Totals};
use crate::error::ClusteringError;
use crate::fit::{Iteration, Stop};
use crate::options::Options;
use crate::watch::Watch;

/// Far rows that are looked at for each empty cluster: some are equal, some are all that their cluster has.
const SPARE: usize = 4;

/// What one start finds; labels belong to the centroids.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) labels: Vec<u32>,
    pub(super) centroids: Vec<f32>,
    pub(super) sizes: Vec<usize>,
    pub(super) inertia: f64,
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
}

/// What was known when the last whole pass ended.
struct Kept {
    sizes: Vec<u64>,
    inertia: f64,
    iterations: usize,
}

/// Iterates from `centroids` (k × columns) until rows or centroids rest.
///
/// `tolerance` is the squared shift of all centroids at which it stops. Stopped by the user, it gives the last whole
/// pass, or [`ClusteringError::Stopped`] if there was none.
pub(super) fn run(
    data: &dyn Data,
    centroids: &[f32],
    start: usize,
    tolerance: f64,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Found, CudaError> {
    let size = (options.k, data.width());
    let mut model = Model::new(
        data.engine(),
        (data.stream().n_rows(), data.chunk()),
        size,
        data.reduced(),
        data.metric(),
    )?;
    model.set(centroids, data.columns())?;
    let grouping = data.grouping(options.k, true)?;
    let mut kept: Option<Kept> = None;
    let mut stop = Stop::MaxIter;
    for number in 1..=options.max_iter + 1 {
        let Some(totals) = pass(data, &*grouping, &model, watch)? else {
            // The kept labels belong to the centroids before.
            let kept = kept.ok_or(ClusteringError::Stopped)?;
            return found(
                &model,
                model.next_centroids(data.columns())?,
                &kept,
                Stop::Interrupted,
            );
        };
        let (cost, mut shift) = model.propose()?;
        let inertia = (cost + data.total_square()).max(0.0);
        let ended = stop != Stop::MaxIter || number > options.max_iter;
        let settled = totals.moved == 0;
        let mut report = Iteration {
            start,
            number,
            inertia,
            moved: totals.moved as usize,
            shift: 0.0,
            reseeded: 0,
        };
        if ended || settled {
            if !ended {
                watch.iteration(&report);
                stop = Stop::Settled;
            }
            let inertia = data.exact_inertia(&model, watch)?.unwrap_or(inertia);
            let kept = Kept {
                sizes: totals.sizes,
                inertia,
                iterations: if ended { number - 1 } else { number },
            };
            return found(&model, model.centroids(data.columns())?, &kept, stop);
        }
        if totals.mass.iter().any(|&mass| mass <= 0.0) {
            (report.reseeded, shift) = reseed(data, &mut model, &totals, shift)?;
        }
        report.shift = shift;
        watch.iteration(&report);
        if report.reseeded == 0 && shift <= tolerance {
            stop = Stop::Tolerance;
        }
        kept = Some(Kept {
            sizes: totals.sizes,
            inertia,
            iterations: number,
        });
        model.advance();
    }
    Err(ClusteringError::Stopped.into())
}

/// Labels all rows and adds them up; `None` when the user stopped it.
pub(super) fn pass(
    data: &dyn Data,
    grouping: &dyn Grouping,
    model: &Model,
    watch: &dyn Watch,
) -> Result<Option<Totals>, CudaError> {
    grouping.begin(model)?;
    let whole = data.stream().pass(watch, &mut |chunk| {
        grouping.assign(model, chunk)?;
        grouping.add(model, chunk)
    })?;
    if !whole {
        return Ok(None);
    }
    grouping.end(model)?;
    model.end_pass().map(Some)
}

fn found(model: &Model, centroids: Vec<f32>, kept: &Kept, stop: Stop) -> Result<Found, CudaError> {
    Ok(Found {
        labels: model.kept_labels()?,
        centroids,
        sizes: kept.sizes.iter().map(|&size| size as usize).collect(),
        inertia: kept.inertia,
        iterations: kept.iterations,
        stop,
    })
}

/// Puts far rows in the place of empty clusters' next centroids; how many, and the squared shift then.
///
/// Rare, hence on the host: distances come over, the far rows leave their clusters, and the means are taken again.
fn reseed(
    data: &dyn Data,
    model: &mut Model,
    totals: &Totals,
    shift: f64,
) -> Result<(usize, f64), CudaError> {
    let empty: Vec<usize> = (0..model.k)
        .filter(|&cluster| totals.mass[cluster] <= 0.0)
        .collect();
    let labels = model.kept_labels()?;
    let (mut sizes, mut mass) = (totals.sizes.clone(), totals.mass.clone());
    let centroids = model.centroids(data.columns())?;
    let mut chosen: Vec<Vec<f32>> = Vec::new();
    for row in farthest(data, model, empty.len() * SPARE)? {
        let label = labels[row] as usize;
        let values = data.row(row);
        let there = centroids[label * data.columns()..][..data.columns()] == values[..];
        if chosen.len() == empty.len() || sizes[label] <= 1 || there || chosen.contains(&values) {
            continue;
        }
        sizes[label] -= 1;
        mass[label] -= data.weight(row);
        let mut sums: Vec<f64> = model.sums.read(label * model.width, model.width)?;
        sums.iter_mut()
            .zip(&values)
            .for_each(|(sum, &value)| *sum -= data.weight(row) * f64::from(value));
        data.engine().write(
            model.sums.at::<f64>(label * model.width),
            bytemuck::cast_slice(&sums),
        )?;
        chosen.push(values);
    }
    if chosen.is_empty() {
        return Ok((0, shift));
    }
    model.mass.write(&mass)?;
    model.propose()?;
    for (&cluster, values) in empty.iter().zip(&chosen) {
        model.reseed(
            cluster,
            &super::model::padded(values, data.columns(), model.width),
        )?;
    }
    let next = model.next_centroids(data.columns())?;
    let squares = centroids
        .iter()
        .zip(&next)
        .map(|(before, after)| (f64::from(*before) - f64::from(*after)).powi(2));
    Ok((chosen.len(), squares.sum()))
}

/// The rows that are farthest from their centroids, the farthest first.
fn farthest(data: &dyn Data, model: &Model, count: usize) -> Result<Vec<usize>, CudaError> {
    let n_rows = data.stream().n_rows();
    let scores: Vec<f32> = model.scores.read(0, n_rows)?;
    let squares: Vec<f32> = data.squares().read(0, n_rows)?;
    let distances = scores
        .iter()
        .zip(&squares)
        .map(|(score, square)| (2.0 * score + square).max(0.0));
    let mut far: Vec<(f32, usize)> = distances
        .zip(0..)
        .filter(|&(distance, row)| distance > 0.0 && data.weight(row) > 0.0)
        .collect();
    let order = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if far.len() > count && count > 0 {
        far.select_nth_unstable_by(count - 1, order);
        far.truncate(count);
    }
    far.sort_unstable_by(order);
    Ok(far.into_iter().map(|(_, row)| row).collect())
}
