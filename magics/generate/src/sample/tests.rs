//! Draws against the definitions, spelled out slowly.

use toktrie::SimpleVob;

use super::select::{exp, likeliest, maximum, sum_exp};
use super::{Sampler, check};
use crate::{Refused, Sampling};

fn logits(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| (rng.f32() - 0.5) * 20.0).collect()
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = logits
        .iter()
        .map(|&logit| (f64::from(logit - max) / temperature).exp());
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// How often each token is drawn in `n` draws from one row.
fn frequencies(sampling: &Sampling, row: &[f32], n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; row.len()];
    let mut sampler = Sampler::new(sampling.clone(), &[]);
    for _ in 0..n {
        let drawn = sampler.draw(&mut row.to_vec(), None, None).unwrap();
        counts[drawn.token as usize] += 1.0 / n as f64;
    }
    counts
}

fn seeded() -> Sampling {
    Sampling {
        seed: Some(1),
        ..Sampling::default()
    }
}

/// The tokens that may be drawn, by the definitions of top-k, top-p and min-p in this order.
fn nucleus(row: &[f32], sampling: &Sampling) -> Vec<u32> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]).then(a.cmp(&b)));
    order.truncate(sampling.top_k.unwrap_or(row.len()));
    let kept: Vec<f32> = order.iter().map(|&token| row[token as usize]).collect();
    let probabilities = softmax(&kept, f64::from(sampling.temperature));
    let mut sum = 0.0;
    let mut end = order.len();
    for (place, probability) in probabilities.iter().enumerate() {
        sum += probability;
        if sum >= f64::from(sampling.top_p) - 1e-9 {
            end = place + 1;
            break;
        }
    }
    order.truncate(end);
    order.retain(|&token| {
        let place = kept
            .iter()
            .position(|&logit| logit <= row[token as usize])
            .unwrap();
        probabilities[place] >= f64::from(sampling.min_p) * probabilities[0] - 1e-9
    });
    order
}

#[test]
fn exponentials_are_exact_to_a_few_units_in_the_last_place() {
    for step in 0..100_000 {
        let x = -87.0 * step as f32 / 100_000.0;
        let exact = f64::from(x).exp();
        let error = (f64::from(exp(x)) - exact).abs() / exact;
        assert!(error < 3e-7, "e^{x} is off by {error}");
    }
    assert_eq!(
        (exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY), exp(f32::NAN)),
        (1.0, 0.0, 0.0, 0.0)
    );
    let row = logits(1, 10_001);
    let max = maximum(&row);
    let exact: f64 = row.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    assert!((sum_exp(&row, max, 1.0) / exact - 1.0).abs() < 1e-6);
}

#[test]
fn the_likeliest_are_those_of_a_full_sort() {
    for n in [1, 5, 63, 64, 65, 1000, 5003] {
        for equal in [false, true] {
            let mut row = logits(n as u64, n);
            if equal {
                for logit in &mut row {
                    *logit = logit.round();
                }
            }
            let mut order: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            for k in [0, 1, 2, 20, 100, n] {
                let k = k.min(n);
                assert_eq!(likeliest(&row, k), order[..k]);
            }
        }
    }
    let mut odd = vec![f32::NAN, 1.0, f32::NEG_INFINITY, 3.0];
    assert_eq!(likeliest(&odd, 2), [(3, 3.0), (1, 1.0)]);
    odd.truncate(1);
    assert!(maximum(&odd).is_infinite());
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let mut sampler = Sampler::new(Sampling::greedy(), &[]);
    let drawn = sampler
        .draw(&mut [1.0, 5.0, 5.0, f32::NAN], None, None)
        .unwrap();
    assert_eq!(drawn.token, 1);
    assert!(sampler.draw(&mut [f32::NAN, f32::NAN], None, None).is_err());
    assert!(sampler.draw(&mut [f32::NEG_INFINITY], None, None).is_err());
}

#[test]
fn draws_follow_the_distribution() {
    let row = logits(7, 40);
    for temperature in [0.5, 1.0, 3.0] {
        let sampling = Sampling {
            temperature,
            ..seeded()
        };
        let expected = softmax(&row, f64::from(temperature));
        for (frequency, probability) in frequencies(&sampling, &row, 40_000).iter().zip(expected) {
            // Five standard deviations.
            let bound = 5.0 * (probability * (1.0 - probability) / 40_000.0).sqrt() + 1e-9;
            assert!(
                (frequency - probability).abs() < bound,
                "{frequency} for {probability}"
            );
        }
    }
}

#[test]
fn only_tokens_of_the_nucleus_are_drawn_and_each_of_them() {
    let settings = [
        (Some(5), 1.0, 0.0),
        (None, 0.8, 0.0),
        (None, 1.0, 0.05),
        (Some(30), 0.9, 0.01),
        (Some(1), 0.5, 0.5),
        (None, 0.99, 0.0),
        (Some(400), 0.97, 0.0),
    ];
    for (place, (top_k, top_p, min_p)) in settings.into_iter().enumerate() {
        let sampling = Sampling {
            top_k,
            top_p,
            min_p,
            temperature: 2.0,
            ..seeded()
        };
        let row = logits(place as u64, 600);
        let mut expected = nucleus(&row, &sampling);
        expected.sort_unstable();
        let mut sampler = Sampler::new(sampling, &[]);
        let mut drawn: Vec<u32> = (0..60_000)
            .map(|_| sampler.draw(&mut row.clone(), None, None).unwrap().token)
            .collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert!(
            drawn.iter().all(|token| expected.contains(token)),
            "setting {place}"
        );
        assert!(
            drawn.len() * 100 >= expected.len() * 97,
            "setting {place}: {} of {}",
            drawn.len(),
            expected.len()
        );
    }
}

#[test]
fn penalties_and_biases_change_the_tokens_they_concern() {
    let base = Sampling::greedy();
    let draw = |sampling: Sampling, prompt: &[u32], said: &[u32], row: &[f32]| {
        let mut sampler = Sampler::new(sampling, prompt);
        for &token in said {
            let mut only = vec![f32::NEG_INFINITY; row.len()];
            only[token as usize] = 0.0;
            sampler.draw(&mut only, None, None).unwrap();
        }
        sampler.draw(&mut row.to_vec(), None, None).unwrap().token
    };
    let row = [2.0, 1.5, -1.0];
    let presence = Sampling {
        presence_penalty: 0.6,
        ..base.clone()
    };
    assert_eq!(draw(presence.clone(), &[], &[], &row), 0);
    assert_eq!(draw(presence.clone(), &[], &[0], &row), 1);
    assert_eq!(
        draw(presence, &[0], &[], &row),
        0,
        "the prompt does not count"
    );
    let frequency = Sampling {
        frequency_penalty: 0.2,
        ..base.clone()
    };
    assert_eq!(draw(frequency.clone(), &[], &[0, 0], &row), 0);
    assert_eq!(draw(frequency, &[], &[0, 0, 0], &row), 1);
    let repetition = Sampling {
        repetition_penalty: 2.0,
        ..base.clone()
    };
    assert_eq!(
        draw(repetition.clone(), &[0], &[], &row),
        1,
        "the prompt counts"
    );
    assert_eq!(
        draw(repetition, &[0], &[1, 0], &[-1.0, -1.5, -1.9]),
        2,
        "negative ones are multiplied"
    );
    let bias = |bias| Sampling {
        logit_bias: bias,
        ..base.clone()
    };
    assert_eq!(draw(bias(vec![(2, 100.0)]), &[], &[], &row), 2);
    assert_eq!(draw(bias(vec![(0, f32::NEG_INFINITY)]), &[], &[], &row), 1);
    assert_eq!(draw(bias(vec![(2, f32::INFINITY)]), &[], &[], &row), 2);
}

#[test]
fn probabilities_are_those_of_the_unmodified_row() {
    let row = logits(3, 500);
    let expected = softmax(&row, 1.0);
    let mut sampler = Sampler::new(
        Sampling {
            temperature: 0.3,
            top_k: Some(2),
            logit_bias: vec![(9, 50.0)],
            ..seeded()
        },
        &[],
    );
    let drawn = sampler.draw(&mut row.clone(), None, Some(500)).unwrap();
    let logprob = drawn.logprob.unwrap();
    assert_eq!(drawn.token, 9);
    assert!((f64::from(logprob.logprob) - expected[9].ln()).abs() < 1e-4);
    let sum: f64 = logprob
        .top
        .iter()
        .map(|&(_, logprob)| f64::from(logprob).exp())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(logprob.top.is_sorted_by(|a, b| a.1 >= b.1));
    for (token, logprob) in logprob.top {
        assert!((f64::from(logprob) - expected[token as usize].ln()).abs() < 1e-4);
    }
}

#[test]
fn a_mask_leaves_what_it_allows() {
    let row = logits(4, 100);
    let mut mask = SimpleVob::alloc(100);
    for token in [3, 40, 99] {
        mask.allow_token(token);
    }
    let mut sampler = Sampler::new(seeded(), &[]);
    for _ in 0..100 {
        let drawn = sampler.draw(&mut row.clone(), Some(&mask), None).unwrap();
        assert!([3, 40, 99].contains(&drawn.token));
    }
    let none = SimpleVob::alloc(100);
    assert!(sampler.draw(&mut row.clone(), Some(&none), None).is_err());
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |change: &dyn Fn(&mut Sampling)| {
        let mut sampling = Sampling::default();
        change(&mut sampling);
        check(&sampling, 10).unwrap_err()
    };
    assert_eq!(check(&Sampling::default(), 10), Ok(()));
    for change in [
        &|sampling: &mut Sampling| sampling.top_p = 0.0,
        &|sampling: &mut Sampling| sampling.min_p = 1.5,
        &|sampling: &mut Sampling| sampling.temperature = -1.0,
        &|sampling: &mut Sampling| sampling.top_k = Some(0),
        &|sampling: &mut Sampling| sampling.repetition_penalty = 0.0,
        &|sampling: &mut Sampling| sampling.presence_penalty = f32::INFINITY,
        &|sampling: &mut Sampling| sampling.frequency_penalty = f32::NAN,
        &|sampling: &mut Sampling| sampling.logit_bias = vec![(1, f32::NAN)],
    ] as [&dyn Fn(&mut Sampling); 8]
    {
        assert!(matches!(refused(change), Refused::BadSampling { .. }));
    }
    let outside = refused(&|sampling| sampling.logit_bias = vec![(10, 1.0)]);
    assert_eq!(
        outside,
        Refused::UnknownToken {
            token: 10,
            vocabulary: 10
        }
    );
}
