//! Tests of learned embeddings.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Answers, Entity, EntityOptions, MISSING, head, net};
use crate::{ClusteringError, Iteration, Silent, Stop, Watch};

/// Two kinds of people who answer six questions with four levels each; a fifth of the answers is noise or missing.
fn survey(n_rows: usize) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut codes = Vec::new();
    for row in 0..n_rows {
        for question in 0..6 {
            let kind = (row as u32 % 2) * (1 + question % 3);
            let noise = rng.u32(0..10);
            codes.push(match noise {
                0 => MISSING,
                1 => rng.u32(0..4),
                _ => kind,
            });
        }
    }
    codes
}

fn options() -> EntityOptions {
    EntityOptions {
        dim: 8,
        max_epochs: 10,
        ..EntityOptions::default()
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[test]
fn kinds_of_rows_come_apart_and_the_loss_falls() {
    let codes = survey(400);
    let answers = Answers {
        codes: &codes,
        levels: &[4; 6],
    };
    let entity = Entity::fit(&answers, &options(), &Silent).unwrap();
    let least = entity
        .losses()
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    assert!(least < 0.8 * entity.losses()[0], "{:?}", entity.losses());
    let rows = entity.rows(&answers, &Silent).unwrap();
    let mean = |kind: usize| {
        let mut mean = vec![0.0; 8];
        rows.chunks(8)
            .skip(kind)
            .step_by(2)
            .for_each(|row| net::add(&mut mean, row, 1.0 / 200.0));
        mean
    };
    let means = [mean(0), mean(1)];
    let own = |(at, row): (usize, &[f32])| {
        distance(row, &means[at % 2]) < distance(row, &means[1 - at % 2])
    };
    assert!(
        rows.chunks(8)
            .enumerate()
            .map(own)
            .filter(|own| *own)
            .count()
            > 390
    );
    let levels = entity.levels().unwrap();
    assert_eq!(levels.len(), 24 * 8);
    // Level 0 belongs to the first kind, level 1 of the first question to the second.
    assert!(distance(&levels[..8], &means[0]) < distance(&levels[..8], &means[1]));
    assert!(distance(&levels[8..16], &means[1]) < distance(&levels[8..16], &means[0]));
    let some = Answers {
        codes: &codes[12..30],
        levels: &[4; 6],
    };
    let further = entity.rows(&some, &Silent).unwrap();
    assert!(distance(&further, &rows[16..40]) < 1e-8);
}

#[test]
fn threads_change_no_bit_and_seeds_do() {
    let codes = survey(600);
    let answers = Answers {
        codes: &codes,
        levels: &[4; 6],
    };
    let fit = |n_threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .unwrap();
        pool.install(|| {
            let options = EntityOptions {
                max_epochs: 2,
                seed,
                ..options()
            };
            let entity = Entity::fit(&answers, &options, &Silent).unwrap();
            entity.rows(&answers, &Silent).unwrap()
        })
    };
    let one = fit(1, 3);
    assert_eq!(one, fit(3, 3));
    assert_eq!(one, fit(8, 3));
    assert_ne!(one, fit(1, 4));
}

#[test]
fn gradients_are_those_of_differences() {
    let mut rng = fastrand::Rng::with_seed(1);
    let layout = net::Layout::new(&[3, 5], 4);
    let mut net = net::Net::new(layout, &[0.2; 8], &mut rng).unwrap();
    net.outputs
        .iter_mut()
        .for_each(|value| *value = rng.f32() - 0.5);
    let (codes, hidden) = (
        [1, 4, MISSING, 0, 2, 3],
        [true, true, true, true, false, true],
    );
    let mut vectors: Vec<f32> = (0..12).map(|_| rng.f32() - 0.5).collect();
    let mut gradients = head::Gradients {
        inputs: vec![0.0; 32],
        outputs: vec![0.0; 32],
        biases: vec![0.0; 8],
    };
    let mut loss = |net: &net::Net, vectors: &[f32]| {
        let loss = head::loss(net, &codes, &hidden, vectors, &mut gradients).unwrap();
        assert_eq!(loss.n, 4);
        (
            loss.sum / 4.0,
            loss.rows,
            gradients.outputs.clone(),
            gradients.biases.clone(),
        )
    };
    let (base, rows, outputs, biases) = loss(&net, &vectors);
    let near = |changed: f64, slope: f32| (changed - base - 1e-2 * f64::from(slope)).abs() < 1e-4;
    for (at, slope) in rows.into_iter().enumerate() {
        vectors[at] += 1e-2;
        assert!(near(loss(&net, &vectors).0, slope), "row value {at}");
        vectors[at] -= 1e-2;
    }
    for (at, slope) in outputs.into_iter().enumerate() {
        net.outputs[at] += 1e-2;
        assert!(near(loss(&net, &vectors).0, slope), "output {at}");
        net.outputs[at] -= 1e-2;
    }
    for (at, slope) in biases.into_iter().enumerate() {
        net.biases[at] += 1e-2;
        assert!(near(loss(&net, &vectors).0, slope), "bias {at}");
        net.biases[at] -= 1e-2;
    }
}

#[test]
fn exp_is_the_exponential() {
    for at in 0..8000 {
        let x = -0.01 * at as f32;
        let error = head::exp(x) / x.exp() - 1.0;
        assert!(error.abs() < 1e-5, "{x}: {error}");
    }
    assert!(head::exp(f32::MIN) < 1e-37);
}

#[test]
fn cholesky_gives_the_matrix_back() {
    let root = net::cholesky(vec![4.0, 2.0, 2.0, 5.0], 2);
    let expected = [2.0, 0.0, 1.0, 2.0];
    assert!(distance(&root, &expected) < 1e-10, "{root:?}");
}

/// Wants to stop after some steps.
struct Impatient(AtomicUsize, usize);

impl Watch for Impatient {
    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= self.1
    }
    fn iteration(&self, _iteration: &Iteration) {}
    fn step(&self, done: usize, _total: usize, what: &str) {
        assert!(what.starts_with("held-out loss"), "{what}");
        self.0.store(done, Ordering::Relaxed);
    }
}

#[test]
fn a_stop_keeps_the_best_so_far() {
    let codes = survey(100);
    let answers = Answers {
        codes: &codes,
        levels: &[4; 6],
    };
    let fit = |steps| Entity::fit(&answers, &options(), &Impatient(AtomicUsize::new(0), steps));
    let entity = fit(2).unwrap();
    assert_eq!(
        (entity.stop(), entity.losses().len()),
        (Stop::Interrupted, 3)
    );
    assert!(matches!(fit(0), Err(ClusteringError::Stopped)));
}

#[test]
fn what_does_not_fit_is_refused() {
    let fit = |codes: &[u32], levels: &[usize]| {
        let error = Entity::fit(&Answers { codes, levels }, &options(), &Silent).err();
        error.unwrap().to_string()
    };
    assert_eq!(
        fit(&[0, 1, 0, 2], &[1, 2]),
        "levels up to the answer of row 1 to question 1: 3, where 2 belong"
    );
    assert_eq!(
        fit(&[0, 1, 0], &[1, 2]),
        "answers of the last row: 1, where 2 belong"
    );
    assert_eq!(fit(&[], &[1, 2]), "nothing to group: 0 rows with 2 columns");
}

#[test]
fn one_row_without_any_answer_is_no_trouble() {
    let answers = Answers {
        codes: &[MISSING, MISSING],
        levels: &[2, 0],
    };
    let entity = Entity::fit(&answers, &options(), &Silent).unwrap();
    assert!(
        entity
            .rows(&answers, &Silent)
            .unwrap()
            .iter()
            .all(|value| value.is_finite())
    );
    assert!(Entity::memory(1, &[2, 0], &options()) > 0);
}
