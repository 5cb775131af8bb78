//! `build`: how long the text of 187 papers takes to become a stored graph, and how much memory.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use mlk8s_corpus::{Corpus, ReadOptions, Unwatched, read, sentences};
use mlk8s_graph::Store;

/// As many papers as the original system was shown with.
const N_PAPERS: usize = 187;
/// Words of one of them.
const N_WORDS: usize = 8_000;
/// Sentences of a paragraph.
const PARAGRAPH: u64 = 6;

/// Writes papers of shuffled sentences, reads them, and measures from there to a graph that is stored and loaded.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let passages = data.join("musique/musique_train_corpus.json");
    ensure!(
        passages.is_file(),
        "no benchmark data: `{}`; set `MLK8S_BENCH_DATA`",
        passages.display()
    );
    let dir = tempfile::tempdir()?;
    let folder = dir.path().join("papers");
    fs::create_dir(&folder)?;
    let n_words = write_papers(&passages, &folder)?;
    let read_start = Instant::now();
    let corpus = read(&[folder], &ReadOptions::default(), &Unwatched)?;
    let reading = read_start.elapsed();
    let before = peak_mebibytes()?;

    let start = Instant::now();
    let mut store = Store::open(&dir.path().join("graph"))?;
    let report = store.add(&corpus.documents, &Unwatched)?;
    let storing = start.elapsed();
    let index = store.load()?;
    let all = start.elapsed();

    let stats = index.stats();
    let n_papers = corpus.documents.len();
    writeln!(
        out,
        "{n_papers} papers, {n_words} words, {} sentences, {} triples",
        report.sentences, report.triples
    )?;
    writeln!(
        out,
        "{} entities, {} relations, {} communities",
        stats.entities, stats.relations, stats.communities
    )?;
    writeln!(
        out,
        "reading: {:.1} s, and {before} MiB at most until then",
        reading.as_secs_f64()
    )?;
    writeln!(
        out,
        "text to stored triples: {:.1} s",
        storing.as_secs_f64()
    )?;
    let question = Instant::now();
    let answer = index.ask(
        "Which university did the composer attend?",
        &mlk8s_graph::AskOptions::default(),
        &[],
    );
    writeln!(
        out,
        "text to stored and loaded graph: {:.1} s, {} MiB at most; first question: {:.1} s, {} passages",
        all.as_secs_f64(),
        peak_mebibytes()?,
        question.elapsed().as_secs_f64(),
        answer.guided.len()
    )?;
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(
        out,
        "wanted on two cores: at most 15 s and 1,024 MiB; cores here: {n_threads}"
    )?;
    Ok(())
}

/// Writes the papers as text files: sentences of real passages in an order that a fixed seed gives.
fn write_papers(passages: &Path, folder: &Path) -> anyhow::Result<usize> {
    let Corpus { documents, .. } =
        read(&[passages.to_owned()], &ReadOptions::default(), &Unwatched)?;
    let all: Vec<&str> = documents
        .iter()
        .flat_map(|document| {
            sentences(&document.text)
                .into_iter()
                .map(|range| &document.text[range])
        })
        .collect();
    ensure!(
        !all.is_empty(),
        "there are no sentences in `{}`",
        passages.display()
    );
    let mut state = 200_702_871_u64;
    let mut next = move || {
        // Knuth's MMIX generator: any fixed order will do.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut n_all = 0;
    for paper in 0..N_PAPERS {
        let (mut text, mut n_words) = (format!("Paper number {paper}\n\n"), 0);
        while n_words < N_WORDS {
            let sentence = all[next() as usize % all.len()];
            n_words += sentence.split_whitespace().count();
            text.push_str(sentence);
            text.push_str(if next() % PARAGRAPH == 0 { "\n\n" } else { " " });
        }
        n_all += n_words;
        fs::write(folder.join(format!("paper-{paper:03}.txt")), text)?;
    }
    Ok(n_all)
}

/// The most memory that this process has held so far.
fn peak_mebibytes() -> anyhow::Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("only Linux tells the peak memory")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no `VmHWM` line")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes / 1024)
}
