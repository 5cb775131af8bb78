//! How many texts a second become vectors, tokens and all.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use mlk8s_engine::{Encoder, GpuKernels, Unwatched};

use crate::models::{Model, all, text};
use crate::{Failure, Place, name, tell, tried};

/// Words of the texts: a question, a passage.
const WORDS: [usize; 2] = [16, 126];
/// Tokens at a time: many for the smallest model and own kernels, fewer for others, few in a rehearsal.
const TOKENS: [usize; 3] = [1 << 20, 1 << 18, 1 << 13];
/// Seconds after which no further round begins.
const SECONDS: f64 = 1.0;

/// Times all families, those first that are compared with others.
pub(crate) fn run(folder: &Path, place: Place, out: &mut dyn Write) -> Result<(), Failure> {
    let mut models = all();
    models.sort_by_key(|model| {
        ["minilm", "modernbert"]
            .iter()
            .position(|name| *name == model.name)
            .unwrap_or(9)
    });
    for model in models {
        model.write(folder)?;
        let compared = ["minilm", "modernbert"].contains(&model.name);
        let kernels = tried(model.name);
        for kernels in if compared { kernels } else { &kernels[..1] } {
            // What fails with some kernels says nothing of the others.
            if let Err(error) = one(&model, folder, (place, *kernels), out) {
                let what = format!("{}, {}", model.name, name(*kernels));
                tell(out, &["missing", &what, &error.to_string()]);
            }
        }
    }
    Ok(())
}

fn one(
    model: &Model,
    folder: &Path,
    (place, kernels): (Place, GpuKernels),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let named = format!("{}, {}", model.name, name(kernels));
    let began = Instant::now();
    let card = place.load(&model.folder(folder), kernels)?;
    // What is compiled and found out at first use.
    card.encode(&texts(64, 40), &Unwatched)?;
    let loaded = format!("{:.1}", began.elapsed().as_secs_f64());
    let what = format!("{named}, loaded, and the first texts");
    tell(out, &["time", &what, &loaded, "s", ""]);
    for n in WORDS {
        let n = n.min(card.info().max_tokens - 2);
        let tokens = match place {
            Place::Processor => TOKENS[2],
            Place::Card if model.name == "minilm" && kernels != GpuKernels::Candle => TOKENS[0],
            Place::Card => TOKENS[1],
        };
        let found = rate(&card, &texts(tokens / (n + 2), n))?;
        let what = format!("{named}, texts of {} tokens", n + 2);
        tell(out, &["time", &what, &format!("{found:.0}"), "texts/s", ""]);
    }
    Ok(())
}

fn texts(count: usize, n: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(n as u64);
    (0..count).map(|_| text(&mut random, n)).collect()
}

/// Texts a second: rounds of these texts, tokens and all.
fn rate(encoder: &Encoder, texts: &[String]) -> Result<f64, Failure> {
    let began = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || began.elapsed().as_secs_f64() < SECONDS {
        encoder.encode(texts, &Unwatched)?;
        rounds += 1;
    }
    Ok((rounds * texts.len()) as f64 / began.elapsed().as_secs_f64())
}
