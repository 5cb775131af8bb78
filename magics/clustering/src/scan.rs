//! How many clusters there might be.

use std::ops::RangeInclusive;

use crate::error::ClusteringError;
use crate::fit::{Fit, Stop};
use crate::kmeans;
use crate::measure;
use crate::options::Options;
use crate::points::Points;
use crate::watch::Watch;

/// What one number of clusters gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scanned {
    /// Number of clusters.
    pub k: usize,
    /// Sum of squared distances.
    pub inertia: f64,
    /// Mean silhouette; not a number for one cluster.
    pub silhouette: f64,
    /// Iterations of the best start.
    pub iterations: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// What several numbers of clusters give.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// What was tried, by ascending k.
    pub tried: Vec<Scanned>,
    /// The k at the knee of the inertia, if it has one.
    pub knee: Option<usize>,
    /// The k of the highest silhouette.
    pub best_silhouette: Option<usize>,
}

/// Something that groups rows as options say: [`kmeans::fit`], or the same on a card.
pub type Grouping<'a> = dyn Fn(&Options) -> Result<Fit, ClusteringError> + 'a;

/// Tries each number of clusters in `ks` by [`kmeans::fit`]; see [`scan_by`].
pub fn scan<P: Points>(
    points: &P,
    weights: Option<&[f32]>,
    ks: RangeInclusive<usize>,
    options: &Options,
    sample: usize,
    watch: &dyn Watch,
) -> Result<Scan, ClusteringError> {
    let fit = |options: &Options| kmeans::fit(points, weights, options, watch);
    scan_by(points, &fit, ks, options, sample, watch)
}

/// Tries each number of clusters in `ks`, with `sample` rows for the silhouette.
///
/// When the user stops it, what was tried so far is returned, or [`ClusteringError::Stopped`] before there is any.
pub fn scan_by<P: Points>(
    points: &P,
    fit: &Grouping<'_>,
    ks: RangeInclusive<usize>,
    options: &Options,
    sample: usize,
    watch: &dyn Watch,
) -> Result<Scan, ClusteringError> {
    let mut tried: Vec<Scanned> = Vec::new();
    let total = ks.clone().count();
    for k in ks {
        let found = one(
            points,
            fit,
            &Options {
                k,
                ..options.clone()
            },
            sample,
            watch,
        );
        match found {
            Ok(found) if found.stop == Stop::Interrupted => break,
            Ok(found) => tried.push(found),
            Err(ClusteringError::Stopped) => break,
            Err(error) => return Err(error),
        }
        watch.step(tried.len(), total, "numbers of clusters");
    }
    if tried.is_empty() {
        return Err(ClusteringError::Stopped);
    }
    let curve: Vec<(f64, f64)> = tried
        .iter()
        .map(|found| (found.k as f64, found.inertia))
        .collect();
    let with_silhouette = tried.iter().filter(|found| found.silhouette.is_finite());
    let best =
        with_silhouette.max_by(|a, b| a.silhouette.total_cmp(&b.silhouette).then(b.k.cmp(&a.k)));
    Ok(Scan {
        knee: knee(&curve).map(|place| tried[place].k),
        best_silhouette: best.map(|found| found.k),
        tried,
    })
}

fn one<P: Points>(
    points: &P,
    fit: &Grouping<'_>,
    options: &Options,
    sample: usize,
    watch: &dyn Watch,
) -> Result<Scanned, ClusteringError> {
    let fit = fit(options)?;
    let (metric, seed) = (options.metric, options.seed);
    let silhouette = measure::silhouette(points, &fit.labels, fit.k, metric, sample, seed, watch)?;
    Ok(Scanned {
        k: fit.k,
        inertia: fit.inertia,
        silhouette: silhouette.mean,
        iterations: fit.iterations,
        stop: fit.stop,
    })
}

/// The place of the knee of a falling, convex curve of ascending `x`: where it is farthest below its chord, if that is an
/// inner point (Satopää et al. 2011, with the whole curve as one window).
pub fn knee(curve: &[(f64, f64)]) -> Option<usize> {
    let (&(x_first, y_first), &(x_last, y_last)) = (curve.first()?, curve.last()?);
    let (width, height) = (x_last - x_first, y_first - y_last);
    if curve.len() < 3 || width <= 0.0 || height <= 0.0 {
        return None;
    }
    let below = |&(x, y): &(f64, f64)| 1.0 - (x - x_first) / width - (y - y_last) / height;
    let farthest = |a: &usize, b: &usize| {
        below(&curve[*a])
            .total_cmp(&below(&curve[*b]))
            .then(b.cmp(a))
    };
    (0..curve.len())
        .max_by(farthest)
        .filter(|&place| below(&curve[place]) > 1e-9)
}
