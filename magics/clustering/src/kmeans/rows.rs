//! Rows with their weights and lengths, and the passes over them that k-means needs.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::answers::Tally;
use super::bounds::Kept;
use super::lloyd::Found;
use super::memory::PARTS;
use super::sweep::{Pace, parts, split};
use crate::error::ClusteringError;
use crate::options::Metric;
use crate::points::Points;
use crate::watch::Watch;

/// Rows of a part for each of its clusters, at least, where it holds sums.
const ROWS_A_SUM: usize = 20;
/// The length of directions when they are made ready, so short that half its square vanishes beside products.
const SHORT: f32 = 1.0 / (1_u64 << 60) as f32;

/// Rows of any form, checked.
#[derive(Debug)]
pub(crate) struct Rows<'a, P> {
    pub(super) points: &'a P,
    pub(super) metric: Metric,
    pub(super) weights: Option<&'a [f32]>,
    /// `‖x‖²`, or for the cosine `1/‖x‖`, which is 0 for a row of zeros.
    pub(super) norms: Vec<f32>,
    /// How strongly each row pulls at its centroid.
    pub(super) pull: Option<Cow<'a, [f32]>>,
    /// What the last pass found, where that saves work.
    pub(super) kept: Mutex<Option<Kept>>,
    /// The same of answers.
    pub(super) tally: Mutex<Option<Tally>>,
    pace: Pace,
}

impl<'a, P: Points> Rows<'a, P> {
    /// Checks that all is finite, and the weights.
    pub(crate) fn new(
        points: &'a P,
        weights: Option<&'a [f32]>,
        metric: Metric,
    ) -> Result<Rows<'a, P>, ClusteringError> {
        let n_rows = points.rows();
        if n_rows == 0 || points.dims() == 0 {
            return Err(ClusteringError::Empty {
                n_rows,
                dims: points.dims(),
            });
        }
        check_weights(weights, n_rows)?;
        Rows::unchecked(points, weights, metric)
    }

    /// Part of rows whose weights were checked.
    pub(super) fn unchecked(
        points: &'a P,
        weights: Option<&'a [f32]>,
        metric: Metric,
    ) -> Result<Rows<'a, P>, ClusteringError> {
        let n_rows = points.rows();
        let mut norms = vec![0.0; n_rows];
        let block = points.block();
        norms
            .par_chunks_mut(block)
            .enumerate()
            .for_each(|(number, norms)| {
                let rows = number * block..number * block + norms.len();
                match metric {
                    Metric::L2 => points.squared_norms(rows, norms),
                    Metric::Cosine => points.lengths(rows, norms),
                }
            });
        if norms.iter().any(|norm| !norm.is_finite()) {
            return Err(not_finite(points, &norms));
        }
        let mut pull = weights.map(Cow::Borrowed);
        if metric == Metric::Cosine {
            for norm in &mut norms {
                *norm = if *norm > 0.0 { 1.0 / *norm } else { 0.0 };
            }
            let weighed = |weights: &[f32]| {
                norms
                    .iter()
                    .zip(weights)
                    .map(|(norm, weight)| norm * weight)
                    .collect()
            };
            pull = Some(Cow::Owned(weights.map_or_else(|| norms.clone(), weighed)));
        }
        Ok(Rows {
            points,
            metric,
            weights,
            norms,
            pull,
            kept: Mutex::new(None),
            tally: Mutex::new(None),
            pace: Pace::new(),
        })
    }

    /// Weight of a row.
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// How strongly a row pulls at its centroid.
    pub(super) fn pull(&self, row: usize) -> f64 {
        self.pull.as_ref().map_or(1.0, |pull| f64::from(pull[row]))
    }

    /// The form in which rows are compared with centroids.
    pub(super) fn ready(&self, centroids: &[f32], k: usize) -> P::Ready {
        match self.metric {
            Metric::L2 => self.points.ready(centroids, k),
            Metric::Cosine => {
                let short: Vec<f32> = centroids.iter().map(|value| value * SHORT).collect();
                self.points.directions(&short, k)
            }
        }
    }

    /// The squared distance that a score means for a row.
    pub(super) fn distance(&self, row: usize, score: f32) -> f32 {
        let norm = self.norms[row];
        match self.metric {
            Metric::L2 => (2.0 * score + norm).max(0.0),
            Metric::Cosine if norm > 0.0 => (2.0 + 2.0 * (score / SHORT) * norm).max(0.0),
            Metric::Cosine => 1.0,
        }
    }

    /// Writes a row, of length 1 for the cosine.
    pub(super) fn copy(&self, row: usize, into: &mut [f32]) {
        self.points.copy(row, into);
        if self.metric == Metric::Cosine {
            normalise(into);
        }
    }

    /// Nearest centroids and squared distances to them.
    pub(super) fn nearest(
        &self,
        rows: Range<usize>,
        ready: &P::Ready,
        labels: &mut [u32],
        distances: &mut [f32],
    ) {
        self.points.nearest(rows.clone(), ready, labels, distances);
        for (row, distance) in rows.zip(distances) {
            *distance = self.distance(row, *distance);
        }
    }

    /// Goes through all rows; `states` are asked for the rows of each part.
    pub(super) fn sweep<S: Send>(
        &self,
        ranges: &[Range<usize>],
        states: impl IntoIterator<Item = S>,
        watch: &dyn Watch,
        work: impl Fn(&mut S, Range<usize>) + Sync,
    ) -> Option<Vec<S>> {
        let mut parts = parts(ranges, states);
        self.pace
            .sweep(&mut parts, self.points.block(), watch, work)
            .then(|| parts.into_iter().map(|part| part.state).collect())
    }

    /// As many parts as threads may want.
    pub(super) fn many(&self) -> Vec<Range<usize>> {
        split(self.points.rows(), self.points.block(), PARTS.end)
    }

    /// Parts that are few beside the rows of `k` clusters, because each holds sums of them.
    pub(super) fn few(&self, k: usize) -> Vec<Range<usize>> {
        let most = self.points.rows() / (ROWS_A_SUM * k);
        let count = most.clamp(PARTS.start, PARTS.end);
        split(self.points.rows(), self.points.block(), count)
    }

    /// The nearest centroid of each row.
    pub(super) fn labels(
        &self,
        centroids: &[f32],
        k: usize,
        labels: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<(), ClusteringError> {
        let ready = self.ready(centroids, k);
        let ranges = self.many();
        let mut scores = vec![0.0; labels.len()];
        let states = cut(labels, &ranges)
            .into_iter()
            .zip(cut(&mut scores, &ranges));
        let states = ranges
            .iter()
            .zip(states)
            .map(|(range, (labels, scores))| (range.start, labels, scores));
        self.sweep(&ranges, states, watch, |(first, labels, scores), rows| {
            let places = rows.start - *first..rows.end - *first;
            self.points.nearest(
                rows,
                &ready,
                &mut labels[places.clone()],
                &mut scores[places],
            );
        })
        .map(|_| ())
        .ok_or(ClusteringError::Stopped)
    }

    /// Distinct rows, if a cluster stayed empty and there are fewer than clusters.
    pub(super) fn distinct(&self, found: &Found) -> Option<usize> {
        let k = found.counts.len();
        if found.counts.iter().all(|&count| count > 0) {
            return None;
        }
        let mut seen = HashSet::new();
        self.see_distinct(k, &mut seen).then_some(seen.len())
    }

    /// Adds rows until `enough` are distinct; `false` if they are.
    pub(super) fn see_distinct(&self, enough: usize, seen: &mut HashSet<Vec<u32>>) -> bool {
        let mut row = vec![0.0; self.points.dims()];
        for number in 0..self.points.rows() {
            self.copy(number, &mut row);
            let bits: Vec<u32> = row.iter().map(|value| (value + 0.0).to_bits()).collect();
            seen.insert(bits);
            if seen.len() >= enough {
                return false;
            }
        }
        true
    }
}

/// Scales to length 1; zeros stay.
pub(super) fn normalise(values: &mut [f32]) {
    let length = values
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        for value in values {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

/// Cuts a slice at the ends of ranges that follow each other.
pub(super) fn cut<'s, T>(mut slice: &'s mut [T], ranges: &[Range<usize>]) -> Vec<&'s mut [T]> {
    let mut pieces = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (piece, rest) = slice.split_at_mut(range.len());
        pieces.push(piece);
        slice = rest;
    }
    pieces
}

pub(super) fn check_weights(weights: Option<&[f32]>, n_rows: usize) -> Result<(), ClusteringError> {
    let Some(weights) = weights else {
        return Ok(());
    };
    if weights.len() != n_rows {
        return Err(ClusteringError::Shape {
            what: "weights".to_owned(),
            found: weights.len(),
            wanted: n_rows,
        });
    }
    let bad = weights
        .iter()
        .position(|weight| !(weight.is_finite() && *weight >= 0.0));
    let none = weights.iter().all(|&weight| weight == 0.0).then_some(0);
    match bad.or(none) {
        Some(row) => Err(ClusteringError::Weight {
            row,
            value: weights[row],
        }),
        None => Ok(()),
    }
}

fn not_finite<P: Points>(points: &P, norms: &[f32]) -> ClusteringError {
    let bad = norms
        .iter()
        .enumerate()
        .filter(|(_, norm)| !norm.is_finite());
    let n_rows = bad.clone().count();
    let row = bad.map(|(row, _)| row).next().unwrap_or(0);
    let mut values = vec![0.0; points.dims()];
    points.copy(row, &mut values);
    // Values so large that their squares are infinite are as bad.
    let column = values
        .iter()
        .position(|value| !value.is_finite())
        .or_else(|| {
            let largest = values
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
            largest.map(|(column, _)| column)
        });
    let column = column.unwrap_or(0);
    ClusteringError::NotFinite {
        n_rows,
        row,
        column,
        value: values[column],
    }
}
