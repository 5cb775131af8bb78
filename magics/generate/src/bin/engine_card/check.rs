//! Logits of the card against those of the processor, on ragged batches.

use std::io::Write;
use std::path::Path;

use mlk8s_generate::{Batch, Device, Forward, LoadSettings, PAGE, Part, Precision, load};

use crate::models::{Model, Stored, families};
use crate::{Failure, tell};

/// Pages of the cache.
const N_PAGES: usize = 64;
/// Rows and sequences of each step: chunks that end at, before and behind borders of pages, beside single tokens, and a
/// context that is split.
const STEPS: [&[(usize, usize)]; 7] = [
    &[(0, 31), (1, 33), (4, 512)],
    &[(1, 1), (0, 1), (2, 5), (4, 512)],
    &[(0, 1), (3, 31), (4, 1)],
    &[(2, 1), (0, 33), (3, 1), (4, 1)],
    &[(3, 1), (2, 1), (0, 70), (4, 1)],
    &[(0, 1), (4, 100)],
    &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)],
];
/// Sequences of the steps.
const N_SEQUENCES: usize = 5;

/// A way to keep numbers, how the processor keeps them for comparison, and by what the worst row and the row in the middle
/// may be off, relative to the row's largest logit.
const KINDS: [(&str, Precision, Precision, f32, f32); 2] = [
    ("f32", Precision::F32, Precision::F32, 1e-4, 1e-4),
    ("bf16", Precision::Stored, Precision::Stored, 0.1, 0.02),
];

/// Checks all families; says whether everything is as it must be.
pub(crate) fn run(device: Device, out: &mut dyn Write) -> Result<bool, Failure> {
    let folder = std::env::temp_dir().join(format!("mlk8s-engine-card-{}", std::process::id()));
    let done = families_in(&folder, device, out);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn families_in(folder: &Path, device: Device, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut good = true;
    for model in families() {
        model.write(folder, Stored::F32)?;
        for (name, on_card, on_processor, worst, middle) in KINDS {
            let card = decoder(folder, on_card, device);
            let errors = card.and_then(|card| errors(folder, &model, card, on_processor));
            let (verdict, numbers) = match errors {
                Ok(mut errors) => {
                    errors.sort_by(f32::total_cmp);
                    let found = (errors[errors.len() / 2], errors[errors.len() - 1]);
                    let right = found.0 <= middle && found.1 <= worst;
                    let verdict = if right { "as it must be" } else { "WRONG" };
                    (verdict, format!("{:.1e}\t{:.1e}", found.0, found.1))
                }
                Err(error) => ("WRONG", format!("{error}\t")),
            };
            good &= verdict != "WRONG";
            let numbers: Vec<&str> = numbers.split('\t').collect();
            tell(
                out,
                &["check", model.name, name, numbers[0], numbers[1], verdict],
            );
        }
    }
    Ok(good)
}

/// A decoder of a folder, with a cache for all steps.
pub(crate) fn decoder(
    folder: &Path,
    precision: Precision,
    device: Device,
) -> Result<Box<dyn Forward>, Failure> {
    let settings = LoadSettings {
        precision,
        device,
        instructions: None,
        context: None,
    };
    let mut model = load(folder, &settings, &mut |_, _| {})?.model;
    model.reserve(N_PAGES)?;
    Ok(model)
}

/// The errors of all rows of all steps, relative to the row's largest logit.
fn errors(
    folder: &Path,
    model: &Model,
    mut card: Box<dyn Forward>,
    on_processor: Precision,
) -> Result<Vec<f32>, Failure> {
    let mut processor = decoder(folder, on_processor, Device::Cpu)?;
    let found = logits(card.as_mut(), model)?;
    off(&found, &logits(processor.as_mut(), model)?, model)
}

/// The logits of all rows of all steps, one after the other.
pub(crate) fn logits(decoder: &mut dyn Forward, model: &Model) -> Result<Vec<f32>, Failure> {
    let mut all = Vec::new();
    for batch in batches(model.vocabulary() as u32) {
        all.extend(decoder.forward(&batch)?);
    }
    Ok(all)
}

/// By what rows are off, relative to the largest logit of each.
pub(crate) fn off(found: &[f32], wanted: &[f32], model: &Model) -> Result<Vec<f32>, Failure> {
    if found.len() != wanted.len() {
        return Err(format!("{} logits, not {}", found.len(), wanted.len()).into());
    }
    let rows = found.chunks(model.vocabulary());
    let pairs = rows.zip(wanted.chunks(model.vocabulary()));
    Ok(pairs.map(difference).collect())
}

/// What is no number is infinitely far off.
fn difference((found, wanted): (&[f32], &[f32])) -> f32 {
    let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let worst = worst.fold(0.0_f32, |most, x| {
        if x.is_nan() {
            f32::INFINITY
        } else {
            most.max(x)
        }
    });
    worst / largest
}

/// The batches of all steps, every row wanted; pages are taken in any order.
fn batches(vocabulary: u32) -> Vec<Batch> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut free: Vec<u32> = (0..N_PAGES as u32).collect();
    random.shuffle(&mut free);
    let mut pages: Vec<Vec<u32>> = vec![Vec::new(); N_SEQUENCES];
    let mut done = [0; N_SEQUENCES];
    let mut batches = Vec::new();
    for step in STEPS {
        let mut batch = Batch::default();
        for (sequence, len) in step {
            let length = done[*sequence] + len;
            while pages[*sequence].len() < length.div_ceil(PAGE) {
                pages[*sequence].extend(free.pop());
            }
            batch.parts.push(Part {
                start: batch.tokens.len(),
                len: *len,
                length,
                pages: pages[*sequence].clone(),
            });
            batch
                .tokens
                .extend((0..*len).map(|_| random.u32(0..vocabulary)));
            done[*sequence] = length;
        }
        batch.rows = (0..batch.tokens.len()).collect();
        batches.push(batch);
    }
    batches
}
