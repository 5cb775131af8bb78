//! Passes over answers: labels by whole numbers, sums as counts that only the rows which moved correct.

use std::ops::Range;
use std::sync::PoisonError;

use super::lloyd::{Totals, inertia};
use super::rows::{Rows, cut};
use crate::codes::{Coarse, Codes, Counts, Move};
use crate::points::Points;
use crate::watch::Watch;

/// Rows that moved, beside which all are counted anew: one in so many.
const MANY: usize = 4;
/// Rows for each sum of 32 bits that whole numbers leave to be made: with more sums, those of all rows would be as fast.
const OPEN: usize = 2;
/// Passes by sums of 32 bits until whole numbers are tried again.
const PAUSE: usize = 8;

/// What one pass leaves for the next.
#[derive(Debug)]
pub(crate) struct Tally {
    k: usize,
    labels: Vec<u32>,
    /// Rows by answer and cluster, unless they have weights.
    counts: Option<Counts<u32>>,
    /// Passes in which whole numbers would leave too many rows open.
    pause: usize,
}

/// Labels all rows and sums them by cluster; `None` when the user stopped it.
pub(super) fn assign<P: Points>(
    rows: &Rows<P>,
    codes: &Codes,
    centroids: &[f32],
    before: &[u32],
    labels: &mut [u32],
    watch: &dyn Watch,
) -> Option<Totals> {
    let (n_rows, dims) = (before.len(), rows.points.dims());
    let k = centroids.len() / dims;
    let kept = rows
        .tally
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let known = kept.filter(|kept| kept.k == k && kept.labels == before);
    let pause = known.as_ref().map_or(0, |known| known.pause);
    let coarse = (pause == 0)
        .then(|| Coarse::new(codes, centroids, k))
        .flatten();
    let singles = coarse.is_none().then(|| rows.points.ready(centroids, k));
    let (mut totals, looked) = sweep(rows, k, before, labels, watch, |range, labels| {
        if let Some(coarse) = &coarse {
            return coarse.label(range, labels);
        }
        if let Some(singles) = &singles {
            let mut scores = vec![0.0; labels.len()];
            rows.points.nearest(range, singles, labels, &mut scores);
        }
        0
    })?;
    drop((coarse, singles));
    totals.sums = vec![0.0; centroids.len()];
    let mut counts = None;
    if let Some(weights) = rows.pull.as_deref() {
        rows.points.add_all(labels, Some(weights), &mut totals.sums);
    } else {
        let known = known.and_then(|known| known.counts);
        let few = known.filter(|_| totals.moved <= n_rows / MANY);
        let new = count(codes, few, before, labels, k);
        new.add_to(codes, dims, &mut totals.sums);
        counts = Some(new);
    }
    totals.inertia = inertia(&totals, centroids, &vec![0.0; dims]);
    *rows.tally.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tally {
        k,
        labels: labels.to_vec(),
        counts,
        pause: if looked > n_rows / OPEN {
            PAUSE
        } else {
            pause.saturating_sub(1)
        },
    });
    Some(totals)
}

/// The counts of all rows by their labels, from those by the labels `before` where these are known.
fn count(
    codes: &Codes,
    known: Option<Counts<u32>>,
    before: &[u32],
    labels: &[u32],
    k: usize,
) -> Counts<u32> {
    let Some(mut counts) = known else {
        return Counts::of_rows(codes, labels, k);
    };
    let pairs = before.iter().zip(labels).enumerate();
    let moves: Vec<Move> = pairs
        .filter(|(_, (from, to))| from != to)
        .map(|(row, (&from, &to))| Move { row, from, to })
        .collect();
    counts.correct(codes, &moves);
    counts
}

/// Labels all rows by `label`, which says how many sums of 32 bits it took; these are summed too.
fn sweep<P: Points>(
    rows: &Rows<P>,
    k: usize,
    before: &[u32],
    labels: &mut [u32],
    watch: &dyn Watch,
    label: impl Fn(Range<usize>, &mut [u32]) -> usize + Sync,
) -> Option<(Totals, usize)> {
    let ranges = rows.many();
    let states = ranges
        .iter()
        .zip(cut(labels, &ranges))
        .map(|(range, labels)| (range.start, labels, Totals::new(k, 0), 0));
    let parts = rows.sweep(
        &ranges,
        states,
        watch,
        |(first, labels, totals, looked), range| {
            let labels = &mut labels[range.start - *first..range.end - *first];
            *looked += label(range.clone(), labels);
            for (row, &label) in range.zip(&*labels) {
                let weight = rows.weight(row);
                totals.spread += weight * f64::from(rows.norms[row]);
                totals.masses[label as usize] += weight;
                totals.counts[label as usize] += 1;
                totals.moved += usize::from(before[row] != label);
            }
        },
    )?;
    let (mut totals, mut looked) = (Totals::new(k, 0), 0);
    for (_, _, part, more) in parts {
        totals.merge(&part);
        looked += more;
    }
    Some((totals, looked))
}
