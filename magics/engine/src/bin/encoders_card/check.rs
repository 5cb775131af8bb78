//! Vectors of the card against those of the processor.

use std::io::{Cursor, Write};
use std::path::Path;

use image::{ImageFormat, RgbImage};
use mlk8s_engine::{Embeddings, Encoder, GpuKernels, Unwatched};

use crate::models::{Model, all, text};
use crate::{Failure, Place, name, tell, tried};

/// Words of the texts: none, few, all lengths around borders of groups, and more than some models take.
const LENGTHS: [usize; 18] = [
    5, 0, 17, 1, 40, 6, 75, 33, 300, 12, 126, 130, 2, 250, 64, 510, 9, 600,
];
/// Texts of each length.
const TIMES: usize = 2;
/// Pictures.
const PICTURES: u32 = 24;
/// By how much a number may be off, relative to the largest of its row, where both compute in single precision: what
/// differs is the order of the sums, through up to 22 layers.
const MOST: f32 = 1e-3;
/// What the cosine is at least where products round their factors.
const LEAST: f64 = 0.9999;

/// Checks all families; says whether everything is as it must be. Models, texts and vectors stay in `folder`, for others
/// who can read them.
pub(crate) fn run(folder: &Path, place: Place, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut good = true;
    for model in all() {
        model.write(folder)?;
        let processor = Encoder::load(model.folder(folder))?;
        let texts = texts();
        let wanted = processor.encode(&texts, &Unwatched)?;
        let seen = if processor.info().images {
            let pictures = pictures()?;
            let wanted = processor.encode_pictures(&pictures, &Unwatched)?;
            Some((pictures, wanted))
        } else {
            None
        };
        let asked = Asked {
            model: &model,
            folder,
            texts: (texts, wanted),
            pictures: seen,
        };
        for kernels in tried(model.name) {
            // What fails with some kernels says nothing of the others.
            good &= asked.of(place, *kernels, out).unwrap_or_else(|error| {
                let what = format!("{}: {error}", name(*kernels));
                tell(out, &["check", model.name, &what, "", "", "WRONG"]);
                false
            });
        }
    }
    Ok(good)
}

/// What a model is asked, and what the processor answers.
struct Asked<'a> {
    model: &'a Model,
    folder: &'a Path,
    texts: (Vec<String>, Embeddings),
    pictures: Option<(Vec<Vec<u8>>, Embeddings)>,
}

impl Asked<'_> {
    /// Asks it elsewhere; says whether the answers are right.
    fn of(&self, place: Place, kernels: GpuKernels, out: &mut dyn Write) -> Result<bool, Failure> {
        let mut good = true;
        let mut compare = |what: &str, found: &Embeddings, wanted: &Embeddings| {
            let what = format!("{what}, {}", name(kernels));
            good &= compare((self.model.name, &what), kernels, (found, wanted), out);
        };
        let (texts, wanted) = &self.texts;
        let card = place.load(&self.model.folder(self.folder), kernels)?;
        let found = card.encode(texts, &Unwatched)?;
        compare(&format!("{} texts", texts.len()), &found, wanted);
        if kernels == GpuKernels::F32 {
            keep(self.model, self.folder, texts, &found)?;
        }
        // In other company.
        let some: Vec<&String> = texts.iter().step_by(7).collect();
        let alone = card.encode(&some, &Unwatched)?;
        let there = rows(&found, (0..texts.len()).step_by(7));
        compare("in other company", &alone, &there);
        if let Some((pictures, wanted)) = &self.pictures {
            let found = card.encode_pictures(pictures, &Unwatched)?;
            compare(&format!("{PICTURES} pictures"), &found, wanted);
        }
        Ok(good)
    }
}

fn texts() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(3);
    let lengths = LENGTHS.iter().cycle().take(TIMES * LENGTHS.len());
    lengths.map(|n| text(&mut random, *n)).collect()
}

/// Pictures of all shapes, as files.
fn pictures() -> Result<Vec<Vec<u8>>, Failure> {
    let picture = |number: u32| -> Result<Vec<u8>, Failure> {
        let (width, height) = (180 + 13 * number, 420 - 9 * number);
        let wave = |x: u32, factor: u32| (x * factor / (1 + number % 5) % 256) as u8;
        let pixels = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([wave(x, 3), wave(y, 2), wave(x + y, 1 + number)])
        });
        let mut file = Cursor::new(Vec::new());
        pixels.write_to(&mut file, ImageFormat::Png)?;
        Ok(file.into_inner())
    };
    (0..PICTURES).map(picture).collect()
}

fn rows(of: &Embeddings, which: impl Iterator<Item = usize>) -> Embeddings {
    Embeddings {
        n_dims: of.n_dims,
        values: which.flat_map(|row| of.row(row)).copied().collect(),
        n_tokens: 0,
        n_truncated: 0,
    }
}

/// Tells by how much the worst row is off; says whether that is little.
fn compare(
    (name, what): (&str, &str),
    kernels: GpuKernels,
    (found, wanted): (&Embeddings, &Embeddings),
    out: &mut dyn Write,
) -> bool {
    let pairs = || found.rows().zip(wanted.rows());
    let worst = pairs().map(difference).fold(0.0, f32::max);
    // What is no number, as of a row of zeros, is no likeness.
    let likeness = |pair| match cosine(pair) {
        cosine if cosine.is_nan() => -1.0,
        cosine => cosine,
    };
    let cosine = pairs().map(likeness).fold(1.0, f64::min);
    let near = match kernels {
        GpuKernels::Tf32 => cosine >= LEAST && worst.is_finite(),
        GpuKernels::F32 | GpuKernels::Candle => worst <= MOST,
    };
    let right = found.values.len() == wanted.values.len() && near && !wanted.values.is_empty();
    let verdict = if right { "as it must be" } else { "WRONG" };
    let numbers = [format!("{worst:.1e}"), format!("{cosine:.7}")];
    tell(
        out,
        &["check", name, what, &numbers[0], &numbers[1], verdict],
    );
    right
}

/// The largest difference of a row, relative to its largest number; what is no number is infinitely far off.
fn difference((found, wanted): (&[f32], &[f32])) -> f32 {
    let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0_f32, |most, x| {
        if x.is_nan() {
            f32::INFINITY
        } else {
            most.max(x)
        }
    });
    // A row of zeros is no vector.
    if largest > 0.0 {
        worst / largest
    } else {
        f32::INFINITY
    }
}

fn cosine((found, wanted): (&[f32], &[f32])) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    dot(found, wanted) / (dot(found, found) * dot(wanted, wanted)).sqrt()
}

/// Keeps texts and vectors beside the model.
fn keep(model: &Model, folder: &Path, texts: &[String], found: &Embeddings) -> Result<(), Failure> {
    let folder = model.folder(folder);
    std::fs::write(folder.join("texts.txt"), texts.join("\n"))?;
    let bytes: Vec<u8> = found.values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(std::fs::write(folder.join("vectors.f32"), bytes)?)
}
