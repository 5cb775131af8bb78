//! `%prompts`: the ledger as a table, a data frame, or lines for fine-tuning.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use mlk8s_llm::ledger::Filter;
use mlk8s_llm::row::{Row, Status};
use polars::df;
use polars::prelude::{DataFrame, PolarsResult};
use serde_json::json;

use super::ask::dollars;
use super::cost::texts;
use super::kg::marks;
use super::since::Since;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::session::{Import, ImportKind, Value};
use crate::view::{Column, Table, ToView, View};

/// Characters of a text that the table shows before it is opened, and of the reason why there is none.
const SHOWN: usize = 50;
const SHOWN_END: usize = 24;
/// Digits of a call's number that tell it from others: the first ones are the time.
const DIGITS: usize = 8;

/// Show calls of models, and give them to Rust cells as a data frame
#[derive(Debug, Parser)]
pub(super) struct Prompts {
    /// Which calls are shown
    #[arg(default_value = "recent")]
    which: Which,
    /// Where `export` writes chats as JSON lines, for fine-tuning
    file: Option<PathBuf>,
    /// Since when: 12h, 7d, 4w, a day, or all
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// Least mark of what is exported
    #[arg(long, value_name = "1-5", default_value = "4")]
    mark: i64,
    /// Export sentences with the triples of this graph that were marked, instead of answers
    #[arg(long, value_name = "NAME")]
    kg: Option<ValueName>,
    /// Rows of the table
    #[arg(long, value_name = "N", default_value = "20")]
    limit: usize,
    /// Name of the data frame
    #[arg(long = "as", value_name = "NAME", default_value = "prompts")]
    name: ValueName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The latest
    Recent,
    /// Those with the best marks
    Top,
    /// Those with the worst marks, and those that failed
    Bad,
    /// The dearest
    Dear,
    /// Into a file
    Export,
}

/// The table.
pub(super) struct Listed(View);

impl Magic for Prompts {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%prompts",
            about: "the latest calls; all of the month are in the frame `prompts`",
            shows: "no call",
        },
        Example {
            after: &[],
            cell: "%prompts export good.jsonl --since all",
            about: "what was marked with 4 or 5, as chats for fine-tuning",
            shows: "0 chats",
        },
    ];
    type Outcome = Listed;

    fn run(self, call: &mut Call) -> Result<Listed, MagicError> {
        let client = call.session.models.client()?;
        let filter = Filter {
            since_ms: Some(self.since.ms),
            ..Filter::default()
        };
        let mut rows = client.ledger(move |ledger| ledger.rows(&filter))?;
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut frame(&rows)?)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path: path.clone(),
        };
        call.session
            .put(self.name.as_str(), Value::Frame(path), vec![import]);
        if self.which == Which::Export {
            return self.export(call, &rows).map(Listed);
        }
        let total = rows.len();
        self.choose(&mut rows);
        let note = if total == 0 {
            format!("there is no call of a model {}", self.since.words())
        } else {
            format!(
                "all {total} calls {} are in the frame `{}`, with all that is known of them; `%rate NUMBER 5` marks one",
                self.since.words(),
                self.name
            )
        };
        let table = Table {
            title: "prompts".to_owned(),
            columns: vec![
                Column::text("when"),
                Column::text("model"),
                Column::long("question", SHOWN),
                Column::long("answer", SHOWN),
                Column::long("end", SHOWN_END),
                Column::number("tokens"),
                Column::number("cost"),
                Column::number("mark"),
                Column::text("number"),
            ],
            rows: rows.iter().map(shown).collect(),
            note,
        };
        Ok(Listed(View::Table(without_empty(table, &["cost", "mark"]))))
    }
}

impl Prompts {
    fn choose(&self, rows: &mut Vec<Row>) {
        match self.which {
            Which::Recent | Which::Export => rows.reverse(),
            Which::Top => {
                rows.retain(|row| row.score > 0);
                rows.sort_by_key(|row| std::cmp::Reverse((row.score, row.at)));
            }
            Which::Bad => {
                rows.retain(|row| row.score > 0 || row.status == Status::Failed);
                rows.sort_by_key(|row| (row.score, std::cmp::Reverse(row.at)));
            }
            Which::Dear => rows.sort_by(|a, b| b.paid_usd.total_cmp(&a.paid_usd)),
        }
        rows.truncate(self.limit);
    }

    fn export(&self, call: &mut Call, rows: &[Row]) -> Result<View, MagicError> {
        let Some(file) = &self.file else {
            return Err(MagicError::new(ErrorKind::Usage, "no file was named")
                .with_hint("`%prompts export good.jsonl`"));
        };
        let path = call.session.resolve(file);
        if let Some(kg) = &self.kg {
            let chats = marks::chats(kg.as_str(), self.mark, call)?;
            let lines: Vec<String> = chats.iter().map(ToString::to_string).collect();
            write(&path, &(lines.join("\n") + "\n"))?;
            return Ok(View::Text(format!(
                "{} chats with triples marked with {} or better in `{}`",
                chats.len(),
                self.mark,
                path.display()
            )));
        }
        let mut out = String::new();
        let mut n = 0;
        let good = |row: &&Row| {
            row.score >= self.mark && row.status == Status::Done && row.finish_reason != "length"
        };
        for row in rows.iter().filter(good) {
            let (said, answer) = texts(row);
            if said.is_empty() || answer.is_empty() {
                continue;
            }
            let mut messages: Vec<_> = said
                .iter()
                .map(|(role, content)| json!({ "role": role, "content": content }))
                .collect();
            messages.push(json!({ "role": "assistant", "content": answer }));
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}", json!({ "messages": messages }));
            n += 1;
        }
        write(&path, &out)?;
        Ok(View::Text(format!(
            "{n} chats with a mark of {} or better in `{}`",
            self.mark,
            path.display()
        )))
    }
}

fn write(path: &Path, text: &str) -> Result<(), MagicError> {
    std::fs::write(path, text).map_err(|error| {
        MagicError::new(
            ErrorKind::Input,
            format!("cannot write `{}`: {error}", path.display()),
        )
    })
}

fn shown(row: &Row) -> Vec<String> {
    let (said, answer) = texts(row);
    let question = match said.last() {
        Some((_, text)) => text.clone(),
        None if row.kind == "embedding" => "(vectors)".to_owned(),
        None => String::new(),
    };
    let end = match row.status {
        Status::Done => row.finish_reason.clone(),
        Status::Failed => row.error.clone(),
        Status::Open => "under way, or lost".to_owned(),
        Status::Cached => "from the cache".to_owned(),
        Status::Stopped => "stopped".to_owned(),
    };
    vec![
        moment(row.at, chrono::Local::now()),
        // A model of this machine is called as its endpoint is.
        if row.model == row.endpoint {
            row.model.clone()
        } else {
            format!("{}@{}", row.model, row.endpoint)
        },
        question,
        answer,
        end,
        format!("{} + {}", row.prompt_tokens, row.completion_tokens),
        dollars(row.paid_usd),
        if row.score > 0 {
            row.score.to_string()
        } else {
            String::new()
        },
        row.id[row.id.len().saturating_sub(DIGITS)..].to_owned(),
    ]
}

/// The time of a call today, else its day: one word, which is not broken.
fn moment(at_ms: i64, now: chrono::DateTime<chrono::Local>) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let at = at.with_timezone(&chrono::Local);
    let form = if at.date_naive() == now.date_naive() {
        "%H:%M"
    } else {
        "%b\u{a0}%-d"
    };
    at.format(form).to_string()
}

/// The table without those of its columns `names` in which there is nothing to see.
fn without_empty(mut table: Table, names: &[&str]) -> Table {
    for name in names {
        let Some(at) = table.columns.iter().position(|column| column.name == *name) else {
            continue;
        };
        if table
            .rows
            .iter()
            .all(|row| ["", "$0"].contains(&row[at].as_str()))
        {
            table.columns.remove(at);
            for row in &mut table.rows {
                row.remove(at);
            }
        }
    }
    table
}

/// The ledger as a frame: one row for each attempt.
fn frame(rows: &[Row]) -> PolarsResult<DataFrame> {
    let words = |take: fn(&Row) -> &str| rows.iter().map(take).collect::<Vec<_>>();
    let numbers = |take: fn(&Row) -> i64| rows.iter().map(take).collect::<Vec<_>>();
    let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    df!(
        "id" => words(|row| &row.id),
        "at_ms" => numbers(|row| row.at),
        "user" => words(|row| &row.user),
        "session" => words(|row| &row.session),
        "cell" => numbers(|row| row.cell),
        "run" => words(|row| &row.run),
        "chunk" => words(|row| &row.chunk),
        "class" => rows.iter().map(|row| name(json!(row.class))).collect::<Vec<_>>(),
        "endpoint" => words(|row| &row.endpoint),
        "model" => words(|row| &row.model),
        "kind" => words(|row| &row.kind),
        "status" => rows.iter().map(|row| name(json!(row.status))).collect::<Vec<_>>(),
        "finish_reason" => words(|row| &row.finish_reason),
        "error" => words(|row| &row.error),
        "attempt" => numbers(|row| row.attempt),
        "queue_ms" => numbers(|row| row.queue_ms),
        "first_ms" => numbers(|row| row.first_ms),
        "total_ms" => numbers(|row| row.total_ms),
        "prompt_tokens" => numbers(|row| row.prompt_tokens),
        "cached_tokens" => numbers(|row| row.cached_tokens),
        "completion_tokens" => numbers(|row| row.completion_tokens),
        "counted_by" => words(|row| &row.counted_by),
        "max_tokens" => numbers(|row| row.max_tokens),
        "price_list" => words(|row| &row.price_list),
        "paid_usd" => rows.iter().map(|row| row.paid_usd).collect::<Vec<_>>(),
        "score" => numbers(|row| row.score),
        "comment" => words(|row| &row.comment),
        "request" => words(|row| &row.request),
        "response" => words(|row| &row.response),
    )
}

impl ToView for Listed {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_anything_are_left_out() {
        let row = |cost: &str, mark: &str| ["a", cost, mark].map(str::to_owned).to_vec();
        let table = |rows| Table {
            columns: ["model", "cost", "mark"].map(Column::text).to_vec(),
            rows,
            ..Table::default()
        };
        let left = |rows| without_empty(table(rows), &["cost", "mark"]).rows;
        assert_eq!(left(vec![row("$0", ""), row("$0", "")]), [["a"], ["a"]]);
        assert_eq!(
            left(vec![row("$0", ""), row("$1", "")]),
            [["a", "$0"], ["a", "$1"]]
        );
    }

    #[test]
    fn a_moment_is_one_word() {
        let now = chrono::Local::now();
        assert_eq!(
            moment(now.timestamp_millis(), now),
            now.format("%H:%M").to_string()
        );
        assert!(!moment(86_400_000, now).contains([' ', '-', ':']));
    }
}
