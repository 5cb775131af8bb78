//! How many texts a second become vectors.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use mlk8s_engine::{Encoder, Unwatched};

use crate::models::{all, text};
use crate::{Failure, Place, tell};

/// Words of the texts: a question, a passage.
const WORDS: [usize; 2] = [16, 126];
/// Texts at a time, on the card and on the processor.
const AT_ONCE: (usize, usize) = (8192, 256);
/// Seconds after which no further round begins.
const SECONDS: f64 = 2.0;

/// Times all families, the small model of sentences first.
pub(crate) fn run(folder: &Path, place: Place, out: &mut dyn Write) -> Result<(), Failure> {
    for model in all() {
        model.write(folder)?;
        let began = Instant::now();
        let card = place.load(&model.folder(folder))?;
        // What is compiled and found out at first use.
        card.encode(&texts(64, 40), &Unwatched)?;
        let loaded = format!("{:.1}", began.elapsed().as_secs_f64());
        let what = format!("{}, loaded, and the first texts", model.name);
        tell(out, &["time", &what, &loaded, "s", ""]);
        let processor = Encoder::load(model.folder(folder))?;
        for n in WORDS {
            let n = n.min(card.info().max_tokens - 2);
            let at_once = match place {
                Place::Card => AT_ONCE.0,
                Place::Processor => AT_ONCE.1,
            };
            let found = rate(&card, &texts(at_once, n))?;
            let beside = rate(&processor, &texts(AT_ONCE.1, n))?;
            let what = format!("{}, texts of {} tokens", model.name, n + 2);
            let numbers = [format!("{found:.0}"), format!("{beside:.0}")];
            tell(out, &["time", &what, &numbers[0], "texts/s", &numbers[1]]);
        }
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
