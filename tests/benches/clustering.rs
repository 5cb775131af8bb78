//! `clustering`: k-means of rows and of answers next to scikit-learn and faiss, and encodings by what they find.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::client;

/// A survey: rows, questions, answers to each, groups, iterations.
const SURVEY: [&str; 5] = ["100000", "100", "400", "20", "10"];
/// One that would take 150 GB if it were written out.
const LARGE: [&str; 5] = ["1000000", "100", "400", "50", "10"];

/// Rows of four shapes, answers of two sizes, and public sets of categories.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().display().to_string();
    let rows = client::program("mlk8s-kmeans-rows")?.display().to_string();
    for what in ["lloyd", "init"] {
        writeln!(out, "{what}:")?;
        let cases = if what == "lloyd" { "abcde" } else { "ab" };
        client::run_with_peers("kmeans_rows.py", &[&place, &rows, cases, "5", what], out)?;
    }
    writeln!(out, "answers, {}:", SURVEY.join(" × "))?;
    ours(
        "mlk8s-kmeans-answers",
        &[&SURVEY[..], &[&place]].concat(),
        out,
    )?;
    let peer = [&[place.as_str()], &SURVEY[1..]].concat();
    client::run_with_peers("kmeans_answers.py", &peer, out)?;
    writeln!(out, "answers, {}:", LARGE.join(" × "))?;
    ours("mlk8s-kmeans-answers", &LARGE, out)?;
    let sets = data.join("categorical/arff");
    if !sets.is_dir() {
        bail!("encodings: no data at `{}`", sets.display());
    }
    ours("mlk8s-encodings", &[&sets.display().to_string()], out)
}

/// What a program of ours prints.
pub(crate) fn ours(name: &str, arguments: &[&str], out: &mut dyn Write) -> anyhow::Result<()> {
    let program = client::program(name)?;
    let done = Command::new(&program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run `{}`", program.display()))?;
    if !done.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    out.write_all(&done.stdout)?;
    Ok(())
}
