//! The kernels against plain code: labels, ties, sums, sizes, inertia, at sizes that fit no tile.

use super::super::Precision;
use super::super::data::Data;
use super::super::dense::Dense;
use super::super::lloyd;
use super::super::model::{Model, Totals};
use super::super::plan::Plan;
use super::points::{distance, nearest, scattered, whole};
use super::shim::{Habits, card};
use crate::options::Metric;
use crate::watch::Silent;

/// Precisions, and whether the card is a Hopper.
const WAYS: [(Precision, bool); 5] = [
    (Precision::F32, false),
    (Precision::Tf32, false),
    (Precision::Bf16, false),
    (Precision::Tf32, true),
    (Precision::Bf16, true),
];

/// Rows, columns, clusters: one of each, tiles that are not full, both sides of the limits between the ways to assign.
const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (2, 3, 2),
    (129, 1, 3),
    (300, 4, 130),
    (515, 33, 129),
    (260, 100, 5),
    (130, 735, 7),
    (900, 384, 140),
    (70, 800, 131),
    (66, 1700, 4),
    (1300, 9, 1000),
];

/// What one pass leaves behind.
#[derive(Debug, Clone, PartialEq)]
struct Pass {
    labels: Vec<u32>,
    scores: Vec<f32>,
    sums: Vec<f64>,
    totals: Totals,
    cost: f64,
    inertia: f64,
    means: Vec<f32>,
}

fn pass(
    rows: &[f32],
    weights: Option<&[f32]>,
    dims: usize,
    centroids: &[f32],
    precision: Precision,
    habits: Habits,
) -> Pass {
    let engine = card(habits);
    let (n_rows, k) = (rows.len() / dims, centroids.len() / dims);
    let plan = Plan {
        resident: true,
        tiled: habits.hopper,
        chunk: 512,
        piece: 256,
    };
    let form = Dense::form(dims, Metric::L2, precision);
    let data = Dense::new(
        &engine,
        (rows, weights),
        form,
        (Metric::L2, precision),
        plan,
        &Silent,
    )
    .expect("fits");
    let data = data.expect("is not stopped");
    let model = Model::new(
        &engine,
        (n_rows, data.chunk()),
        (k, data.width()),
        data.reduced(),
        Metric::L2,
    )
    .expect("fits");
    model.set(centroids, dims).expect("fits");
    let grouping = data.grouping(k, true).expect("fits");
    let totals = lloyd::pass(&data, &*grouping, &model, &Silent)
        .expect("works")
        .expect("is not stopped");
    let (cost, _) = model.propose().expect("works");
    Pass {
        labels: model.kept_labels().expect("works"),
        scores: model.scores.read(0, n_rows).expect("works"),
        sums: model.sums.read(0, k * data.width()).expect("works"),
        totals,
        cost: cost + data.total_square(),
        inertia: data
            .exact_inertia(&model, &Silent)
            .expect("works")
            .expect("is not stopped"),
        means: model.next_centroids(dims).expect("works"),
    }
}

/// Sums, sizes and inertia of the labels, in plain code, must be what the card found.
fn check_totals(
    found: &Pass,
    rows: &[f32],
    dims: usize,
    centroids: &[f32],
    weights: Option<&[f32]>,
) {
    let (k, width) = (
        centroids.len() / dims,
        found.sums.len() / (centroids.len() / dims),
    );
    let (mut sums, mut mass, mut sizes) = (vec![0.0; k * width], vec![0.0; k], vec![0_u64; k]);
    let mut inertia = 0.0;
    for (number, (row, &label)) in rows.chunks_exact(dims).zip(&found.labels).enumerate() {
        let (label, weight) = (
            label as usize,
            weights.map_or(1.0, |weights| f64::from(weights[number])),
        );
        sizes[label] += 1;
        mass[label] += weight;
        inertia += weight * distance(row, &centroids[label * dims..(label + 1) * dims]);
        sums[label * width..]
            .iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += weight * f64::from(value));
    }
    assert_eq!(found.totals.sizes, sizes);
    assert_eq!(found.totals.moved, found.labels.len() as u64);
    close(&found.totals.mass, &mass, 1e-12);
    close(&found.sums, &sums, 1e-12);
    close(&[found.inertia, found.cost], &[inertia, inertia], 1e-9);
    for (cluster, mean) in found.means.chunks_exact(dims).enumerate() {
        let (sums, centroid) = (
            &sums[cluster * width..][..dims],
            &centroids[cluster * dims..(cluster + 1) * dims],
        );
        let wanted = |(sum, &centroid): (&f64, &f32)| {
            if mass[cluster] > 0.0 {
                (sum / mass[cluster]) as f32
            } else {
                centroid
            }
        };
        let wanted: Vec<f64> = sums
            .iter()
            .zip(centroid)
            .map(wanted)
            .map(f64::from)
            .collect();
        close(
            &mean.iter().copied().map(f64::from).collect::<Vec<f64>>(),
            &wanted,
            1e-6,
        );
    }
}

fn close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    let scale = wanted
        .iter()
        .fold(1.0, |scale: f64, value| scale.max(value.abs()));
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (found - wanted).abs() <= tolerance * scale,
            "number {at}: {found}, not {wanted}"
        );
    }
}

#[test]
fn whole_numbers_are_exact_and_the_lowest_of_equals_wins() {
    for (number, (n_rows, dims, k)) in SHAPES.into_iter().enumerate() {
        let (rows, centroids) = (whole(n_rows * dims, 1), whole(k * dims, 2));
        for (precision, hopper) in WAYS {
            let habits = Habits {
                order: number as u32 % 4,
                hopper,
                ..Habits::default()
            };
            let found = pass(&rows, None, dims, &centroids, precision, habits);
            for (number, row) in rows.chunks_exact(dims).enumerate() {
                let (label, far) = nearest(row, &centroids);
                assert_eq!(
                    found.labels[number], label,
                    "row {number} of {n_rows} × {dims}, {k} clusters, {precision:?}"
                );
                let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
                let error = 2.0 * f64::from(found.scores[number]) + square - far;
                assert!(error.abs() < f64::EPSILON, "{error}");
            }
            check_totals(&found, &rows, dims, &centroids, None);
        }
    }
}

#[test]
fn rounded_products_give_the_labels_of_f32() {
    for (n_rows, dims, k) in [
        (700, 24, 90),
        (390, 100, 33),
        (600, 330, 12),
        (200, 740, 12),
    ] {
        let rows = scattered(n_rows, dims, k, 3);
        // Centroids in pairs that all but coincide: each row is a near tie.
        let mut centroids = scattered(k, dims, k, 3);
        for cluster in (0..k - 1).step_by(2) {
            let (twin, other) = centroids[cluster * dims..].split_at_mut(dims);
            other[..dims].copy_from_slice(twin);
            other[cluster % dims] *= 1.0001;
        }
        let full = pass(
            &rows,
            None,
            dims,
            &centroids,
            Precision::F32,
            Habits::default(),
        );
        for (number, row) in rows.chunks_exact(dims).enumerate() {
            let own = distance(
                row,
                &centroids[full.labels[number] as usize * dims..][..dims],
            );
            let rounding = 1e-6 * distance(row, &vec![0.0; dims]);
            assert!(
                own <= nearest(row, &centroids).1 + rounding,
                "row {number}: {own}"
            );
        }
        for habits in cards() {
            let tf32 = pass(&rows, None, dims, &centroids, Precision::Tf32, habits);
            assert_eq!(tf32.labels, full.labels, "{n_rows} × {dims}, {k} clusters");
            check_totals(&tf32, &rows, dims, &centroids, None);
        }
        let rounded: Vec<f32> = rows.iter().map(|&value| bf16(value)).collect();
        let full = pass(
            &rounded,
            None,
            dims,
            &centroids,
            Precision::F32,
            Habits::default(),
        );
        for habits in cards() {
            let bf16 = pass(&rows, None, dims, &centroids, Precision::Bf16, habits);
            assert_eq!(bf16.labels, full.labels, "{n_rows} × {dims}, {k} clusters");
            check_totals(&bf16, &rounded, dims, &centroids, None);
        }
    }
}

/// Cards with and without the kernels for Hopper.
fn cards() -> [Habits; 2] {
    [false, true].map(|hopper| Habits {
        hopper,
        ..Habits::default()
    })
}

#[test]
fn rows_of_any_size_are_right_in_f16() {
    // Each row, and each centroid, has a size of its own: far beyond what f16 can hold, and far below.
    let (n_rows, dims, k) = (300, 70, 20);
    let size = |number: usize, step: usize| 10_f32.powf((number * step % 25) as f32 - 12.0);
    let mut rows = scattered(n_rows, dims, k, 11);
    for (number, row) in rows.chunks_exact_mut(dims).enumerate() {
        for value in row {
            *value *= size(number, 7);
        }
    }
    for least in [1.0, 1e-9] {
        let mut centroids = scattered(k, dims, k, 12);
        for (number, centroid) in centroids.chunks_exact_mut(dims).enumerate() {
            let size = size(number, 3).max(least);
            for value in centroid {
                *value *= size;
            }
        }
        let [full, found] =
            [(Precision::F32, false), (Precision::Tf32, true)].map(|(precision, hopper)| {
                let habits = Habits {
                    hopper,
                    ..Habits::default()
                };
                pass(&rows, None, dims, &centroids, precision, habits)
            });
        assert_eq!(found.labels, full.labels);
    }
}

/// The nearest bf16, ties to even.
fn bf16(value: f32) -> f32 {
    let down = value.to_bits() & 0xffff_0000;
    let up = down + 0x1_0000;
    let (below, above) = (value - f32::from_bits(down), f32::from_bits(up) - value);
    let odd = down >> 16 & 1 == 1;
    let upwards = above.abs() < below.abs() || (above.abs() <= below.abs() && odd);
    f32::from_bits(if upwards { up } else { down })
}

#[test]
fn the_order_of_threads_and_lanes_changes_no_bit() {
    let (dims, k) = (70, 40);
    let (rows, centroids) = (scattered(900, dims, k, 5), scattered(k, dims, k, 6));
    let weights: Vec<f32> = (0..900_u16).map(|row| f32::from(row % 7) * 0.37).collect();
    for (precision, hopper) in WAYS {
        let runs = (0..4).map(|order| {
            let early = [order % 2 == 1, order / 2 == 1];
            let habits = Habits {
                order,
                early,
                hopper,
                ..Habits::default()
            };
            pass(&rows, Some(&weights), dims, &centroids, precision, habits)
        });
        let runs: Vec<Pass> = runs.collect();
        assert!(
            runs.windows(2).all(|pair| pair[0] == pair[1]),
            "{precision:?}"
        );
        if precision == Precision::F32 {
            check_totals(&runs[0], &rows, dims, &centroids, Some(&weights));
        }
    }
}

#[test]
fn one_cluster_can_have_all_rows() {
    // Many spans in one run, empty runs around it.
    let rows = scattered(5000, 6, 1, 9);
    let mut centroids = vec![1e3; 5 * 6];
    centroids[12..18].fill(0.0);
    let found = pass(
        &rows,
        None,
        6,
        &centroids,
        Precision::Tf32,
        Habits::default(),
    );
    assert!(found.labels.iter().all(|&label| label == 2));
    check_totals(&found, &rows, 6, &centroids, None);
}
