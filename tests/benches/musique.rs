//! `musique`: how many of the passages that answer a question are among the first that guided retrieval finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use mlk8s_corpus::{ReadOptions, Unwatched, read};
use mlk8s_graph::Store;
use serde_json::Value;

use crate::meaning::Meaning;

/// Ranks at which recall is taken.
const RANKS: [usize; 3] = [2, 5, 8];

/// A question and the documents with its gold passages.
struct Question {
    text: String,
    gold: BTreeSet<String>,
}

/// Share of the gold passages that were found, for each rank, and the share of questions with all of them.
struct Recall {
    some: [f64; 3],
    all: [f64; 3],
}

/// Builds the graph of the 1,890 passages and ranks them for each of the 100 questions.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = data.join("musique");
    ensure!(
        folder.is_dir(),
        "no benchmark data: `{}`; set `MLK8S_BENCH_DATA`",
        folder.display()
    );
    let corpus = read(
        &[folder.join("musique_train_corpus.json")],
        &ReadOptions::default(),
        &Unwatched,
    )?;
    let dir = tempfile::tempdir()?;
    let mut store = Store::open(dir.path())?;
    store.add(&corpus.documents, &Unwatched)?;
    let index = store.load()?;
    let mut by_passage: BTreeMap<(String, String), String> = BTreeMap::new();
    for document in &corpus.documents {
        by_passage.insert(
            (document.title.clone(), plain(&document.original)),
            document.id.clone(),
        );
    }
    let questions = questions(&folder.join("musique_train.json"), &by_passage)?;
    let stats = index.stats();
    writeln!(
        out,
        "{} passages, {} triples, {} entities, {} relations, {} questions",
        stats.documents,
        stats.triples,
        stats.entities,
        stats.relations,
        questions.len()
    )?;
    let start = std::time::Instant::now();
    let ranked: Vec<_> = questions
        .iter()
        .map(|question| index.rank(&question.text, &[]))
        .collect();
    let took = start.elapsed().as_secs_f64() * 1000.0 / questions.len() as f64;
    writeln!(
        out,
        "{:10} {:>5} {:>5} {:>5}   {:>5} {:>5}",
        "", "R@2", "R@5", "R@8", "All@5", "All@8"
    )?;
    row(
        out,
        "BM25",
        &recall(&questions, ranked.iter().map(|(_, plain)| plain)),
    )?;
    row(
        out,
        "guided",
        &recall(&questions, ranked.iter().map(|(guided, _)| guided)),
    )?;
    if let Some(meaning) = Meaning::of(&index, out)? {
        let ranked = questions
            .iter()
            .map(|question| Ok(index.rank(&question.text, &meaning.near(&question.text)?).0))
            .collect::<anyhow::Result<Vec<_>>>()?;
        row(out, "+ meaning", &recall(&questions, ranked.iter()))?;
    }
    writeln!(
        out,
        "wanted: guided R@5 at least 63, R@8 at least 72; {took:.1} ms a question"
    )?;
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, recall: &Recall) -> std::io::Result<()> {
    let [r2, r5, r8] = recall.some.map(|share| share * 100.0);
    let [_, a5, a8] = recall.all.map(|share| share * 100.0);
    writeln!(
        out,
        "{name:10} {r2:5.1} {r5:5.1} {r8:5.1}   {a5:5.1} {a8:5.1}"
    )
}

fn questions(
    path: &Path,
    by_passage: &BTreeMap<(String, String), String>,
) -> anyhow::Result<Vec<Question>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let all: Vec<Value> = serde_json::from_str(&text)?;
    let text_of = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    all.iter()
        .map(|question| {
            let passages = question["paragraphs"]
                .as_array()
                .context("a question without passages")?;
            let gold = passages
                .iter()
                .filter(|passage| passage["is_supporting"] == true);
            let gold = gold.map(|passage| {
                let key = (
                    text_of(passage, "title"),
                    plain(&text_of(passage, "paragraph_text")),
                );
                by_passage
                    .get(&key)
                    .cloned()
                    .with_context(|| format!("a gold passage is not in the corpus: `{}`", key.0))
            });
            Ok(Question {
                text: text_of(question, "question"),
                gold: gold.collect::<anyhow::Result<_>>()?,
            })
        })
        .collect()
}

/// A passage without its spaces, which a reader may change.
fn plain(text: &str) -> String {
    text.split_whitespace().collect()
}

fn recall<'a>(questions: &[Question], ranked: impl Iterator<Item = &'a Vec<&'a str>>) -> Recall {
    let mut recall = Recall {
        some: [0.0; 3],
        all: [0.0; 3],
    };
    let share = 1.0 / questions.len() as f64;
    for (question, ranked) in questions.iter().zip(ranked) {
        for (at, rank) in RANKS.into_iter().enumerate() {
            let found = ranked
                .iter()
                .take(rank)
                .filter(|id| question.gold.contains(**id))
                .count();
            recall.some[at] += share * found as f64 / question.gold.len() as f64;
            recall.all[at] += if found == question.gold.len() {
                share
            } else {
                0.0
            };
        }
    }
    recall
}
