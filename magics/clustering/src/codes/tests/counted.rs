//! Answers labelled by whole numbers and summed as counts, next to the same rows without either.

use std::ops::Range;

use super::{centred, dense, gaps};
use crate::codes::{Coarse, Codes, Counts, Move};
use crate::kmeans;
use crate::options::Options;
use crate::points::Points;
use crate::watch::Silent;

/// Labels by whole numbers and by numbers of 32 bits; how many sums of the latter the former took.
fn both_labels(codes: &Codes, centroids: &[f32], k: usize) -> Option<([Vec<u32>; 2], usize)> {
    let rows = 0..codes.n_rows;
    let (mut coarse, mut single) = (vec![u32::MAX; rows.len()], vec![0; rows.len()]);
    let looked = Coarse::new(codes, centroids, k)?.label(rows.clone(), &mut coarse);
    let (ready, scores) = (codes.ready(centroids, k), &mut vec![0.0; rows.len()]);
    codes.nearest(rows, &ready, &mut single, scores);
    Some(([coarse, single], looked))
}

#[test]
fn whole_numbers_find_the_labels_that_numbers_of_32_bits_find() {
    let mut rng = fastrand::Rng::with_seed(5);
    for codes in [gaps(500), centred(500)] {
        let dims = codes.one_hot();
        for k in [1, 2, 20, 32, 33, 50, 70, 100, 128] {
            for spread in [1.0, 1e-2, 1e-4] {
                let common: Vec<f32> = (0..dims).map(|_| rng.f32()).collect();
                let centroids: Vec<f32> = (0..k * dims)
                    .map(|at| common[at % dims] + spread * rng.f32())
                    .collect();
                let ([coarse, single], _) = both_labels(&codes, &centroids, k).unwrap();
                assert_eq!(coarse, single, "{k} {spread}");
            }
        }
        // Too many for the registers, too near for 32 bits, too large for them.
        assert!(both_labels(&codes, &vec![0.0; 129 * dims], 129).is_none());
        let near: Vec<f32> = (0..2 * dims).map(|_| 1.0 + 1e-6 * rng.f32()).collect();
        assert!(both_labels(&codes, &near, 2).is_none());
        assert!(both_labels(&codes, &vec![3e38; dims], 1).is_none());
    }
}

#[test]
fn of_equals_the_first_is_the_nearest() {
    let (codes, k) = (gaps(400), 40);
    let mut rows = dense(&codes);
    let ([coarse, single], looked) = both_labels(&codes, &rows[..k].concat(), k).unwrap();
    assert_eq!(coarse, single);
    assert_eq!(looked, 0, "centroids that are rows are whole numbers");
    let third = |value: &mut f32| *value /= 3.0;
    rows.iter_mut().flatten().for_each(third);
    let twice = [&rows[..k / 2], &rows[..k / 2]].concat().concat();
    let ([coarse, single], looked) = both_labels(&codes, &twice, k).unwrap();
    assert_eq!(coarse, single);
    assert!(looked >= 2 * codes.n_rows, "{looked}");
}

#[test]
fn rows_that_move_correct_counts_and_leave_no_trace() {
    let (codes, k) = (gaps(300), 7);
    let mut rng = fastrand::Rng::with_seed(4);
    let mut labels: Vec<u32> = (0..300).map(|_| rng.u32(..k as u32)).collect();
    let mut counts = Counts::of_rows(&codes, &labels, k);
    let moves: Vec<Move> = (0..300)
        .step_by(3)
        .map(|row| {
            let from = std::mem::replace(&mut labels[row], rng.u32(..k as u32));
            let to = labels[row];
            Move { row, from, to }
        })
        .collect();
    counts.correct(&codes, &moves);
    assert_eq!(counts, Counts::of_rows(&codes, &labels, k));
}

/// Rows that do not say that they are answers.
struct Hidden<'a>(&'a Codes);

impl Points for Hidden<'_> {
    type Ready = <Codes as Points>::Ready;

    fn rows(&self) -> usize {
        self.0.n_rows
    }
    fn dims(&self) -> usize {
        Points::dims(self.0)
    }
    fn block(&self) -> usize {
        self.0.block()
    }
    fn ready(&self, centroids: &[f32], k: usize) -> Self::Ready {
        self.0.ready(centroids, k)
    }
    fn nearest(
        &self,
        rows: Range<usize>,
        ready: &Self::Ready,
        labels: &mut [u32],
        scores: &mut [f32],
    ) {
        self.0.nearest(rows, ready, labels, scores);
    }
    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        self.0.add(rows, labels, weights, sums);
    }
    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]) {
        self.0.squared_norms(rows, norms);
    }
    fn copy(&self, row: usize, into: &mut [f32]) {
        self.0.copy(row, into);
    }
}

#[test]
fn kmeans_of_answers_is_that_of_any_rows() {
    let weights: Vec<f32> = (0..2000).map(|row| 0.5 + (row % 3) as f32).collect();
    for codes in [gaps(2000), centred(2000)] {
        for (k, weights) in [(3, None), (20, None), (20, Some(&weights[..])), (150, None)] {
            let options = Options {
                tolerance: 0.0,
                max_iter: 12,
                ..Options::new(k)
            };
            let found = kmeans::fit(&codes, weights, &options, &Silent).unwrap();
            let other = kmeans::fit(&Hidden(&codes), weights, &options, &Silent).unwrap();
            assert_eq!(found.labels, other.labels, "{k}");
            assert_eq!(found.sizes, other.sizes);
            assert!((found.inertia - other.inertia).abs() <= 1e-6 * other.inertia);
            assert_eq!(
                kmeans::predict(&codes, &found, &Silent).unwrap(),
                found.labels
            );
        }
    }
}
