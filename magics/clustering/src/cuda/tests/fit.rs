//! Whole fits on the stand-in, against plain code.

use std::cell::Cell;
use std::sync::Mutex;

use super::super::error::CudaError;
use super::super::{Precision, Rows, check, fit_on};
use super::points::{Plain, distance, lloyd, nearest, scattered};
use super::shim::{Habits, card};
use crate::error::ClusteringError;
use crate::fit::{Fit, Iteration, Stop};
use crate::options::{Init, Metric, Options};
use crate::watch::{Silent, Watch};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Tf32, Precision::Bf16];

fn options(k: usize, init: Init) -> Options {
    Options {
        init,
        tolerance: 0.0,
        ..Options::new(k)
    }
}

fn dense<'a>(values: &'a [f32], dims: usize, weights: Option<&'a [f32]>) -> Rows<'a> {
    Rows {
        values,
        dims,
        weights,
    }
}

fn same(fit: &Fit, plain: &Plain, tolerance: f64) {
    let ratio = fit.inertia / plain.inertia - 1.0;
    assert!(
        ratio.abs() <= tolerance,
        "inertia {} of {}: {ratio:e}",
        fit.inertia,
        plain.inertia
    );
    let other = fit
        .labels
        .iter()
        .zip(&plain.labels)
        .filter(|(a, b)| a != b)
        .count();
    assert!(other * 200 <= fit.labels.len(), "{other} labels differ");
    let mut sizes = vec![0; fit.k];
    fit.labels
        .iter()
        .for_each(|&label| sizes[label as usize] += 1);
    assert_eq!(fit.sizes, sizes);
}

#[test]
fn the_same_start_ends_where_plain_code_ends() {
    for (number, (n_rows, dims, k)) in [(300, 16, 6), (130, 740, 3)].into_iter().enumerate() {
        let rows = scattered(n_rows, dims, k, 11);
        let weights: Vec<f32> = (0..n_rows).map(|row| 0.25 + (row % 5) as f32).collect();
        for weights in [None, Some(&weights[..])] {
            let init = rows[..k * dims].to_vec();
            let plain = lloyd(&rows, dims, weights, &init, 100);
            for precision in PRECISIONS {
                let habits = Habits {
                    order: number as u32,
                    hopper: number % 2 == 1,
                    ..Habits::default()
                };
                let options = options(k, Init::Given(init.clone()));
                let fit = fit_on(
                    &card(habits),
                    &dense(&rows, dims, weights),
                    &options,
                    precision,
                    &Silent,
                )
                .expect("works");
                assert_eq!(fit.stop, Stop::Settled);
                // bf16 clusters rounded rows.
                same(
                    &fit,
                    &plain,
                    if precision == Precision::Bf16 {
                        1e-3
                    } else {
                        1e-5
                    },
                );
                let far = fit
                    .centroids
                    .iter()
                    .zip(&plain.centroids)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(far < 0.02, "{far}");
            }
        }
    }
}

#[test]
fn rows_that_do_not_fit_are_streamed() {
    struct Says(Mutex<Vec<String>>);
    impl Watch for Says {
        fn stopped(&self) -> bool {
            false
        }
        fn iteration(&self, _iteration: &Iteration) {}
        fn step(&self, _done: usize, _total: usize, what: &str) {
            self.0.lock().expect("one thread").push(what.to_owned());
        }
    }
    let (dims, k) = (20, 7);
    let rows = scattered(1500, dims, k, 4);
    let options = Options {
        max_iter: 2,
        ..options(k, Init::Given(rows[..k * dims].to_vec()))
    };
    for precision in PRECISIONS {
        let resident = fit_on(
            &card(Habits::default()),
            &dense(&rows, dims, None),
            &options,
            precision,
            &Silent,
        )
        .expect("works");
        // From far too little for the rows, to hardly any: the plan shrinks step by step.
        for (memory, early) in [
            (210_000, [false, false]),
            (150_000, [false, true]),
            (150_000, [true, false]),
        ] {
            let habits = Habits {
                order: 2,
                early,
                memory: Some(memory),
                hopper: early[0],
            };
            let says = Says(Mutex::default());
            let fit = fit_on(
                &card(habits),
                &dense(&rows, dims, None),
                &options,
                precision,
                &says,
            )
            .expect("works");
            let says = says.0.into_inner().expect("one thread");
            assert!(
                says.last().is_some_and(|last| last.contains("no room")),
                "{memory}: {says:?}"
            );
            assert_eq!(fit.labels, resident.labels);
            assert!((fit.inertia / resident.inertia - 1.0).abs() < 1e-12);
        }
    }
    let habits = Habits {
        memory: Some(50_000),
        ..Habits::default()
    };
    let error = fit_on(
        &card(habits),
        &dense(&rows, dims, None),
        &options,
        Precision::F32,
        &Silent,
    )
    .expect_err("no room");
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
}

/// Stops when it is asked for the n-th time.
struct Impatient {
    left: Mutex<Cell<usize>>,
    seen: Mutex<Vec<Iteration>>,
}

impl Impatient {
    fn new(asked: usize) -> Impatient {
        Impatient {
            left: Mutex::new(Cell::new(asked)),
            seen: Mutex::default(),
        }
    }
}

impl Watch for Impatient {
    fn stopped(&self) -> bool {
        let left = self.left.lock().expect("one thread");
        left.set(left.get().saturating_sub(1));
        left.get() == 0
    }
    fn iteration(&self, iteration: &Iteration) {
        self.seen.lock().expect("one thread").push(*iteration);
    }
    fn step(&self, _done: usize, _total: usize, _what: &str) {}
}

#[test]
fn an_interrupt_keeps_the_best_so_far() {
    let (dims, k) = (5, 9);
    let rows = scattered(600, dims, 30, 8);
    let options = Options {
        tolerance: 1e-12,
        ..options(k, Init::Given(rows[..k * dims].to_vec()))
    };
    let (mut stopped, mut interrupted) = (0, 0);
    for asked in [1, 2, 3, 5, 6, 7, 8] {
        let watch = Impatient::new(asked);
        let found = fit_on(
            &card(Habits::default()),
            &dense(&rows, dims, None),
            &options,
            Precision::Tf32,
            &watch,
        );
        let seen = watch.seen.into_inner().expect("one thread");
        match found {
            Err(CudaError::Clustering(ClusteringError::Stopped)) => {
                assert!(seen.is_empty());
                stopped += 1;
            }
            found => {
                let fit = found.expect("works");
                assert_eq!(fit.stop, Stop::Interrupted);
                interrupted += 1;
                assert_eq!(fit.iterations, seen.len());
                let inertia: f64 = rows
                    .chunks_exact(dims)
                    .zip(&fit.labels)
                    .map(|(row, &label)| {
                        let own = distance(row, &fit.centroids[label as usize * dims..][..dims]);
                        assert!(
                            own <= nearest(row, &fit.centroids).1 * (1.0 + 1e-5),
                            "labels belong to the centroids"
                        );
                        own
                    })
                    .sum();
                assert!(
                    (fit.inertia / inertia - 1.0).abs() < 1e-6
                        && (seen[seen.len() - 1].inertia / inertia - 1.0).abs() < 1e-6
                );
            }
        }
    }
    assert!(stopped > 0 && interrupted > 2, "{stopped} {interrupted}");
}

#[test]
fn empty_clusters_get_far_rows() {
    let mut rows = scattered(200, 3, 2, 5);
    rows[30..33].copy_from_slice(&[50.0, 0.0, 0.0]);
    rows[60..63].copy_from_slice(&[0.0, -40.0, 0.0]);
    let mut init = rows[..6].to_vec();
    init.extend([900.0, 900.0, 900.0, -900.0, 0.0, 900.0]);
    for precision in PRECISIONS {
        let watch = Impatient::new(usize::MAX);
        let fit = fit_on(
            &card(Habits::default()),
            &dense(&rows, 3, None),
            &options(4, Init::Given(init.clone())),
            precision,
            &watch,
        );
        let fit = fit.expect("works");
        assert_eq!(watch.seen.into_inner().expect("one thread")[0].reseeded, 2);
        assert_eq!((fit.stop, fit.distinct), (Stop::Settled, None));
        assert!(fit.sizes.iter().all(|&size| size > 0), "{:?}", fit.sizes);
        assert_eq!((fit.sizes[2], fit.labels[10], fit.labels[20]), (1, 2, 3));
    }
}

#[test]
fn fewer_distinct_rows_than_clusters_are_told() {
    let rows: Vec<f32> = (0..300_u16)
        .flat_map(|row| [f32::from(row % 3), 1.0])
        .collect();
    for init in [Init::PlusPlus, Init::Parallel, Init::Random] {
        let fit = fit_on(
            &card(Habits::default()),
            &dense(&rows, 2, None),
            &options(5, init),
            Precision::Tf32,
            &Silent,
        )
        .expect("works");
        assert_eq!(fit.distinct, Some(3));
        assert!(fit.inertia < 1e-9, "{}", fit.inertia);
    }
}

#[test]
fn the_cosine_groups_directions() {
    let (dims, k) = (6, 4);
    let mut rows = scattered(250, dims, k, 21);
    for (number, row) in rows.chunks_exact_mut(dims).enumerate() {
        let scale = 0.1 + (number % 13) as f32;
        for value in row {
            *value *= scale;
        }
    }
    let mut units = rows.clone();
    units
        .chunks_exact_mut(dims)
        .for_each(super::super::normalise);
    for precision in [Precision::F32, Precision::Tf32] {
        let options = Options {
            metric: Metric::Cosine,
            ..options(k, Init::Given(rows[..k * dims].to_vec()))
        };
        let fit = fit_on(
            &card(Habits::default()),
            &dense(&rows, dims, None),
            &options,
            precision,
            &Silent,
        )
        .expect("works");
        let inertia: f64 = units
            .chunks_exact(dims)
            .map(|row| nearest(row, &fit.centroids).1)
            .sum();
        assert!((fit.inertia / inertia - 1.0).abs() < 1e-5);
        for centroid in fit.centroids.chunks_exact(dims) {
            assert!((distance(centroid, &[0.0; 6]) - 1.0).abs() < 1e-5);
        }
        assert_eq!((fit.stop, fit.metric), (Stop::Settled, Metric::Cosine));
    }
}

#[test]
fn first_centroids_are_good_and_repeatable() {
    let (dims, k) = (8, 9);
    let rows = scattered(600, dims, k, 31);
    let ideal: f64 = lloyd(&rows, dims, None, &rows[..k * dims], 50).inertia;
    for init in [Init::PlusPlus, Init::Parallel] {
        let options = Options {
            n_init: 2,
            seed: 5,
            ..options(k, init.clone())
        };
        let once = |order| {
            let habits = Habits {
                order,
                early: [order == 1; 2],
                ..Habits::default()
            };
            fit_on(
                &card(habits),
                &dense(&rows, dims, None),
                &options,
                Precision::Tf32,
                &Silent,
            )
            .expect("works")
        };
        let fit = once(0);
        assert_eq!(fit, once(1), "{init:?}");
        assert!(
            fit.inertia < 1.35 * ideal,
            "{init:?}: {} of {ideal}",
            fit.inertia
        );
    }
}

#[test]
fn wrong_data_are_refused_before_a_card_is_touched() {
    let refused = |values: &[f32], dims, weights: Option<&[f32]>, k| {
        check::rows(&dense(values, dims, weights), &Options::new(k))
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        refused(&[0.0, f32::NAN], 1, None, 1),
        "1 row has a value that is not a finite number, first at row 1, column 0: NaN"
    );
    assert_eq!(refused(&[0.0], 1, None, 2), "2 clusters from 1 row");
    assert_eq!(
        refused(&[], 1, None, 2),
        "nothing to group: 0 rows with 1 columns"
    );
    assert!(refused(&[0.0, 1.0, 2.0], 2, None, 1).contains("3, where 2 belong"));
    assert!(refused(&[0.0, 1.0], 1, Some(&[1.0, -1.0]), 1).contains("row 1 has the weight -1"));
    let batch = Options {
        batch: Some(10),
        ..Options::new(1)
    };
    assert!(matches!(
        check::rows(&dense(&[0.0], 1, None), &batch),
        Err(CudaError::Unsupported { .. })
    ));
}
