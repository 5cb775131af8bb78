//! Passes over rows in memory.

use std::ops::Range;

use rayon::prelude::*;

use super::lloyd::{Far, Source, Totals};
use super::rows::{Rows, cut};
use super::{answers, bounds};
use crate::error::ClusteringError;
use crate::options::Metric;
use crate::points::Points;
use crate::watch::{Silent, Watch};

/// Parts of the rows, at most and at least; fewer when their sums would outgrow the rows.
pub(super) const PARTS: Range<usize> = 4..64;

impl<P: Points> Rows<'_, P> {
    /// The rows that are farthest from their centroids (squared distance, row, label), the farthest first.
    pub(super) fn farthest_of_all(
        &self,
        centroids: &[f32],
        k: usize,
        count: usize,
    ) -> Vec<(f32, usize, u32)> {
        let ready = self.ready(centroids, k);
        let ranges = self.many();
        let states = ranges.iter().map(|_| Vec::<(f32, usize, u32)>::new());
        let found = self.sweep(&ranges, states, &Silent, |far, rows| {
            let (mut labels, mut distances) = (vec![0; rows.len()], vec![0.0; rows.len()]);
            self.nearest(rows.clone(), &ready, &mut labels, &mut distances);
            let here = rows
                .zip(distances)
                .zip(labels)
                .filter(|&((row, distance), _)| distance > 0.0 && self.pull(row) > 0.0);
            far.extend(here.map(|((row, distance), label)| (distance, row, label)));
            far.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            far.truncate(count);
        });
        let mut found: Vec<(f32, usize, u32)> = found.into_iter().flatten().flatten().collect();
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(count);
        found
    }
}

impl<P: Points> Source for &Rows<'_, P> {
    fn rows(&self) -> usize {
        self.points.rows()
    }

    fn dims(&self) -> usize {
        self.points.dims()
    }

    fn assign(
        &mut self,
        centroids: &[f32],
        k: usize,
        before: &[u32],
        labels: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<Option<Totals>, ClusteringError> {
        if self.metric == Metric::L2
            && let Some(points) = self.points.bounded()
        {
            return Ok(bounds::assign(
                self, points, centroids, before, labels, watch,
            ));
        }
        if self.metric == Metric::L2
            && let Some(codes) = self.points.answers()
        {
            return Ok(answers::assign(
                self, codes, centroids, before, labels, watch,
            ));
        }
        let dims = self.points.dims();
        let at_once = self.points.adds_at_once();
        let ranges = if at_once { self.many() } else { self.few(k) };
        let ready = self.ready(centroids, k);
        let size = if at_once { 0 } else { k * dims };
        let states = ranges
            .iter()
            .zip(cut(labels, &ranges))
            .map(|(range, labels)| (range.start, labels, Vec::new(), Totals::new(k, size)));
        let done = self.sweep(
            &ranges,
            states,
            watch,
            |(first, labels, distances, totals), rows| {
                let labels = &mut labels[rows.start - *first..rows.end - *first];
                distances.resize(rows.len(), 0.0);
                self.nearest(rows.clone(), &ready, labels, distances);
                if !at_once {
                    let pull = self.pull.as_ref().map(|pull| &pull[rows.clone()]);
                    self.points
                        .add(rows.clone(), labels, pull, &mut totals.sums);
                }
                for ((row, &label), &distance) in rows.clone().zip(&*labels).zip(&*distances) {
                    let weight = self.weight(row);
                    totals.inertia += weight * f64::from(distance);
                    totals.spread += weight * f64::from(self.norms[row]);
                    totals.masses[label as usize] += weight;
                    totals.counts[label as usize] += 1;
                    totals.moved += usize::from(before[row] != label);
                }
            },
        );
        let Some(states) = done else {
            return Ok(None);
        };
        let mut totals = Totals::new(k, size);
        for (_, _, _, part) in states {
            totals.merge(&part);
        }
        if at_once {
            totals.sums = vec![0.0; k * dims];
            self.points
                .add_all(labels, self.pull.as_deref(), &mut totals.sums);
        }
        Ok(Some(totals))
    }

    fn farthest(
        &mut self,
        centroids: &[f32],
        k: usize,
        count: usize,
    ) -> Result<Vec<Far>, ClusteringError> {
        let found = match self.points.bounded() {
            Some(points) if self.metric == Metric::L2 => {
                bounds::farthest(self, points, centroids, k, count)
            }
            _ => None,
        };
        let found = found.unwrap_or_else(|| self.farthest_of_all(centroids, k, count));
        let far = found.into_iter().map(|(distance, row, label)| {
            let mut values = vec![0.0; self.points.dims()];
            self.points.copy(row, &mut values);
            let pulls = values
                .iter()
                .map(|&value| f64::from(value) * self.pull(row))
                .collect();
            self.copy(row, &mut values);
            Far {
                row,
                label,
                distance,
                weight: self.weight(row),
                values,
                pulls,
            }
        });
        Ok(far.collect())
    }

    fn approach(
        &mut self,
        candidates: &[f32],
        first: u32,
        distances: &mut [f32],
        owners: &mut [u32],
        watch: &dyn Watch,
    ) -> Result<(), ClusteringError> {
        let ready = self.ready(candidates, candidates.len() / self.points.dims());
        let ranges = self.many();
        let states = cut(distances, &ranges)
            .into_iter()
            .zip(cut(owners, &ranges));
        let states = ranges
            .iter()
            .zip(states)
            .map(|(range, (distances, owners))| (range.start, distances, owners));
        self.sweep(
            &ranges,
            states,
            watch,
            |(start, distances, owners), rows| {
                let (mut labels, mut found) = (vec![0; rows.len()], vec![0.0; rows.len()]);
                self.nearest(rows.clone(), &ready, &mut labels, &mut found);
                let places = rows.start - *start..rows.end - *start;
                let known = distances[places.clone()]
                    .iter_mut()
                    .zip(&mut owners[places]);
                for ((distance, owner), (label, found)) in known.zip(labels.into_iter().zip(found))
                {
                    if found < *distance {
                        (*distance, *owner) = (found, first + label);
                    }
                }
            },
        )
        .map(|_| ())
        .ok_or(ClusteringError::Stopped)
    }

    fn fetch(&mut self, rows: &[usize]) -> Result<Vec<f32>, ClusteringError> {
        let mut values = vec![0.0; rows.len() * self.points.dims()];
        for (&row, into) in rows.iter().zip(values.chunks_exact_mut(self.points.dims())) {
            self.copy(row, into);
        }
        Ok(values)
    }

    fn weight(&self, row: usize) -> f64 {
        Rows::weight(self, row)
    }

    fn exact_inertia(
        &mut self,
        centroids: &[f32],
        labels: &[u32],
    ) -> Result<Option<f64>, ClusteringError> {
        if self.metric == Metric::Cosine {
            return Ok(None);
        }
        let block = self.points.block();
        let sums: Option<Vec<f64>> = labels
            .par_chunks(block)
            .enumerate()
            .map(|(number, labels)| {
                let rows = number * block..number * block + labels.len();
                let mut distances = vec![0.0; labels.len()];
                self.points
                    .squared_distances(rows.clone(), labels, centroids, &mut distances)
                    .then(|| {
                        rows.zip(&distances)
                            .map(|(row, distance)| self.weight(row) * distance)
                            .sum()
                    })
            })
            .collect();
        Ok(sums.map(|sums| sums.iter().sum()))
    }

    fn metric(&self) -> Metric {
        self.metric
    }
}
