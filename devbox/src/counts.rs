//! What an executed notebook made, as its own outputs tell.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The things that are counted, as `%kg stats` calls them.
const COUNTED: &[&str] = &["documents", "triples", "entities"];
/// The cell that counts.
const COUNTING: &str = "%kg stats";

/// The counts in the executed notebook `path`, in the order documents, triples, entities.
pub(crate) fn read(path: &Path) -> Result<Vec<(&'static str, String)>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    let notebook = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is no notebook", path.display()))?;
    Ok(counts(&plain_text(&notebook)))
}

/// What the counting cells show as plain text.
fn plain_text(notebook: &Value) -> String {
    let cells = notebook["cells"].as_array().into_iter().flatten();
    cells
        .filter(|cell| joined(&cell["source"]).trim_start().starts_with(COUNTING))
        .flat_map(|cell| cell["outputs"].as_array().into_iter().flatten())
        .map(|output| joined(&output["data"]["text/plain"]) + &joined(&output["text"]))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A text of the notebook format: one string, or a list of them.
fn joined(text: &Value) -> String {
    match text {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// Finds `18 documents` as well as a table row that starts with `documents` and has `18`.
fn counts(text: &str) -> Vec<(&'static str, String)> {
    let count = |name: &&'static str| text.lines().find_map(|line| count_in(line, name));
    COUNTED
        .iter()
        .filter_map(|name| Some((*name, count(name)?)))
        .collect()
}

fn count_in(line: &str, name: &str) -> Option<String> {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || "│|┆:;()=".contains(c))
        .map(|word| word.trim_end_matches([',', '.']))
        .filter(|word| !word.is_empty())
        .collect();
    let at = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(name))?;
    let beside = if at == 0 { 1 } else { at - 1 };
    number(words.get(beside)?)
}

fn number(word: &str) -> Option<String> {
    let digits = word.replace([',', '_', '\u{202f}'], "");
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_found_in_sentences_and_tables() {
        let wanted = [
            ("documents", "18".to_owned()),
            ("triples", "1,204".to_owned()),
            ("entities", "690".to_owned()),
        ];
        assert_eq!(
            counts("graph `kg`: 18 documents, 1,204 triples, 690 entities."),
            wanted
        );
        assert_eq!(
            counts("documents │ 18\ntriples │ 1,204\nentities │ 690\n"),
            wanted
        );
        assert_eq!(counts("nothing here"), []);
    }

    #[test]
    fn only_the_counting_cell_is_read() {
        let cell = |source: &str, text: &str| json!({ "source": [source], "outputs": [{ "data": { "text/plain": [text] } }] });
        let notebook = json!({ "cells": [
            cell("%corpus articles", "5 documents"),
            cell("%kg stats kg", "7 documents"),
        ]});
        assert_eq!(
            counts(&plain_text(&notebook)),
            [("documents", "7".to_owned())]
        );
    }
}
