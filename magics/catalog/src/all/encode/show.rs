//! What an encoding looks like: a table, a table of those that were tried, a frame for Rust cells.

use mlk8s_clustering::encode::{Encoder, Method, estimate};
use mlk8s_clustering::{Choice, Table as Answers};
use polars::df;
use polars::prelude::{DataFrame, PolarsResult};

use super::Encode;
use crate::rows::{Points, Rows};
use crate::view::{Column, Table};

impl Encode {
    /// What was made, in numbers.
    pub(super) fn table(
        &self,
        frame: &DataFrame,
        answers: &Answers,
        made: &Rows,
        method: Option<Method>,
        notes: Vec<String>,
    ) -> Table {
        let levels: usize = answers
            .columns
            .iter()
            .map(|column| column.levels.len())
            .sum();
        let bytes = match &made.points {
            Points::Dense { values, .. } => values.len() * 4,
            Points::Codes(codes) => frame.height() * codes.questions() * 2,
        };
        let mut rows = vec![
            vec![
                "columns of answers".to_owned(),
                answers.columns.len().to_string(),
            ],
            vec!["different answers".to_owned(), levels.to_string()],
            vec![
                "columns of amounts".to_owned(),
                answers.numeric.len().to_string(),
            ],
            vec!["dimensions".to_owned(), made.dims().to_string()],
            vec!["memory of the vectors".to_owned(), size(bytes as u64)],
            vec![
                "memory if written out".to_owned(),
                size((frame.height() * levels * 4) as u64),
            ],
        ];
        if let Some(method) = method {
            rows.push(vec![
                "memory at the peak, at most".to_owned(),
                size(estimate(answers, method)),
            ]);
        }
        let mut note = notes;
        note.push(format!("`%kmeans {} -k {}` groups them", self.name, self.k));
        Table {
            title: format!("{}: {} rows as {}", self.name, frame.height(), made.origin),
            columns: vec![Column::text("what"), Column::number("number")],
            rows,
            note: note.join("; "),
        }
    }
}

/// Vectors as one column of lists, codes as a column for each question.
pub(super) fn to_frame(answers: &Answers, made: &Rows) -> PolarsResult<DataFrame> {
    match &made.points {
        Points::Dense { values, dims } => {
            let column = mlk8s_values::vector_column("vector", values, *dims);
            if made.labels.is_empty() {
                return DataFrame::new(column.len(), vec![column]);
            }
            let mut frame = df!("label" => &made.labels)?;
            frame.with_column(column)?;
            Ok(frame)
        }
        Points::Codes(_) => {
            let columns = answers.columns.iter().map(|column| {
                let words: Vec<Option<&str>> = column
                    .codes
                    .iter()
                    .map(|code| column.levels.get(*code as usize).map(String::as_str))
                    .collect();
                polars::prelude::Column::new(column.name.as_str().into(), words)
            });
            DataFrame::new(answers.n_rows(), columns.collect())
        }
    }
}

pub(super) fn explained(encoder: &Encoder) -> Option<String> {
    let shares = encoder.explained();
    (!shares.is_empty()).then(|| {
        let all: f32 = shares.iter().sum();
        format!("{:.0} % of the inertia is kept", 100.0 * all)
    })
}

/// The encodings that were tried, and k-modes beside them.
pub(super) fn candidates(choice: &Choice, k: usize) -> Table {
    let rows = choice.candidates.iter().map(|one| {
        vec![
            one.way.to_string(),
            format!("{:.3}", one.stability),
            format!("{:.3}", one.silhouette),
            format!("{:+.1}", one.more_stable),
            format!("{:+.1}", one.better_apart),
        ]
    });
    Table {
        title: "which encoding the data favour".to_owned(),
        columns: vec![
            Column::text("encoding, or k-modes"),
            Column::number("stability"),
            Column::number("silhouette"),
            Column::number("more stable"),
            Column::number("better apart"),
        ],
        rows: rows.collect(),
        note: format!(
            "{}; k-modes groups answers as they are: `%encode … --as answers`, then `%kmeans answers -k {k} --metric matching`",
            choice.reason
        ),
    }
}

/// Bytes in a unit that one can read.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut x = bytes as f64;
    let mut at = 0;
    while x >= 1024.0 && at + 1 < units.len() {
        x /= 1024.0;
        at += 1;
    }
    if at == 0 {
        format!("{bytes} B")
    } else {
        format!("{x:.1} {}", units[at])
    }
}
