//! `%search list`: the indexes that are there, which all notebooks share.

use std::path::Path;

use chrono::{DateTime, Local};
use mlk8s_search::{Index, SearchError};

use super::{place, size};
use crate::session::Session;
use crate::view::{Column, Table};

/// Every index with what is in it; one that cannot be opened says why.
pub(super) fn list(session: &Session) -> Table {
    let last = session.searched.index.as_deref();
    let names = session.indexes();
    let rows: Vec<Vec<String>> = names
        .iter()
        .map(|name| {
            let dir = place(name, session);
            let mark = if last == Some(name) { "used last" } else { "" };
            let mut row = vec![name.clone(), mark.to_owned()];
            row.extend(described(&dir).unwrap_or_else(|error| {
                let mut cells = vec![error.to_string()];
                cells.resize(4, String::new());
                cells
            }));
            row.push(changed(&dir));
            row
        })
        .collect();
    Table {
        title: "indexes".to_owned(),
        columns: vec![
            Column::text("name"),
            Column::text(""),
            Column::text("searched"),
            Column::number("items"),
            Column::number("vectors"),
            Column::number("size"),
            Column::text("changed"),
        ],
        note: match names.first() {
            None => "none; `%search build docs --as NAME` makes one".to_owned(),
            Some(name) => format!(
                "all notebooks share them; `%search query WORDS --in {name}` searches one, `%search remove {name}` removes it"
            ),
        },
        rows,
    }
}

/// Kind, items, vectors and size of the index in `dir`.
fn described(dir: &Path) -> Result<Vec<String>, SearchError> {
    let index = Index::open(dir)?;
    let stats = index.stats();
    let model = &index.settings().model;
    Ok(vec![
        if model.is_empty() {
            "by words".to_owned()
        } else {
            format!("by words and meaning ({model})")
        },
        stats.n_items.to_string(),
        stats.n_vectors.to_string(),
        size(stats.n_bytes),
    ])
}

/// When the index in `dir` had its last commit.
fn changed(dir: &Path) -> String {
    let at = std::fs::metadata(dir.join("meta.json")).and_then(|meta| meta.modified());
    at.map_or_else(
        |_| String::new(),
        |at| {
            DateTime::<Local>::from(at)
                .format("%Y-%m-%d %H:%M")
                .to_string()
        },
    )
}
