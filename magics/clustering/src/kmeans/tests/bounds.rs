//! Tests of passes that leave rows out.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{groups, threads};
use crate::kmeans::fit;
use crate::points::{Bounded, Entry};
use crate::{Dense, Init, Options, Points, Silent, Stop};

/// Dense rows that count how many were looked at.
struct Counted<'a> {
    rows: Dense<'a>,
    looked: AtomicUsize,
}

type Ready<'a> = <Dense<'a> as Points>::Ready;

impl<'a> Points for Counted<'a> {
    type Ready = Ready<'a>;

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn dims(&self) -> usize {
        self.rows.dims()
    }

    fn block(&self) -> usize {
        self.rows.block()
    }

    fn ready(&self, centroids: &[f32], k: usize) -> Self::Ready {
        self.rows.ready(centroids, k)
    }

    fn nearest(
        &self,
        rows: Range<usize>,
        ready: &Self::Ready,
        labels: &mut [u32],
        scores: &mut [f32],
    ) {
        self.rows.nearest(rows, ready, labels, scores);
    }

    fn add(&self, rows: Range<usize>, labels: &[u32], weights: Option<&[f32]>, sums: &mut [f64]) {
        self.rows.add(rows, labels, weights, sums);
    }

    fn adds_at_once(&self) -> bool {
        self.rows.adds_at_once()
    }

    fn squared_norms(&self, rows: Range<usize>, norms: &mut [f32]) {
        self.rows.squared_norms(rows, norms);
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        self.rows.copy(row, into);
    }

    fn bounded(&self) -> Option<&dyn Bounded<Self::Ready>> {
        Some(self)
    }
}

impl<'a> Bounded<Ready<'a>> for Counted<'a> {
    fn nearest_two(
        &self,
        rows: &[usize],
        ready: &Ready<'a>,
        labels: &mut [u32],
        scores: &mut [f32],
        seconds: &mut [f32],
    ) {
        self.looked.fetch_add(rows.len(), Ordering::Relaxed);
        self.rows.nearest_two(rows, ready, labels, scores, seconds);
    }

    fn add_listed(&self, entries: Vec<Entry>, sums: &mut [f64]) {
        self.rows.add_listed(entries, sums);
    }

    fn origin(&self) -> &[f32] {
        self.rows.origin()
    }
}

/// Lloyd's iterations that look at all rows: labels and weighted means.
fn plain(
    points: &Dense,
    weights: &[f32],
    mut centroids: Vec<f32>,
    iterations: usize,
) -> (Vec<u32>, Vec<f32>) {
    let (n, dims) = (points.rows(), points.dims());
    let k = centroids.len() / dims;
    let (mut labels, mut scores) = (vec![0; n], vec![0.0; n]);
    for iteration in 0..=iterations {
        points.nearest(0..n, &points.ready(&centroids, k), &mut labels, &mut scores);
        if iteration == iterations {
            break;
        }
        let (mut sums, mut masses) = (vec![0.0; k * dims], vec![0.0; k]);
        points.add(0..n, &labels, Some(weights), &mut sums);
        for (&label, &weight) in labels.iter().zip(weights) {
            masses[label as usize] += f64::from(weight);
        }
        for (at, (centroid, sum)) in centroids.iter_mut().zip(&sums).enumerate() {
            if masses[at / dims] > 0.0 {
                *centroid = (sum / masses[at / dims]) as f32;
            }
        }
    }
    (labels, centroids)
}

#[test]
fn what_is_found_is_what_looking_at_all_rows_finds() {
    for (n, dims, k, spread, at) in [
        (1500, 130, 11, 0.5, 0.0),
        (900, 200, 70, 0.4, 500.0),
        (300, 1500, 9, 0.2, 0.0),
        (400, 1030, 6, 0.3, -40.0),
    ] {
        let (mut values, _) = groups(n, dims, k, spread, 11);
        for value in &mut values {
            *value += at;
        }
        let weights: Vec<f32> = (0..n).map(|row| 0.5 + (row % 3) as f32).collect();
        let points = Counted {
            rows: Dense::new(values.as_slice(), dims).unwrap(),
            looked: AtomicUsize::new(0),
        };
        let first = values[..k * dims].to_vec();
        let options = Options {
            init: Init::Given(first.clone()),
            tolerance: 0.0,
            ..Options::new(k)
        };
        let found = threads(1, || fit(&points, Some(&weights), &options, &Silent)).unwrap();
        assert_eq!(found.stop, Stop::Settled);
        let looked = points.looked.swap(0, Ordering::Relaxed);
        assert!(found.iterations > 2, "{}", found.iterations);
        assert!(looked < found.iterations * n, "{dims}: {looked}");
        let other = threads(3, || fit(&points, Some(&weights), &options, &Silent)).unwrap();
        assert_eq!(found, other);
        let (labels, centroids) = plain(&points.rows, &weights, first, found.iterations - 1);
        assert_eq!(found.labels, labels, "{dims}");
        for (a, b) in found.centroids.iter().zip(&centroids) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{a} {b}");
        }
    }
}

#[test]
fn a_long_row_that_leaves_a_sum_takes_no_digits_of_the_others_along() {
    let (n, dims, k, far) = (100, 130, 4, 1e17);
    let (mut values, _) = groups(n, dims, 1, 1.0, 3);
    let mut first = vec![0.0; k * dims];
    let place = |row: &mut [f32], (x, y): (f32, f32)| {
        row.fill(0.0);
        (row[0], row[1]) = (x * far, y * far);
    };
    // None of these rows is one of those whose mean is the origin. The first leaves the third cluster for that of all near
    // rows, which stay there when it goes on to the second: in that pass few rows move, and so few did in the one before.
    let long = [
        (1, 1.0, 0.0),
        (2, 1.5, 0.0),
        (4, 3.5, 0.0),
        (5, 4.2, 0.0),
        (7, 0.0, -5.0),
    ];
    for (row, x, y) in long {
        place(&mut values[row * dims..][..dims], (x, y));
    }
    let centroids = [(-1.2, 0.0), (2.5, 1.5), (0.8, -2.0), (4.6, -1.5)];
    for (centroid, at) in first.chunks_exact_mut(dims).zip(centroids) {
        place(centroid, at);
    }
    let options = Options {
        init: Init::Given(first),
        tolerance: 0.0,
        ..Options::new(k)
    };
    let points = Dense::new(values.as_slice(), dims).unwrap();
    let found = fit(&points, None, &options, &Silent).unwrap();
    assert_eq!((found.stop, found.iterations), (Stop::Settled, 4));
    assert_eq!(found.sizes, [95, 2, 1, 2]);
    let near = (0..n).filter(|row| long.iter().all(|(long, ..)| long != row));
    let mean = near.map(|row| f64::from(values[row * dims])).sum::<f64>() / 95.0;
    let at = f64::from(found.centroids[0]);
    assert!(
        (at - mean).abs() <= 1e-6 * mean.abs().max(1.0),
        "{at} {mean}"
    );
}
