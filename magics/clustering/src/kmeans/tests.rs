//! Tests of k-means in memory.

mod blocks;
mod bounds;
mod edges;
mod interrupt;

use half::f16;

use super::{fit, predict, transform};
use crate::{Dense, Fit, Init, Metric, Options, Points, Silent, Stop};

/// Rows around `k` centres, which are `spread` apart.
fn groups(n: usize, dims: usize, k: usize, spread: f32, seed: u64) -> (Vec<f32>, Vec<usize>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut normal = move || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
    let centres: Vec<f32> = (0..k * dims).map(|_| spread * normal()).collect();
    let truth: Vec<usize> = (0..n).map(|row| row * 7 % k).collect();
    let rows = truth
        .iter()
        .flat_map(|&group| centres[group * dims..(group + 1) * dims].to_vec())
        .map(|value| value + normal())
        .collect();
    (rows, truth)
}

/// Each row by hand, in 64 bits.
fn by_hand(rows: &[f32], dims: usize, found: &Fit) -> (Vec<u32>, f64) {
    let mut inertia = 0.0;
    let labels = rows
        .chunks_exact(dims)
        .map(|row| {
            let distance = |centroid: &[f32]| -> f64 {
                let pairs = row.iter().zip(centroid);
                pairs
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum()
            };
            let distances: Vec<f64> = found.centroids.chunks_exact(dims).map(distance).collect();
            let nearest = (0..found.k)
                .min_by(|&a, &b| distances[a].total_cmp(&distances[b]))
                .unwrap();
            inertia += distances[nearest];
            nearest as u32
        })
        .collect();
    (labels, inertia)
}

fn with_init(k: usize, init: Init) -> Options {
    Options {
        init,
        ..Options::new(k)
    }
}

fn threads<T: Send>(count: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build()
        .unwrap()
        .install(work)
}

#[test]
fn labels_and_inertia_belong_to_the_centroids_for_all_shapes_and_inits() {
    for (n, dims, k) in [
        (1000, 1, 3),
        (777, 5, 17),
        (500, 33, 49),
        (300, 130, 100),
        (150, 1500, 7),
        (70, 2050, 21),
    ] {
        let (rows, _) = groups(n, dims, k, 2.0, 3);
        let points = Dense::new(rows.as_slice(), dims).unwrap();
        for init in [Init::PlusPlus, Init::Parallel, Init::Random] {
            for max_iter in [0, 2, 300] {
                let options = Options {
                    max_iter,
                    ..with_init(k, init.clone())
                };
                let found = fit(&points, None, &options, &Silent).unwrap();
                let (labels, inertia) = by_hand(&rows, dims, &found);
                let wrong = labels
                    .iter()
                    .zip(&found.labels)
                    .filter(|(a, b)| a != b)
                    .count();
                assert!(
                    wrong <= n / 200,
                    "{n} {dims} {k} {init:?} {max_iter}: {wrong}"
                );
                assert!(
                    (inertia - found.inertia).abs() <= 1e-5 * inertia,
                    "{inertia} {}",
                    found.inertia
                );
                assert_eq!(found.sizes.iter().sum::<usize>(), n);
                assert_eq!(predict(&points, &found, &Silent).unwrap(), found.labels);
            }
        }
    }
}

#[test]
fn separate_groups_are_found() {
    let (rows, truth) = groups(2000, 8, 10, 20.0, 1);
    let points = Dense::new(rows, 8).unwrap();
    for init in [Init::PlusPlus, Init::Parallel] {
        let found = fit(&points, None, &with_init(10, init), &Silent).unwrap();
        assert!(
            found.sizes.iter().all(|&size| size == 200),
            "{:?}",
            found.sizes
        );
        assert!((0..10).all(
            |row| found.labels[row] == found.labels[row + 10] && truth[row] == truth[row + 10]
        ));
        assert_eq!(found.stop, Stop::Settled);
        assert_eq!(found.distinct, None);
    }
}

#[test]
fn threads_change_no_bit() {
    let (rows, _) = groups(9000, 40, 30, 1.0, 5);
    let points = Dense::new(rows, 40).unwrap();
    for options in [
        with_init(30, Init::PlusPlus),
        with_init(30, Init::Parallel),
        with_init(30, Init::Random),
        Options {
            metric: Metric::Cosine,
            ..Options::new(30)
        },
        Options {
            batch: Some(500),
            max_iter: 4,
            ..Options::new(30)
        },
    ] {
        let one = threads(1, || fit(&points, None, &options, &Silent)).unwrap();
        let three = threads(3, || fit(&points, None, &options, &Silent)).unwrap();
        assert_eq!(one, three);
        let other = Options { seed: 1, ..options };
        assert_ne!(one, fit(&points, None, &other, &Silent).unwrap());
    }
}

#[test]
fn a_weight_counts_as_so_many_rows() {
    let (rows, _) = groups(300, 6, 4, 3.0, 2);
    let weights: Vec<f32> = (0..300).map(|row| (row % 4) as f32).collect();
    let repeated: Vec<f32> = rows
        .chunks_exact(6)
        .zip(&weights)
        .flat_map(|(row, &weight)| row.repeat(weight as usize))
        .collect();
    for metric in [Metric::L2, Metric::Cosine] {
        let options = Options {
            metric,
            ..with_init(4, Init::Given(rows[6..30].to_vec()))
        };
        let points = Dense::new(rows.as_slice(), 6).unwrap();
        let weighed = fit(&points, Some(&weights), &options, &Silent).unwrap();
        let plain = fit(
            &Dense::new(repeated.as_slice(), 6).unwrap(),
            None,
            &options,
            &Silent,
        )
        .unwrap();
        assert!((weighed.inertia - plain.inertia).abs() < 1e-6 * plain.inertia);
        for (a, b) in weighed.centroids.iter().zip(&plain.centroids) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn the_cosine_sees_directions_only() {
    let (rows, _) = groups(400, 12, 5, 6.0, 4);
    let mut scaled = rows.clone();
    for (number, row) in scaled.chunks_exact_mut(12).enumerate() {
        let scale = [1e-6, 1.0, 3e5][number % 3];
        for value in row {
            *value *= scale;
        }
    }
    let options = Options {
        metric: Metric::Cosine,
        ..with_init(5, Init::Given(rows[..60].to_vec()))
    };
    let one = fit(&Dense::new(rows, 12).unwrap(), None, &options, &Silent).unwrap();
    let other = fit(&Dense::new(scaled, 12).unwrap(), None, &options, &Silent).unwrap();
    assert_eq!(one.labels, other.labels);
    assert!((one.inertia - other.inertia).abs() < 1e-4 * one.inertia);
    for centroid in one.centroids.chunks_exact(12) {
        let length: f32 = centroid.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}

#[test]
fn rows_of_zeros_have_no_direction_but_a_label() {
    let rows = [1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.1, 0.0, 1.0];
    let options = Options {
        metric: Metric::Cosine,
        ..Options::new(2)
    };
    let found = fit(&Dense::new(&rows[..], 2).unwrap(), None, &options, &Silent).unwrap();
    assert_eq!(found.labels[0], found.labels[3]);
    assert_eq!(found.labels[2], found.labels[4]);
    assert_ne!(found.labels[0], found.labels[2]);
    // The row of zeros is at distance 1 of any direction.
    assert!((found.inertia - 1.0).abs() < 0.01, "{}", found.inertia);
}

#[test]
fn far_from_zero_nothing_is_lost() {
    let (rows, _) = groups(1000, 4, 3, 8.0, 6);
    let moved: Vec<f32> = rows.iter().map(|value| value + 4096.0).collect();
    let init = |rows: &[f32]| with_init(3, Init::Given(rows[..12].to_vec()));
    let near = fit(
        &Dense::new(rows.as_slice(), 4).unwrap(),
        None,
        &init(&rows),
        &Silent,
    )
    .unwrap();
    let far = fit(
        &Dense::new(moved.as_slice(), 4).unwrap(),
        None,
        &init(&moved),
        &Silent,
    )
    .unwrap();
    assert_eq!(near.labels, far.labels);
    assert!((near.inertia - far.inertia).abs() < 1e-3 * near.inertia);
}

#[test]
fn half_precision_rows_are_grouped_as_their_widened_values() {
    for dims in [20, 1100] {
        let (rows, _) = groups(400, dims, 6, 2.0, 9);
        let halves: Vec<f16> = rows.iter().map(|&value| f16::from_f32(value)).collect();
        let widened: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
        let half = fit(
            &Dense::half(halves, dims).unwrap(),
            None,
            &Options::new(6),
            &Silent,
        )
        .unwrap();
        let single = fit(
            &Dense::new(widened, dims).unwrap(),
            None,
            &Options::new(6),
            &Silent,
        )
        .unwrap();
        assert_eq!(half, single);
    }
}

#[test]
fn distances_are_those_to_each_centroid() {
    let (rows, _) = groups(100, 7, 9, 2.0, 10);
    let points = Dense::new(rows.as_slice(), 7).unwrap();
    let found = fit(&points, None, &Options::new(9), &Silent).unwrap();
    let distances = transform(&points, &found, &Silent).unwrap();
    for (row, distances) in rows.chunks_exact(7).zip(distances.chunks_exact(9)) {
        for (centroid, distance) in found.centroids.chunks_exact(7).zip(distances) {
            let expected: f32 = row.iter().zip(centroid).map(|(a, b)| (a - b).powi(2)).sum();
            assert!((distance - expected.sqrt()).abs() < 1e-3);
        }
    }
}

#[test]
fn mini_batches_come_close() {
    let (rows, _) = groups(20_000, 16, 20, 3.0, 12);
    let points = Dense::new(rows, 16).unwrap();
    let all = fit(&points, None, &Options::new(20), &Silent).unwrap();
    for metric in [Metric::L2, Metric::Cosine] {
        let exact = fit(
            &points,
            None,
            &Options {
                metric,
                ..Options::new(20)
            },
            &Silent,
        )
        .unwrap();
        let options = Options {
            metric,
            batch: Some(1000),
            ..Options::new(20)
        };
        let batch = fit(&points, None, &options, &Silent).unwrap();
        assert!(
            batch.inertia < 1.15 * exact.inertia,
            "{} {}",
            batch.inertia,
            exact.inertia
        );
    }
    assert_eq!(all.sizes.len(), 20);
}

/// Rows with nothing but what the trait asks for.
struct Plain(Dense<'static>);

impl Points for Plain {
    type Ready = <Dense<'static> as Points>::Ready;

    fn rows(&self) -> usize {
        Points::rows(&self.0)
    }
    fn dims(&self) -> usize {
        Points::dims(&self.0)
    }
    fn block(&self) -> usize {
        self.0.block()
    }
    fn ready(&self, centroids: &[f32], k: usize) -> Self::Ready {
        self.0.ready(centroids, k)
    }
    fn nearest(
        &self,
        rows: std::ops::Range<usize>,
        ready: &Self::Ready,
        labels: &mut [u32],
        scores: &mut [f32],
    ) {
        self.0.nearest(rows, ready, labels, scores);
    }
    fn add(
        &self,
        rows: std::ops::Range<usize>,
        labels: &[u32],
        weights: Option<&[f32]>,
        sums: &mut [f64],
    ) {
        self.0.add(rows, labels, weights, sums);
    }
    fn squared_norms(&self, rows: std::ops::Range<usize>, norms: &mut [f32]) {
        self.0.squared_norms(rows, norms);
    }
    fn copy(&self, row: usize, into: &mut [f32]) {
        self.0.copy(row, into);
    }
}

#[test]
fn the_defaults_of_the_trait_do_the_same() {
    let (mut rows, _) = groups(900, 10, 8, 2.0, 14);
    // The mean is the origin of dense rows, and directions count from zero.
    let dense = Dense::new(rows.as_slice(), 10).unwrap();
    let means = crate::Product::means(&dense);
    rows.chunks_exact_mut(10).for_each(|row| {
        row.iter_mut()
            .zip(&means)
            .for_each(|(value, mean)| *value -= *mean as f32);
    });
    let dense = Dense::about(rows, 10, &[0.0; 10]).unwrap();
    let plain = Plain(dense.clone());
    for metric in [Metric::L2, Metric::Cosine] {
        for batch in [None, Some(100)] {
            let options = Options {
                metric,
                batch,
                max_iter: 20,
                ..Options::new(8)
            };
            let a = fit(&dense, None, &options, &Silent).unwrap();
            let b = fit(&plain, None, &options, &Silent).unwrap();
            let close = (a.inertia - b.inertia).abs() < 0.02 * a.inertia;
            assert!(close, "{metric:?} {batch:?} {} {}", a.inertia, b.inertia);
        }
    }
}
