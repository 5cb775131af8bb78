//! Trains the tagger that comes with the crate.
//!
//! `train_tagger TREEBANK OUTPUT`: the treebank directory holds `train.tsv` or `train.tsv.gz` (a word a line: form,
//! universal tag, Penn tag; a blank line ends a sentence) and `en_ewt-ud-dev.conllu` to report on.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use mlk8s_openie::Tagger;
use mlk8s_openie::training::{Recipe, TaggedSentence, train};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut err = std::io::stderr();
    let [treebank, output, rest @ ..] = args.as_slice() else {
        let _ = writeln!(err, "usage: train_tagger TREEBANK OUTPUT");
        return ExitCode::FAILURE;
    };
    match run(Path::new(treebank), Path::new(output), rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(treebank: &Path, output: &Path, rest: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let mut err = std::io::stderr();
    let lessons = sentences(&text(treebank)?, 0)?;
    let dev = sentences(
        &std::fs::read_to_string(treebank.join("en_ewt-ud-dev.conllu"))?,
        1,
    )?;
    let mut recipe = Recipe::default();
    for pair in rest.chunks(2) {
        match pair[0].as_str() {
            "epochs" => recipe.n_epochs = pair[1].parse()?,
            "min" => recipe.min_count = pair[1].parse()?,
            "minw" => recipe.min_word_count = pair[1].parse()?,
            "bytes" => recipe.max_bytes = pair[1].parse()?,
            "step" => recipe.step = pair[1].parse()?,
            "margin" => recipe.margin = pair[1].parse()?,
            "veil" => recipe.veil = pair[1].parse()?,
            "seed" => recipe.seed = pair[1].parse()?,
            _ => {}
        }
    }
    let bytes = train(&lessons, &recipe, &mut |line| {
        let _ = writeln!(err, "{line}");
    });
    let tagger = Tagger::from_bytes(&bytes)?;
    let (mut right, mut n) = (0, 0);
    let t = std::time::Instant::now();
    for sentence in &dev {
        let words: Vec<&str> = sentence.words.iter().map(String::as_str).collect();
        right += tagger
            .tag(&words)
            .into_iter()
            .zip(sentence.tags())
            .filter(|(a, b)| a == b)
            .count();
        n += words.len();
    }
    writeln!(
        std::io::stderr(),
        "development set: {:.2} % of {n} words {:?}",
        100.0 * right as f64 / n as f64,
        t.elapsed()
    )?;
    std::fs::write(output, bytes)?;
    Ok(())
}

/// The training text, unpacked if need be.
fn text(treebank: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let plain = treebank.join("train.tsv");
    if plain.exists() {
        return Ok(std::fs::read_to_string(plain)?);
    }
    let mut packed = Vec::new();
    std::fs::File::open(treebank.join("train.tsv.gz"))?.read_to_end(&mut packed)?;
    let header = 10
        + if packed.get(3).is_some_and(|flags| flags & 8 != 0) {
            packed[10..]
                .iter()
                .position(|&b| b == 0)
                .map_or(0, |n| n + 1)
        } else {
            0
        };
    let bytes = miniz_oxide::inflate::decompress_to_vec(packed.get(header..).unwrap_or_default())
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(bytes)?)
}

/// Sentences of a table whose word stands in column `form` and its tags two columns on (or one, where there are no lemmas).
fn sentences(text: &str, form: usize) -> Result<Vec<TaggedSentence>, Box<dyn std::error::Error>> {
    let tags = if form == 0 { 1 } else { 3 };
    let mut sentences = vec![TaggedSentence::default()];
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns.len() < 3 {
            if sentences
                .last()
                .is_some_and(|sentence| !sentence.words.is_empty())
            {
                sentences.push(TaggedSentence::default());
            }
            continue;
        }
        if form == 1 && !columns[0].bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let known = sentences
            .last_mut()
            .is_some_and(|sentence| sentence.push(columns[form], columns[tags], columns[tags + 1]));
        if !known {
            return Err(format!("no universal tag: `{line}`").into());
        }
    }
    sentences.retain(|sentence| !sentence.words.is_empty());
    Ok(sentences)
}
