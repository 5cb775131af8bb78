//! Trains the tagger that comes with the crate.
//!
//! `train_tagger TREEBANK OUTPUT`: the treebank directory holds `train.tsv` or `train.tsv.gz` (a word a line: form,
//! universal tag, Penn tag; a blank line ends a sentence) and `en_ewt-ud-dev.conllu` to report on.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use mlk8s_openie::Tagger;
use mlk8s_openie::training::{Recipe, TaggedSentence, train};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut log = std::io::stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.as_slice() {
        [treebank, output] => run(Path::new(treebank), Path::new(output), &mut log),
        _ => Err("usage: train_tagger TREEBANK OUTPUT".into()),
    };
    match done.or_else(|error| writeln!(log, "{error}").map(|()| ExitCode::FAILURE)) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(treebank: &Path, output: &Path, log: &mut dyn Write) -> Result<ExitCode, Failure> {
    let lessons = sentences(&text(treebank)?, &TSV)?;
    let dev = treebank.join("en_ewt-ud-dev.conllu");
    let dev = sentences(&std::fs::read_to_string(dev)?, &CONLLU)?;
    let mut heard = Ok(());
    let bytes = train(&lessons, &Recipe::default(), &mut |line| {
        heard = writeln!(log, "{line}");
    });
    heard?;
    std::fs::write(output, &bytes)?;
    let share = share_right(&Tagger::from_bytes(&bytes)?, &dev);
    writeln!(
        log,
        "{} bytes, {:.2} % of the words of the development part",
        bytes.len(),
        100.0 * share
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The share of words whose universal tag comes out right.
fn share_right(tagger: &Tagger, sentences: &[TaggedSentence]) -> f64 {
    let (mut n_right, mut n_words) = (0, 0);
    for sentence in sentences {
        let words: Vec<&str> = sentence.words.iter().map(String::as_str).collect();
        let tags = tagger.tag(&words);
        n_right += tags
            .into_iter()
            .zip(sentence.tags())
            .filter(|(found, gold)| found == gold)
            .count();
        n_words += words.len();
    }
    n_right as f64 / f64::from(u32::try_from(n_words).unwrap_or(u32::MAX))
}

/// The training text, unpacked if need be.
fn text(treebank: &Path) -> Result<String, Failure> {
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

/// Which columns of a table hold a word, its universal and its Penn tag.
struct Columns {
    word: usize,
    universal: usize,
    penn: usize,
    /// Whether the first column numbers the words, so that "1-2" and "1.1" are no words of their own
    numbered: bool,
}

const TSV: Columns = Columns {
    word: 0,
    universal: 1,
    penn: 2,
    numbered: false,
};
const CONLLU: Columns = Columns {
    word: 1,
    universal: 3,
    penn: 4,
    numbered: true,
};

/// Sentences of a table with a word a line and a blank line after each sentence.
fn sentences(text: &str, at: &Columns) -> Result<Vec<TaggedSentence>, Failure> {
    let mut sentences = vec![TaggedSentence::default()];
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns.len() <= at.penn {
            sentences.push(TaggedSentence::default());
        } else if !at.numbered || columns[0].bytes().all(|byte| byte.is_ascii_digit()) {
            let sentence = sentences.last_mut().ok_or("no sentence")?;
            if !sentence.push(columns[at.word], columns[at.universal], columns[at.penn]) {
                return Err(format!("no universal tag: `{line}`").into());
            }
        }
    }
    sentences.retain(|sentence| !sentence.words.is_empty());
    Ok(sentences)
}
