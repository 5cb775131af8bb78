//! `tagger`: share of right universal tags on the test part of UD English-EWT, and the speed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use mlk8s_openie::{Tag, Tagger};

/// Tags the test part with its own words and compares. Not for tuning: the development part is for that.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    figures(&data.join("ud-ewt"), "en_ewt-ud-test.conllu", out)
}

fn figures(folder: &Path, file: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    ensure!(
        folder.is_dir(),
        "no benchmark data: `{}`; set `MLK8S_BENCH_DATA`",
        folder.display()
    );
    let path = folder.join(file);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let sentences = sentences(&text)?;
    let tagger = Tagger::embedded();
    let start = Instant::now();
    let found: Vec<Vec<Tag>> = sentences
        .iter()
        .map(|(words, _)| tagger.tag(words))
        .collect();
    let seconds = start.elapsed().as_secs_f64();
    let n_words: usize = sentences.iter().map(|(words, _)| words.len()).sum();
    let same = |(found, (_, gold)): (&Vec<Tag>, &(Vec<&str>, Vec<Tag>))| {
        found.iter().zip(gold).filter(|(a, b)| a == b).count()
    };
    let n_right: usize = found.iter().zip(&sentences).map(same).sum();
    writeln!(
        out,
        "{file}: {:.2} % of {n_words} words, {:.0} words/s",
        100.0 * n_right as f64 / n_words as f64,
        n_words as f64 / seconds
    )?;
    Ok(())
}

/// Words and universal tags of each sentence of a CoNLL-U file; multiword tokens and empty nodes are left out.
fn sentences(text: &str) -> anyhow::Result<Vec<(Vec<&str>, Vec<Tag>)>> {
    let mut sentences = vec![(Vec::new(), Vec::new())];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns.len() < 4 {
            sentences.push((Vec::new(), Vec::new()));
        } else if columns[0].bytes().all(|byte| byte.is_ascii_digit())
            && let Some((words, tags)) = sentences.last_mut()
        {
            words.push(columns[1]);
            tags.push(
                Tag::from_name(columns[3])
                    .with_context(|| format!("no universal tag: `{}`", columns[3]))?,
            );
        }
    }
    sentences.retain(|(words, _)| !words.is_empty());
    Ok(sentences)
}
