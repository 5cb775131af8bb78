//! What became of the passages, and how that looks.

use std::collections::BTreeMap;

use mlk8s_graph::statement::Support;

use super::super::super::ask::dollars;
use super::Work;
use super::reading::Reading;
use crate::view::{Column, Table};

/// What became of the passages, in numbers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) done: usize,
    pub(super) empty: usize,
    pub(super) failed: BTreeMap<String, usize>,
    pub(super) from_cache: usize,
    pub(super) repeated: usize,
    pub(super) malformed: usize,
    pub(super) leaked: usize,
    pub(super) invented: usize,
    pub(super) copied: usize,
    pub(super) cut: usize,
    pub(super) asked_again: usize,
    pub(super) support: Support,
    pub(super) usd: f64,
    pub(super) tokens: u64,
}

impl Tally {
    /// Counts what was in an answer beside its statements.
    pub(super) fn count(&mut self, reading: &Reading) {
        self.repeated += reading.repeated;
        self.malformed += reading.malformed;
        self.leaked += reading.leaked;
        self.invented += reading.invented;
        self.copied += usize::from(reading.copied);
    }
}

impl Work<'_> {
    /// The numbers as a table.
    pub(super) fn table(&self) -> Table {
        let tally = &self.tally;
        let failed: usize = tally.failed.values().sum();
        let rows = [
            ("passages with triples", tally.done),
            ("passages without", tally.empty),
            ("passages that failed", failed),
            ("triples found in their sentence", tally.support.supported),
            (
                "triples that no sentence supports",
                tally.support.unsupported,
            ),
        ];
        let rare = [
            ("repeated triples", tally.repeated),
            ("entries that are no triple", tally.malformed),
            ("examples of the prompt that came back", tally.leaked),
            ("triples of made-up passages", tally.invented),
            ("answers that repeat the prompt", tally.copied),
            ("answers that were cut off", tally.cut),
            ("answers asked for again", tally.asked_again),
            ("answers from earlier builds", tally.from_cache),
        ];
        let rare = rare.into_iter().filter(|(_, n)| *n > 0);
        let mut rows: Vec<Vec<String>> = rows
            .into_iter()
            .chain(rare)
            .chain([("tokens", tally.tokens as usize)])
            .map(|(what, n)| vec![what.to_owned(), n.to_string()])
            .collect();
        if !self.pattern.endpoint.local {
            rows.push(vec!["spent".to_owned(), dollars(tally.usd)]);
        }
        let reasons: Vec<String> = tally
            .failed
            .iter()
            .map(|(reason, n)| format!("{n} failed: {reason}"))
            .collect();
        let note = if reasons.is_empty() {
            String::new()
        } else {
            format!(
                "{}; run the cell again to ask for these only",
                reasons.join("; ")
            )
        };
        Table {
            title: format!("{}@{}", self.pattern.model, self.pattern.endpoint.name),
            columns: vec![Column::text("what"), Column::number("number")],
            rows,
            note,
        }
    }
}
