//! Answers as rows: scaled, centred, missing, next to the same rows written out.

mod counted;

use super::*;
use crate::csr::Csr;
use crate::kmeans;
use crate::options::{Init, Options};
use crate::points::Points;
use crate::product::Product;
use crate::watch::Silent;

/// Answers with gaps.
fn gaps(n_rows: usize) -> Codes {
    let mut rng = fastrand::Rng::with_seed(11);
    let levels = [3, 7, 2, 5, 4, 6];
    let columns: Vec<Vec<u32>> = levels
        .iter()
        .map(|&levels| {
            (0..n_rows)
                .map(|_| {
                    if rng.u8(..10) == 0 {
                        Codes::MISSING
                    } else {
                        rng.u32(..levels as u32)
                    }
                })
                .collect()
        })
        .collect();
    Codes::new(&columns, &levels).unwrap()
}

/// The same with columns scaled and centred.
fn centred(n_rows: usize) -> Codes {
    let mut rng = fastrand::Rng::with_seed(12);
    let scale: Vec<f32> = (0..27).map(|_| rng.f32() + 0.5).collect();
    gaps(n_rows).scaled(&scale).unwrap().centred()
}

/// The same with numbers beside the answers.
fn mixed(n_rows: usize) -> Codes {
    let mut rng = fastrand::Rng::with_seed(13);
    let numbers = (0..2)
        .map(|_| (0..n_rows).map(|_| rng.f32() - 0.5).collect())
        .collect();
    centred(n_rows).with_numeric(numbers).unwrap()
}

fn dense(rows: &impl Points) -> Vec<Vec<f32>> {
    (0..rows.rows())
        .map(|row| {
            let mut into = vec![0.0; rows.dims()];
            rows.copy(row, &mut into);
            into
        })
        .collect()
}

/// The same rows, every value kept.
fn full(rows: &[Vec<f32>]) -> Csr {
    let dims = rows[0].len();
    let indices = rows.iter().flat_map(|_| 0..dims as u32).collect();
    Csr::new(
        dims,
        (0..=rows.len()).map(|row| row * dims).collect(),
        indices,
        rows.concat(),
    )
    .unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-4 * (1.0 + a.abs())
}

/// Compares every method of `Points` with what follows from the rows themselves.
fn check_points<P: Points>(points: &P, k: usize) {
    let (rows, dims) = (dense(points), points.dims());
    let mut rng = fastrand::Rng::with_seed(k as u64);
    let centroids: Vec<f32> = (0..k * dims).map(|_| rng.f32() - 0.5).collect();
    let score = |row: &[f32], centroid: &[f32]| -> f64 {
        let of_column = |(&x, &c): (&f32, &f32)| f64::from(c) * (f64::from(c) / 2.0 - f64::from(x));
        row.iter().zip(centroid).map(of_column).sum()
    };
    let (mut labels, mut scores) = (vec![0; rows.len()], vec![0.0; rows.len()]);
    points.nearest(
        0..rows.len(),
        &points.ready(&centroids, k),
        &mut labels,
        &mut scores,
    );
    let singles: Vec<P::Ready> = centroids
        .chunks(dims)
        .map(|centroid| points.ready(centroid, 1))
        .collect();
    let mut all = vec![0.0; rows.len() * k];
    points.scores(0..rows.len(), &singles.iter().collect::<Vec<_>>(), &mut all);
    let (mut norms, mut sums, mut at_once) = (
        vec![0.0; rows.len()],
        vec![0.0; k * dims],
        vec![0.0; k * dims],
    );
    points.squared_norms(0..rows.len(), &mut norms);
    for (at, row) in rows.iter().enumerate() {
        let of: Vec<f64> = centroids
            .chunks(dims)
            .map(|centroid| score(row, centroid))
            .collect();
        let least = of.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(
            near(least, f64::from(scores[at])) && near(of[labels[at] as usize], least),
            "row {at}"
        );
        assert!(
            of.iter()
                .zip(&all[at * k..])
                .all(|(&a, &b)| near(a, f64::from(b))),
            "scores of row {at}"
        );
        assert!(
            near(
                row.iter().map(|&x| f64::from(x).powi(2)).sum(),
                f64::from(norms[at])
            ),
            "norm of row {at}"
        );
    }
    let weights: Vec<f32> = (0..rows.len()).map(|row| 0.5 + (row % 3) as f32).collect();
    points.add(0..rows.len(), &labels, Some(&weights), &mut sums);
    points.add_all(&labels, Some(&weights), &mut at_once);
    let mut wanted = vec![0.0; k * dims];
    for ((row, &label), &weight) in rows.iter().zip(&labels).zip(&weights) {
        let wanted = &mut wanted[label as usize * dims..][..dims];
        wanted
            .iter_mut()
            .zip(row)
            .for_each(|(sum, &x)| *sum += f64::from(weight) * f64::from(x));
    }
    assert!(wanted.iter().zip(&sums).all(|(&a, &b)| near(a, b)));
    assert!(wanted.iter().zip(&at_once).all(|(&a, &b)| near(a, b)));
}

fn check_product(matrix: &(impl Product + Points)) {
    let (rows, m) = (dense(matrix), 3);
    let (n_rows, dims) = (rows.len(), rows[0].len());
    let mut rng = fastrand::Rng::with_seed(2);
    let right: Vec<f32> = (0..dims * m).map(|_| rng.f32() - 0.5).collect();
    let left: Vec<f32> = (0..n_rows * m).map(|_| rng.f32() - 0.5).collect();
    let (mut times, mut transposed) = (vec![0.0; n_rows * m], vec![0.0; dims * m]);
    matrix.times(&right, m, &mut times);
    matrix.transposed_times(&left, m, &mut transposed);
    for at in 0..m {
        for (row, values) in rows.iter().enumerate() {
            let dot: f64 = values
                .iter()
                .zip(right.chunks(m))
                .map(|(&x, r)| f64::from(x) * f64::from(r[at]))
                .sum();
            assert!(near(dot, f64::from(times[row * m + at])), "row {row}");
        }
        for column in 0..dims {
            let dot: f64 = rows
                .iter()
                .zip(left.chunks(m))
                .map(|(x, l)| f64::from(x[column]) * f64::from(l[at]))
                .sum();
            assert!(near(dot, transposed[column * m + at]), "column {column}");
        }
    }
    let means = matrix.means();
    let mean =
        |column: usize| rows.iter().map(|row| f64::from(row[column])).sum::<f64>() / n_rows as f64;
    assert!((0..dims).all(|column| (means[column] - mean(column)).abs() < 1e-5));
    let square = |row: &Vec<f32>| {
        row.iter()
            .zip(&means)
            .map(|(&x, mean)| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
    };
    assert!(near(
        rows.iter().map(square).sum::<f64>() / n_rows as f64,
        matrix.variance()
    ));
}

#[test]
fn codes_do_what_their_dense_rows_would_do() {
    for k in [1, 5, 16, 20, 50, 70, 130] {
        check_points(&mixed(300), k);
    }
    check_product(&mixed(300));
}

#[test]
fn sparse_rows_do_what_their_dense_rows_would_do() {
    let columns: Vec<Vec<u32>> = (0..5_u32)
        .map(|q| (0..200).map(|row| (row * (q + 1) + row / 7) % 4).collect())
        .collect();
    let indices = (0..200)
        .flat_map(|row| (0..5).map(move |q| (q, row)))
        .map(|(q, row)| q as u32 * 4 + columns[q][row]);
    let values = (0..1000).map(|at| (at % 9) as f32 / 4.0 - 1.0).collect();
    let csr = Csr::new(
        20,
        (0..=1000).step_by(5).collect(),
        indices.collect(),
        values,
    )
    .unwrap();
    for k in [1, 20, 70] {
        check_points(&csr, k);
    }
    check_product(&csr);
}

#[test]
fn kmeans_finds_the_same_in_codes_sparse_rows_and_for_any_number_of_threads() {
    for codes in [gaps(3000), centred(3000), mixed(3000)] {
        let rows = dense(&codes);
        let options = Options {
            init: Init::Given(rows[..4].concat()),
            tolerance: 0.0,
            max_iter: 8,
            ..Options::new(4)
        };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| kmeans::fit(&codes, None, &options, &Silent).unwrap())
        };
        let found = on(1);
        assert_eq!(found, on(3));
        let sparse = kmeans::fit(&full(&rows), None, &options, &Silent).unwrap();
        assert_eq!(found.labels, sparse.labels);
        assert!(near(found.inertia, sparse.inertia));
    }
}

#[test]
fn wide_codes_are_kept_where_levels_need_them() {
    let columns = [vec![70_000, 3, Codes::MISSING], vec![1, 0, 1]];
    let codes = Codes::new(&columns, &[80_000, 2]).unwrap();
    assert_eq!(
        [0, 1, 2].map(|row| codes.code(row, 0)),
        [Some(70_000), Some(3), None]
    );
    let picked = codes.select(&[2, 0, 0]);
    assert_eq!(
        [0, 1, 2].map(|row| picked.code(row, 0)),
        [None, Some(70_000), Some(70_000)]
    );
    assert_eq!([0, 1, 2].map(|row| picked.code(row, 1)), [Some(1); 3]);
    check_product(&codes.select(&[0, 1, 2, 0]));
}

#[test]
fn bad_input_is_named() {
    let message = |result: Result<Codes, ClusteringError>| result.unwrap_err().to_string();
    assert_eq!(
        message(Codes::new(&[vec![0, 4]], &[3])),
        "code of an answer: 4, where 2 belong"
    );
    assert_eq!(
        message(Codes::new(&[vec![0, 1], vec![0]], &[3, 3])),
        "rows of a column: 1, where 2 belong"
    );
    assert_eq!(
        message(Codes::from_rows(&[0, 1, 0], &[2, 2])),
        "codes: 3, where 2 belong"
    );
    let sparse = Csr::new(3, vec![0, 1, 2], vec![0, 2], vec![1.0, f32::NAN])
        .unwrap_err()
        .to_string();
    assert_eq!(
        sparse,
        "1 row has a value that is not a finite number, first at row 1, column 2: NaN"
    );
}
