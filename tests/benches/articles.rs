//! `articles`: how much of what answers a question is among the evidence, on the articles beside the notebooks.
//!
//! The questions are those that people ask of their own folder: facts, lists, definitions, two steps, other words than
//! the text's, and no names at all. Each was labelled by reading the articles before anything was tuned; `gold` holds
//! groups of sentences, and one sentence of a group is enough. Half of the questions (`tune`) may be looked at while a
//! method is being made, the other half (`check`) only says whether it holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use mlk8s_corpus::{Corpus, ReadOptions, Unwatched, read};
use mlk8s_graph::{AskOptions, Evidence, Store};
use serde_json::Value;

use crate::meaning::Meaning;

/// Pieces of evidence that are looked at: as many as `%%ask` shows.
const SHOWN: usize = 5;

/// A question with the groups of sentences that answer it.
struct Question {
    text: String,
    half: String,
    kind: String,
    /// Stretches of sentences, without spaces.
    gold: Vec<Vec<String>>,
}

/// What is found of the answers, summed over questions.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    n: f64,
    recall: f64,
    reciprocal: f64,
    first: f64,
}

/// For plain word search, for guided retrieval and for both with meanings, what is found in each group of questions.
type Measured = BTreeMap<String, [Found; 3]>;

impl Found {
    /// Share of the groups of which a sentence is shown.
    fn recall(&self) -> f64 {
        self.recall / self.n
    }

    /// Mean of one over the number of the first evidence that shows a sentence of the answer.
    fn reciprocal_rank(&self) -> f64 {
        self.reciprocal / self.n
    }

    /// Share of the questions whose first evidence shows a sentence of the answer.
    fn first(&self) -> f64 {
        self.first / self.n
    }
}

/// Prints recall, reciprocal rank and the share of good first evidence: plain, guided, and guided by meanings too.
pub(crate) fn run(_: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:14} {:>3}   {:>22}   {:>22}   {:>22}",
        "", "n", "plain R@5  MRR   [1]", "guided R@5  MRR   [1]", "+ meaning"
    )?;
    for (name, [plain, guided, meant]) in measure(out)? {
        let three = |found: &Found| {
            let [recall, rank, first] = [found.recall(), found.reciprocal_rank(), found.first()];
            format!("{:10.1} {rank:.3} {:5.1}", recall * 100.0, first * 100.0)
        };
        writeln!(
            out,
            "{name:14} {:3}   {:>22}   {:>22}   {:>22}",
            plain.n,
            three(&plain),
            three(&guided),
            three(&meant)
        )?;
    }
    Ok(())
}

/// Asks every question; `out` hears of those where the first evidence, or something of the answer, is missed.
fn measure(out: &mut dyn Write) -> anyhow::Result<Measured> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let articles: [PathBuf; 1] = [root.join("notebooks/articles")];
    let corpus = read(&articles, &ReadOptions::default(), &Unwatched)?;
    let questions = questions(&root.join("tests/fixtures/article-questions.json"))?;
    labels_exist(&questions, &corpus)?;
    let dir = tempfile::tempdir()?;
    let mut store = Store::open(dir.path())?;
    store.add(&corpus.documents, &Unwatched)?;
    let index = store.load()?;
    let options = AskOptions {
        passages: SHOWN,
        ..AskOptions::default()
    };
    let meaning = Meaning::of(&index, out)?;
    let mut measured = Measured::new();
    for question in &questions {
        let answer = index.ask(&question.text, &options, &[]);
        let near = match &meaning {
            Some(meaning) => meaning.near(&question.text)?,
            None => Vec::new(),
        };
        let meant = index.ask(&question.text, &options, &near);
        let found =
            [&answer.plain, &answer.guided, &meant.guided].map(|evidence| look(question, evidence));
        let ranks = found.map(|found| (found.reciprocal, found.recall));
        if question.half == "tune" && (found[2].first < 1.0 || found[2].recall < 1.0) {
            writeln!(out, "{:11} {ranks:.2?} {}", question.kind, question.text)?;
        }
        for group in [&question.kind, &question.half, "all"].map(str::to_owned) {
            let sums = measured.entry(group).or_default();
            for (sum, found) in sums.iter_mut().zip(found) {
                sum.n += 1.0;
                sum.recall += found.recall;
                sum.reciprocal += found.reciprocal;
                sum.first += found.first;
            }
        }
    }
    Ok(measured)
}

fn questions(path: &Path) -> anyhow::Result<Vec<Question>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let all: Vec<Value> = serde_json::from_str(&text)?;
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(plain).collect()
    };
    let text_of = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let question = |value: &Value| Question {
        text: text_of(value, "question"),
        half: text_of(value, "half"),
        kind: text_of(value, "kind"),
        gold: value["gold"]
            .as_array()
            .into_iter()
            .flatten()
            .map(texts)
            .collect(),
    };
    Ok(all.iter().map(question).collect())
}

/// A label that no article holds would count as missed whatever is found.
fn labels_exist(questions: &[Question], corpus: &Corpus) -> anyhow::Result<()> {
    let articles: Vec<String> = corpus
        .documents
        .iter()
        .map(|document| plain(&document.text))
        .collect();
    for question in questions {
        for label in question.gold.iter().flatten() {
            let held = articles.iter().any(|article| article.contains(label));
            ensure!(
                held,
                "no article says `{label}`, the label of `{}`",
                question.text
            );
        }
    }
    Ok(())
}

/// A text without its spaces, which a reader may change.
fn plain(text: &str) -> String {
    text.split_whitespace().collect()
}

fn look(question: &Question, evidence: &[Evidence]) -> Found {
    let shown: Vec<Vec<String>> = evidence
        .iter()
        .take(SHOWN)
        .map(|piece| {
            piece
                .sentences
                .iter()
                .map(|sentence| plain(&sentence.text))
                .collect()
        })
        .collect();
    let answers = |piece: &[String], group: &[String]| {
        group
            .iter()
            .any(|label| piece.iter().any(|sentence| sentence.contains(label)))
    };
    let held = question
        .gold
        .iter()
        .filter(|group| shown.iter().any(|piece| answers(piece, group)))
        .count();
    let rank = shown
        .iter()
        .position(|piece| question.gold.iter().any(|group| answers(piece, group)));
    Found {
        n: 1.0,
        recall: held as f64 / question.gold.len() as f64,
        reciprocal: rank.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
        first: f64::from(u8::from(rank == Some(0))),
    }
}
