//! Marks on triples: set by `%rate`, shown beside the triples, and written out for fine-tuning.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mlk8s_llm::ledger::Mark;
use polars::prelude::{Column, DataFrame, PolarsResult};
use serde_json::{Value, json};

use super::endpoint::Prompt;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::session::Session;

/// What marks on triples are called in the ledger.
const KIND: &str = "triple";
/// Triples that a sentence states at most, as the prompt for fine-tuning says.
const MOST: usize = 10;

/// Marks the triple in `row` of the frame of triples of the graph `kg`; the triple in words.
pub(in super::super) fn mark(
    kg: &str,
    row: usize,
    mark: i64,
    comment: &str,
    call: &mut Call,
) -> Result<String, MagicError> {
    let (dir, index) = call.session.graph(kg)?;
    let triples = index.triples();
    if row >= triples.height() {
        let message = format!(
            "`{kg}` has {} triples, and none with the number {row}",
            triples.height()
        );
        return Err(MagicError::new(ErrorKind::NotFound, message)
            .with_hint("triples have the numbers of their rows in the frame of triples, from 0"));
    }
    let words = words(&triples)?;
    let made = Mark {
        at: 0,
        user: call.session.models.about("").user,
        kind: KIND.to_owned(),
        about: kg.to_owned(),
        item: key(&words, row),
        mark,
        comment: comment.to_owned(),
    };
    let client = call.session.models.client()?;
    client.ledger(move |ledger| ledger.set_mark(&made))?;
    let name = kg
        .parse()
        .map_err(|why| MagicError::new(ErrorKind::Internal, why))?;
    super::publish(call.session, &name, dir, index)?;
    let [_, subject, relation, object, _] = words.map(|column| column[row].clone());
    Ok(format!("{subject} | {relation} | {object}"))
}

/// Adds the column `mark`, 0 for none, to the triples of the graph `kg`.
pub(super) fn add(
    kg: &str,
    triples: &mut DataFrame,
    session: &mut Session,
) -> Result<(), MagicError> {
    let marks = read(kg, session)?;
    let words = words(triples)?;
    let column: Vec<i64> = (0..triples.height())
        .map(|row| {
            if marks.is_empty() {
                0
            } else {
                marks.get(&key(&words, row)).copied().unwrap_or(0)
            }
        })
        .collect();
    triples.with_column(Column::new("mark".into(), column))?;
    Ok(())
}

/// Chats that teach a model to read sentences as people want it: those with a triple that was marked with `least` or
/// better, answered by their triples without those that were marked as bad.
pub(in super::super) fn chats(
    kg: &str,
    least: i64,
    call: &mut Call,
) -> Result<Vec<Value>, MagicError> {
    let (_, index) = call.session.graph(kg)?;
    let triples = index.triples();
    let marks = read(kg, call.session)?;
    let words = words(&triples)?;
    let sentences = texts(&triples, "sentence")?;
    let mut said: BTreeMap<(&str, &str), BTreeSet<usize>> = BTreeMap::new();
    let mut good = BTreeSet::new();
    for row in 0..triples.height() {
        let place = (words[0][row].as_str(), words[4][row].as_str());
        let mark = marks.get(&key(&words, row)).copied().unwrap_or(0);
        if mark >= least {
            good.insert(place);
        }
        if mark == 0 || mark > 2 {
            said.entry(place).or_default().insert(row);
        }
    }
    let chat = |rows: &BTreeSet<usize>| {
        let first = rows.first()?;
        let listed: Vec<Value> = rows
            .iter()
            .map(|&row| json!({ "subject": words[1][row], "predicate": words[2][row], "object": words[3][row] }))
            .collect();
        let mut messages = json!(Prompt::Short.messages(&sentences[*first], MOST));
        let answer = json!({ "triples": listed }).to_string();
        messages
            .as_array_mut()?
            .push(json!({ "role": "assistant", "content": answer }));
        Some(json!({ "messages": messages }))
    };
    Ok(good
        .iter()
        .filter_map(|place| chat(said.get(place)?))
        .collect())
}

fn read(kg: &str, session: &mut Session) -> Result<HashMap<String, i64>, MagicError> {
    let about = kg.to_owned();
    let client = session.models.client()?;
    let marks = client.ledger(move |ledger| ledger.marks(KIND, Some(&about)))?;
    Ok(marks
        .into_iter()
        .map(|mark| (mark.item, mark.mark))
        .collect())
}

/// Document, subject, relation, object and place of all triples.
fn words(triples: &DataFrame) -> PolarsResult<[Vec<String>; 5]> {
    let [document, subject, relation, object] =
        ["document", "subject", "relation", "object"].map(|name| texts(triples, name));
    let start = triples
        .column("start")?
        .cast(&polars::prelude::DataType::String)?;
    let start = start
        .str()?
        .iter()
        .map(|text| text.unwrap_or_default().to_owned());
    Ok([document?, subject?, relation?, object?, start.collect()])
}

fn texts(triples: &DataFrame, column: &str) -> PolarsResult<Vec<String>> {
    let texts = triples.column(column)?.str()?;
    Ok(texts
        .iter()
        .map(|text| text.unwrap_or_default().to_owned())
        .collect())
}

/// What tells a triple from all others, in whichever build.
fn key(words: &[Vec<String>; 5], row: usize) -> String {
    json!(words.each_ref().map(|column| &column[row])).to_string()
}
