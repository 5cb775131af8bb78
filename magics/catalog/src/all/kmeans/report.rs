//! What is measured of groups, and how the work ended.

use mlk8s_clustering::{Fit, Options, Stop, measure};

use super::Watcher;
use crate::error::MagicError;

/// Columns that are named for each cluster.
const APART: usize = 3;

/// What is measured of groups, beside the groups.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) silhouette: f64,
    pub(super) of_cluster: Vec<f64>,
    pub(super) basis: String,
    pub(super) typical: Vec<Vec<usize>>,
    pub(super) apart: Vec<Vec<measure::Difference>>,
    pub(super) remark: Option<String>,
    /// How well the groups fit, where it is not the inertia that tells.
    pub(super) cost: Option<String>,
}

/// Silhouettes, typical rows, and what sets groups apart.
pub(super) fn report<P: mlk8s_clustering::Points>(
    points: &P,
    fit: &Fit,
    sample: usize,
    options: &Options,
    watch: &Watcher<'_>,
) -> Result<Report, MagicError> {
    // Whoever has stopped the work does not want to wait for measures.
    let (silhouette, of_cluster, basis) = if fit.k < 2 || watch.cancel.is_raised() {
        (f64::NAN, Vec::new(), String::new())
    } else if sample >= 100.min(points.rows()) {
        let found = measure::silhouette(
            points,
            &fit.labels,
            fit.k,
            options.metric,
            sample,
            options.seed,
            watch,
        )?;
        let basis = if found.exact {
            String::new()
        } else {
            format!(" (of {} rows)", found.rows.len())
        };
        (found.mean, found.of_cluster, basis)
    } else {
        let mean = measure::simplified_silhouette(points, fit, watch)?;
        (mean, Vec::new(), " (to the centres)".to_owned())
    };
    let typical = measure::typical(points, fit, APART)?
        .into_iter()
        .map(|rows| rows.into_iter().map(|typical| typical.row).collect())
        .collect();
    Ok(Report {
        cost: None,
        silhouette,
        of_cluster,
        basis,
        typical,
        apart: measure::differences(points, &fit.labels, fit.k, APART),
        remark: remark(fit).or_else(|| {
            let is_stopped = watch.cancel.is_raised();
            is_stopped
                .then(|| "stopped; these are the best groups of those that were tried".to_owned())
        }),
    })
}

/// What is to be said about how the work ended.
pub(super) fn remark(fit: &Fit) -> Option<String> {
    if let Some(distinct) = fit.distinct {
        return Some(format!(
            "only {distinct} of the rows differ, so that some groups are empty"
        ));
    }
    match fit.stop {
        Stop::MaxIter => Some(format!(
            "not settled after {} iterations; `--max-iter` allows more",
            fit.iterations
        )),
        Stop::Interrupted => Some(format!(
            "stopped after {} iterations; these are the best groups so far",
            fit.iterations
        )),
        Stop::Settled | Stop::Tolerance => None,
    }
}
