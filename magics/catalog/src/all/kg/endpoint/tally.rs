//! What became of the passages, and how that looks.

use std::collections::BTreeMap;

use mlk8s_graph::statement::Support;

use super::super::super::ask::dollars;
use super::Work;
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
    pub(super) cut: usize,
    pub(super) asked_again: usize,
    pub(super) support: Support,
    pub(super) usd: f64,
    pub(super) tokens: u64,
}

impl Work<'_> {
    /// The numbers as a table.
    pub(super) fn table(&self) -> Table {
        let tally = &self.tally;
        let failed: usize = tally.failed.values().sum();
        let number = |n: usize| n.to_string();
        let mut rows = vec![
            vec!["passages with triples".to_owned(), number(tally.done)],
            vec!["passages without".to_owned(), number(tally.empty)],
            vec!["passages that failed".to_owned(), number(failed)],
            vec![
                "triples found in their sentence".to_owned(),
                number(tally.support.supported),
            ],
            vec![
                "triples that no sentence supports".to_owned(),
                number(tally.support.unsupported),
            ],
            vec!["repeated triples".to_owned(), number(tally.repeated)],
            vec![
                "entries that are no triple".to_owned(),
                number(tally.malformed),
            ],
            vec!["answers that were cut off".to_owned(), number(tally.cut)],
            vec![
                "answers asked for again".to_owned(),
                number(tally.asked_again),
            ],
            vec![
                "answers from earlier builds".to_owned(),
                number(tally.from_cache),
            ],
            vec!["tokens".to_owned(), tally.tokens.to_string()],
        ];
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
