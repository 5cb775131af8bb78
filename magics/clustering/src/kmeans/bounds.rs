//! Passes that leave out the rows whose cluster cannot have changed (Hamerly 2010), and move sums instead of making them
//! anew: what is found is what looking at all rows finds.

mod farthest;
mod shifts;

use std::ops::Range;
use std::sync::PoisonError;

use super::lloyd::{Totals, inertia};
use super::rows::{Rows, cut};
use crate::points::{Bounded, Entry, Points};
use crate::watch::Watch;
pub(super) use farthest::farthest;
use shifts::{STEP, Shifts, Slack};

/// Rows that moved in the last pass, beside which sums are made anew within this one: one in so many.
const MANY: usize = 4;
/// How often a row that moved is read: for the sum that it leaves and for the one that it joins.
const READS: usize = 2;
/// The part of the time for sums of all rows, one in so many, that is left for sorting the rows that moved.
const FOR_SORTING: usize = 5;
/// How much longer than the median a row may be, squared, so that it leaves no trace of 32 bits in a sum of 64.
const LONGEST: f64 = (1_u64 << 40) as f64;

/// What one pass leaves for the next.
#[derive(Debug)]
pub(crate) struct Kept {
    centroids: Vec<f32>,
    labels: Vec<u32>,
    /// Each row's distance to its centroid, or more.
    upper: Vec<f32>,
    /// Its distance to every other centroid, or less.
    lower: Vec<f32>,
    /// Sums of rows by cluster.
    sums: Vec<f64>,
    moved: usize,
    /// See [`even`].
    even: bool,
}

/// Labels all rows and sums them by cluster; `None` when the user stopped it.
pub(super) fn assign<P: Points>(
    rows: &Rows<P>,
    points: &dyn Bounded<P::Ready>,
    centroids: &[f32],
    before: &[u32],
    labels: &mut [u32],
    watch: &dyn Watch,
) -> Option<Totals> {
    let (dims, size) = (rows.points.dims(), centroids.len());
    let k = size / dims;
    let kept = rows
        .kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let known = kept.filter(|kept| kept.centroids.len() == size && kept.labels == before);
    let at_once = rows.points.adds_at_once();
    let first = known.is_none();
    let mut next = known.unwrap_or_else(|| Kept::nothing(rows, centroids));
    // Sums that cannot be moved.
    let lost = first || !next.even;
    let here = !at_once && (lost || next.moved > before.len() / MANY);
    let pass = Pass {
        rows,
        points,
        ready: rows.ready(centroids, k),
        before,
        shifts: Shifts::new(&next.centroids, centroids, dims),
        slack: Slack::new(points.origin(), centroids, dims),
        here,
    };
    let mut totals = pass.sweep(k, labels, &mut next, watch)?;
    // Where sums come after the pass, it is known by then how many rows moved.
    let anew = lost || (at_once && moves_take_longer(totals.moved, before.len()));
    next.sums = sums(
        &pass,
        anew,
        std::mem::take(&mut totals.sums),
        labels,
        next.sums,
    );
    totals.sums.clone_from(&next.sums);
    totals.inertia = inertia(&totals, centroids, points.origin());
    next.centroids.copy_from_slice(centroids);
    next.labels.copy_from_slice(labels);
    next.moved = totals.moved;
    *rows.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    Some(totals)
}

/// Whether moving the sums of the rows that moved takes longer than adding all of `n_rows` anew.
fn moves_take_longer(moved: usize, n_rows: usize) -> bool {
    moved * READS * FOR_SORTING > n_rows * (FOR_SORTING - 1)
}

/// Whether no row is so long, or so heavy, that digits of the others would be lost when it leaves a sum.
fn even<P: Points>(rows: &Rows<P>) -> bool {
    let norms = rows.norms.iter().enumerate();
    let mut squares: Vec<f64> = norms
        .map(|(row, &norm)| f64::from(norm) * rows.weight(row).powi(2))
        .filter(|&square| square > 0.0)
        .collect();
    if squares.is_empty() {
        return true;
    }
    let longest = squares.iter().copied().fold(0.0, f64::max);
    // The mean would not do, the longest row alone may make it; nor the median, where most rows are long.
    let short = squares.len() / 20;
    let (_, &mut short, _) = squares.select_nth_unstable_by(short, f64::total_cmp);
    longest <= LONGEST * short
}

/// The sums of the rows by their labels: `here` if they are made anew within the pass.
fn sums<P: Points>(
    pass: &Pass<P>,
    anew: bool,
    here: Vec<f64>,
    labels: &[u32],
    before: Vec<f64>,
) -> Vec<f64> {
    let Rows { points, pull, .. } = pass.rows;
    if pass.here {
        return here;
    }
    let mut sums = before;
    if anew {
        sums.fill(0.0);
        points.add_all(labels, pull.as_deref(), &mut sums);
        return sums;
    }
    let mut entries = Vec::new();
    for (row, (&from, &to)) in pass.before.iter().zip(labels).enumerate() {
        if from != to {
            let pull = pull.as_ref().map_or(1.0, |pull| pull[row]);
            entries.extend([(from, -pull), (to, pull)].map(|(label, factor)| Entry {
                row,
                label,
                factor,
            }));
        }
    }
    pass.points.add_listed(entries, &mut sums);
    sums
}

impl Kept {
    /// Bounds that say nothing.
    fn nothing<P: Points>(rows: &Rows<P>, centroids: &[f32]) -> Kept {
        let n_rows = rows.norms.len();
        Kept {
            centroids: centroids.to_vec(),
            labels: vec![0; n_rows],
            upper: vec![f32::INFINITY; n_rows],
            lower: vec![0.0; n_rows],
            sums: vec![0.0; centroids.len()],
            moved: n_rows,
            even: even(rows),
        }
    }
}

/// One pass.
struct Pass<'a, P: Points> {
    rows: &'a Rows<'a, P>,
    points: &'a dyn Bounded<P::Ready>,
    ready: P::Ready,
    before: &'a [u32],
    shifts: Shifts,
    slack: Slack,
    /// Whether rows are added to sums as soon as they are labelled.
    here: bool,
}

/// What is known of some rows that follow each other.
struct Part<'a> {
    first: usize,
    labels: &'a mut [u32],
    upper: &'a mut [f32],
    lower: &'a mut [f32],
    totals: Totals,
}

impl<P: Points> Pass<'_, P> {
    fn sweep(
        &self,
        k: usize,
        labels: &mut [u32],
        kept: &mut Kept,
        watch: &dyn Watch,
    ) -> Option<Totals> {
        let (ranges, size) = if self.here {
            (self.rows.few(k), kept.sums.len())
        } else {
            (self.rows.many(), 0)
        };
        let slices = cut(labels, &ranges)
            .into_iter()
            .zip(cut(&mut kept.upper, &ranges))
            .zip(cut(&mut kept.lower, &ranges));
        let states = ranges
            .iter()
            .zip(slices)
            .map(|(range, ((labels, upper), lower))| Part {
                first: range.start,
                labels,
                upper,
                lower,
                totals: Totals::new(k, size),
            });
        let parts = self.rows.sweep(&ranges, states, watch, |part, rows| {
            self.look(part, rows.clone());
            self.count(part, rows);
        })?;
        let mut totals = Totals::new(k, size);
        for part in parts {
            totals.merge(&part.totals);
        }
        Some(totals)
    }

    /// Moves the bounds of `rows`, and labels those anew whose bounds meet.
    fn look(&self, part: &mut Part, rows: Range<usize>) {
        let mut unsure = Vec::with_capacity(rows.len());
        for row in rows {
            let (place, label) = (row - part.first, self.before[row]);
            let (upper, lower) = (&mut part.upper[place], &mut part.lower[place]);
            if upper.is_finite() {
                *upper = (*upper + self.shifts.each[label as usize]) * (1.0 + STEP);
                *lower = (*lower - self.shifts.others(label)).max(0.0) * (1.0 - STEP);
                if *lower * *lower - *upper * *upper > 3.0 * self.slack.of(self.rows.norms[row]) {
                    part.labels[place] = label;
                    continue;
                }
            }
            unsure.push(row);
        }
        let mut labels = vec![0; unsure.len()];
        let (mut scores, mut seconds) = (vec![0.0; unsure.len()], vec![0.0; unsure.len()]);
        self.points
            .nearest_two(&unsure, &self.ready, &mut labels, &mut scores, &mut seconds);
        for ((&row, label), (score, second)) in
            unsure.iter().zip(labels).zip(scores.iter().zip(seconds))
        {
            let (place, norm) = (row - part.first, self.rows.norms[row]);
            let slack = self.slack.of(norm);
            part.labels[place] = label;
            part.upper[place] = (2.0 * score + norm + slack).max(0.0).sqrt() * (1.0 + STEP);
            part.lower[place] = (2.0 * second + norm - slack).max(0.0).sqrt() * (1.0 - STEP);
        }
    }

    /// Counts `rows`, which are labelled, and adds them if that is to be done here.
    fn count(&self, part: &mut Part, rows: Range<usize>) {
        let Part {
            first,
            labels,
            totals,
            ..
        } = part;
        let labels = &labels[rows.start - *first..rows.end - *first];
        for (row, &label) in rows.clone().zip(labels) {
            let weight = self.rows.weight(row);
            totals.spread += weight * f64::from(self.rows.norms[row]);
            totals.masses[label as usize] += weight;
            totals.counts[label as usize] += 1;
            totals.moved += usize::from(self.before[row] != label);
        }
        if self.here {
            let pull = self.rows.pull.as_ref().map(|pull| &pull[rows.clone()]);
            let points = self.rows.points;
            points.add(rows, labels, pull, &mut totals.sums);
        }
    }
}
