//! Ragged batches of a decoder, compared row by row with a model that sees one sequence at a time.

use std::collections::HashMap;

use crate::forward::{Batch, Forward, PAGE, Part};

/// Logits behind the last of some tokens.
pub(super) type Oracle<'a> = dyn FnMut(&[u32]) -> Vec<f32> + 'a;

/// An oracle that computes each answer once, however many decoders are compared with it.
pub(super) fn once(mut oracle: impl FnMut(&[u32]) -> Vec<f32>) -> impl FnMut(&[u32]) -> Vec<f32> {
    let mut known = HashMap::new();
    move |tokens| {
        let answer = known.entry(tokens.to_vec());
        answer.or_insert_with(|| oracle(tokens)).clone()
    }
}

/// Tokens of four sequences.
pub(in crate::model) fn sequences(vocabulary: u32) -> Vec<Vec<u32>> {
    let mut random = fastrand::Rng::with_seed(11);
    [70, 34, 7, 33]
        .iter()
        .map(|n| (0..*n).map(|_| random.u32(0..vocabulary)).collect())
        .collect()
}

/// Which rows of which sequence each step computes: chunks that end at, before and behind the border of a page, beside
/// single tokens.
const STEPS: [&[(usize, usize)]; 6] = [
    &[(0, 31), (1, 33)],
    &[(1, 1), (0, 1), (2, 5)],
    &[(0, 1), (3, 31)],
    &[(2, 1), (0, 33), (3, 1)],
    &[(3, 1), (2, 1), (0, 3)],
    &[(0, 1)],
];

/// The batches of all steps, every row wanted; with each the sequence and the tokens seen by each row.
pub(in crate::model) fn batches(sequences: &[Vec<u32>]) -> Vec<(Batch, Vec<Vec<u32>>)> {
    let mut pages: Vec<u32> = (0..12).collect();
    fastrand::Rng::with_seed(5).shuffle(&mut pages);
    let mut of: Vec<Vec<u32>> = vec![Vec::new(); sequences.len()];
    let mut done = vec![0; sequences.len()];
    let mut batches = Vec::new();
    for step in STEPS {
        let mut batch = Batch::default();
        let mut seen = Vec::new();
        for (sequence, len) in step {
            let (from, to) = (done[*sequence], done[*sequence] + len);
            while of[*sequence].len() < to.div_ceil(PAGE) {
                of[*sequence].extend(pages.pop());
            }
            let start = batch.tokens.len();
            batch.tokens.extend(&sequences[*sequence][from..to]);
            batch.parts.push(Part {
                start,
                len: *len,
                length: to,
                pages: of[*sequence].clone(),
            });
            seen.extend((from..to).map(|row| sequences[*sequence][..=row].to_vec()));
            done[*sequence] = to;
        }
        batch.rows = (0..batch.tokens.len()).collect();
        batches.push((batch, seen));
    }
    assert_eq!(done, sequences.iter().map(Vec::len).collect::<Vec<_>>());
    batches
}

/// The errors of all rows of all steps, relative to the row's largest logit.
pub(super) fn errors(model: &mut dyn Forward, oracle: &mut Oracle<'_>) -> Vec<f32> {
    let vocabulary = model.shape().vocabulary;
    model.reserve(12).unwrap();
    let mut errors = Vec::new();
    for (batch, seen) in batches(&sequences(vocabulary as u32)) {
        let logits = model.forward(&batch).unwrap();
        for (found, seen) in logits.chunks_exact(vocabulary).zip(seen) {
            errors.push(difference(found, &oracle(&seen)));
        }
    }
    errors
}

/// The largest difference between two rows, relative to the largest value.
pub(in crate::model) fn difference(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |most: f32, x| if x <= most { most } else { x }) / largest
}

/// Fails if any row is further off than the tolerance.
pub(super) fn check(name: &str, model: &mut dyn Forward, oracle: &mut Oracle<'_>) {
    let errors = errors(model, oracle);
    let worst = errors
        .iter()
        .fold(0.0_f32, |most, x| if *x <= most { most } else { *x });
    assert!(worst < 1e-4, "{name}: a row of logits is off by {worst}");
}
