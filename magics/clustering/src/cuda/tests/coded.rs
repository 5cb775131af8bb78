//! Answers as codes against their one-hot rows.

use super::super::{Answers, Precision, Rows, check, fit_answers_on, fit_on};
use super::points::nearest;
use super::shim::{Habits, card};
use crate::options::{Init, Options};
use crate::watch::Silent;

fn options(k: usize, init: Init) -> Options {
    Options {
        init,
        tolerance: 0.0,
        ..Options::new(k)
    }
}

fn dense(values: &[f32], dims: usize) -> Rows<'_> {
    Rows {
        values,
        dims,
        weights: None,
    }
}

#[test]
fn answers_are_grouped_as_their_one_hot_rows() {
    let levels = [3, 5, 2, 4];
    let width: usize = levels.iter().sum();
    let scales: Vec<f32> = (0..width)
        .map(|column| 0.5 + column as f32 / 16.0)
        .collect();
    let mut rng = fastrand::Rng::with_seed(3);
    let n_rows = 300;
    let mut codes = Vec::new();
    for row in 0..n_rows {
        for (question, &count) in levels.iter().enumerate() {
            let own = (row * 7 + question) % count;
            codes.push(match rng.usize(..10) {
                0 => Answers::MISSING,
                1..4 => rng.u32(..count as u32),
                _ => (own * (row % 3)) as u32 % count as u32,
            });
        }
    }
    for scales in [None, Some(&scales[..])] {
        let answers = Answers {
            codes: &codes,
            levels: &levels,
            scales,
        };
        let one_hot = one_hot(&answers, width);
        for (k, init) in [(1, Init::PlusPlus), (3, Init::Parallel), (40, Init::Random)] {
            let options = Options {
                max_iter: 4,
                ..options(k, init)
            };
            let ids = check::answers(&answers, &options).expect("valid");
            let fit = fit_answers_on(&card(Habits::default()), &answers, &ids, &options, &Silent)
                .expect("works");
            let inertia: f64 = one_hot
                .chunks_exact(width)
                .map(|row| nearest(row, &fit.centroids).1)
                .sum();
            assert!(
                (fit.inertia / inertia - 1.0).abs() < 1e-5,
                "{k}: {} {inertia}",
                fit.inertia
            );
            let again = self::options(k, Init::Given(fit.centroids.clone()));
            let grouped = fit_answers_on(
                &card(Habits {
                    order: 3,
                    memory: Some(60_000),
                    ..Habits::default()
                }),
                &answers,
                &ids,
                &again,
                &Silent,
            );
            let full = fit_on(
                &card(Habits::default()),
                &dense(&one_hot, width),
                &again,
                Precision::F32,
                &Silent,
            )
            .expect("works");
            let grouped = grouped.expect("works");
            assert!((grouped.inertia / full.inertia - 1.0).abs() < 1e-5);
            assert_eq!(grouped.sizes.iter().sum::<usize>(), n_rows);
        }
    }
}

fn one_hot(answers: &Answers<'_>, width: usize) -> Vec<f32> {
    let mut rows = Vec::new();
    for codes in answers.codes.chunks_exact(answers.levels.len()) {
        let (mut row, mut first) = (vec![0.0; width], 0);
        for (&code, &levels) in codes.iter().zip(answers.levels) {
            if code != Answers::MISSING {
                let column = first + code as usize;
                row[column] = answers.scales.map_or(1.0, |scales| scales[column]);
            }
            first += levels;
        }
        rows.extend(row);
    }
    rows
}
