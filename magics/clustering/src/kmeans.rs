//! K-means: Lloyd's iterations over rows of any form.

mod answers;
mod batch;
mod blocks;
mod bounds;
mod chance;
mod compare;
mod lloyd;
mod memory;
mod plus_plus;
mod rows;
mod start;
mod sweep;

use crate::error::ClusteringError;
use crate::fit::{Fit, Stop};
use crate::options::{Init, Options};
use crate::points::Points;
use crate::watch::Watch;
use batch::Epochs;
pub use blocks::{Blocks, fit_blocks};
use lloyd::{Found, Source};
pub(crate) use rows::Rows;

/// Below this share of the squared norms, the inertia is summed anew by differences, for it has lost digits.
const EXACT: f64 = 0.01;

/// Groups rows into `options.k` clusters (Lloyd 1982), each row counted `weights` times where given.
///
/// Costs O(n · k · dims) an iteration. The same options give the same bits for any number of threads. When it is
/// stopped, the best so far is returned with [`Stop::Interrupted`], or [`ClusteringError::Stopped`] before there is any.
pub fn fit<P: Points>(
    points: &P,
    weights: Option<&[f32]>,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Fit, ClusteringError> {
    let rows = Rows::new(points, weights, options.metric)?;
    check(points.rows(), options)?;
    let found = best_of(&mut &rows, options, watch, |source, number, tolerance| {
        let centroids = start::centroids(&rows, options, number, watch)?;
        one_start(source, centroids, number, tolerance, options, watch)
    })?;
    let distinct = rows.distinct(&found);
    Ok(found.into_fit(points.dims(), options, distinct))
}

/// The best of `options.n_init` starts, or of those before the user stopped it.
fn best_of<S: Source>(
    source: &mut S,
    options: &Options,
    watch: &dyn Watch,
    mut one: impl FnMut(&mut S, usize, f64) -> Result<Found, ClusteringError>,
) -> Result<Found, ClusteringError> {
    let given = matches!(options.init, Init::Given(_));
    let starts = if given { 1 } else { options.n_init.max(1) };
    let tolerance = lloyd::tolerance(source, options, watch)?;
    let mut best: Option<Found> = None;
    for number in 0..starts {
        let found = match (one(source, number, tolerance), best.take()) {
            (Err(ClusteringError::Stopped), Some(best)) => return Ok(best.interrupted()),
            (found, None) => found?,
            (found, Some(best)) => {
                let (found, stop) = (found?, Stop::Interrupted);
                let interrupted = found.stop == stop;
                let better = if found.inertia < best.inertia {
                    found
                } else {
                    best
                };
                if interrupted {
                    better.interrupted()
                } else {
                    better
                }
            }
        };
        if found.stop == Stop::Interrupted {
            return Ok(found);
        }
        best = Some(found);
    }
    best.ok_or(ClusteringError::Stopped)
}

fn one_start(
    source: &mut dyn Epochs,
    centroids: Vec<f32>,
    number: usize,
    tolerance: f64,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Found, ClusteringError> {
    let run = if options.batch.is_some() {
        batch::run
    } else {
        lloyd::run
    };
    let mut found = run(source, centroids, number, tolerance, options, watch)?;
    if found.inertia < EXACT * found.spread
        && let Some(inertia) = source.exact_inertia(&found.centroids, &found.labels)?
    {
        found.inertia = inertia;
    }
    Ok(found)
}

fn check(n_rows: usize, options: &Options) -> Result<(), ClusteringError> {
    if options.k == 0 {
        return Err(ClusteringError::Shape {
            what: "clusters".to_owned(),
            found: 0,
            wanted: 1,
        });
    }
    if options.k > n_rows {
        return Err(ClusteringError::TooFewRows {
            k: options.k,
            n_rows,
        });
    }
    Ok(())
}

/// The nearest centroid of each row.
pub fn predict<P: Points>(
    points: &P,
    fit: &Fit,
    watch: &dyn Watch,
) -> Result<Vec<u32>, ClusteringError> {
    same_dims(points, fit)?;
    let rows = Rows::new(points, None, fit.metric)?;
    let mut labels = vec![0; points.rows()];
    rows.labels(&fit.centroids, fit.k, &mut labels, watch)?;
    Ok(labels)
}

/// Distances (not squared) of each row to each centroid, row-major `n × k`; for the cosine, of rows of length 1.
pub fn transform<P: Points>(
    points: &P,
    fit: &Fit,
    watch: &dyn Watch,
) -> Result<Vec<f32>, ClusteringError> {
    same_dims(points, fit)?;
    let rows = Rows::new(points, None, fit.metric)?;
    let mut distances = rows.distances(&fit.centroids, fit.k, watch)?;
    for distance in &mut distances {
        *distance = distance.sqrt();
    }
    Ok(distances)
}

fn same_dims<P: Points>(points: &P, fit: &Fit) -> Result<(), ClusteringError> {
    if points.dims() == fit.dims {
        return Ok(());
    }
    Err(ClusteringError::Shape {
        what: "columns".to_owned(),
        found: points.dims(),
        wanted: fit.dims,
    })
}

#[cfg(test)]
mod tests;
