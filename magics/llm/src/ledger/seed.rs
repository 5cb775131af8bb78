//! The log of the system that this one follows: its table is read into the ledger, and written for the tools that
//! read it, such as the query that once gave a total of $524.0373.

use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::error::place_error;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::store::{self, Dialect, Fault, Store, Value};
use super::{Ledger, LedgerError, places, schema};
use crate::row::{Class, Row, Status};

/// The name of the table.
pub(super) const TABLE: &str = "llm_inference_log";

/// How many rows are held in memory and written at a time.
const PAGE: i64 = 1000;

/// The width of the original column, which its own model names outgrew.
const MODEL_WIDTH: usize = 36;

const CREATE_POSTGRES: &str = "
    CREATE TABLE IF NOT EXISTS llm_inference_log (id SERIAL PRIMARY KEY, user_id VARCHAR(80) NOT NULL DEFAULT '007',
        datetime_captured TIMESTAMPTZ DEFAULT now(), model_id VARCHAR(255), request JSON, response JSON,
        inference_time INTEGER, entities JSON, score INTEGER)";

const CREATE_SQLITE: &str = "
    CREATE TABLE IF NOT EXISTS llm_inference_log (id INTEGER PRIMARY KEY, user_id VARCHAR(80) NOT NULL DEFAULT '007',
        datetime_captured TIMESTAMP DEFAULT CURRENT_TIMESTAMP, model_id VARCHAR(255), request JSON, response JSON,
        inference_time INTEGER, entities JSON, score INTEGER)";

/// What became of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Rows that are new in the ledger.
    pub imported: u64,
    /// Rows that were there from an earlier import.
    pub skipped: u64,
    /// Rows without a time that can be read; they are not in the ledger.
    pub undated: u64,
}

impl Ledger {
    /// Reads the table `llm_inference_log` of a `PostgreSQL` or of a file of `SQLite`. A row is read once, however
    /// often this is called: its id follows from its place and number. What it cost is not known, so it cost nothing;
    /// its time is when it was logged, its endpoint the place of the log.
    pub fn import_log(&mut self, from: &str) -> Result<ImportReport, LedgerError> {
        let place = log_place(from);
        let identity = places::identity(&place, from);
        let mut source = open(from, false)?;
        let failed = |fault| place_error(&place, "read the log", fault);
        if !source.has_table(TABLE).map_err(failed)? {
            return Err(LedgerError::NoLog { place });
        }
        let sql = page_of_log(source.dialect());
        let (mut report, mut last) = (ImportReport::default(), i64::MIN);
        loop {
            let page = source.query(&sql, &[Value::Int(last)]).map_err(failed)?;
            let Some(end) = page.last().and_then(|values| values.first()) else {
                return Ok(report);
            };
            last = end.int();
            let n_found = page.len() as u64;
            let readable = page
                .into_iter()
                .filter_map(|values| imported(&place, &identity, values));
            let rows: Vec<Vec<Value>> = readable
                .map(|row| schema::values(&row, row.status))
                .collect();
            let n_new = self.attempt("write imported calls", |store| {
                store::atomically(store, |store| {
                    let mut n_new = 0;
                    for row in &rows {
                        n_new += store.run(schema::insert_new(), row)?;
                    }
                    Ok(n_new)
                })
            })?;
            report.imported += n_new;
            report.skipped += rows.len() as u64 - n_new;
            report.undated += n_found - rows.len() as u64;
        }
    }

    /// Writes the calls that models have answered from `since_ms` on into the table `llm_inference_log` of `to`, which
    /// is made where there is none; how many they are. Calls imported from there are left out, others are written each
    /// time that this is called. All of them are written, or none.
    pub fn export_log(&mut self, to: &str, since_ms: i64) -> Result<u64, LedgerError> {
        let place = log_place(to);
        let mut target = open(to, true)?;
        let failed = |fault| place_error(&place, "write the log", fault);
        // On the server without the lock of `start_alone`: no kernel shall wait for its budgets meanwhile.
        let begun = match target.dialect() {
            Dialect::Sqlite => target.start_alone(),
            Dialect::Postgres => target.script("BEGIN"),
        };
        begun.map_err(failed)?;
        let mut done = self.copy(&mut *target, &place, since_ms);
        if done.is_ok() {
            done = target.script("COMMIT").map_err(failed).and(done);
        }
        if done.is_err() {
            // The first fault tells what is wrong; this one would only follow from it.
            let _ = target.script("ROLLBACK");
        }
        done
    }

    fn copy(
        &mut self,
        target: &mut dyn Store,
        place: &str,
        since_ms: i64,
    ) -> Result<u64, LedgerError> {
        let failed = |fault| place_error(place, "write the log", fault);
        let table = Table::prepare(target).map_err(failed)?;
        let (mut n_written, mut last) = (0, (since_ms, String::new()));
        loop {
            let sql = schema::page_of_answered();
            let values = [
                Value::Int(last.0),
                Value::from(last.1.as_str()),
                Value::Int(PAGE),
            ];
            let page: Vec<Row> = self.attempt("read calls", |store| {
                store
                    .query(sql, &values)?
                    .into_iter()
                    .map(schema::row)
                    .collect()
            })?;
            let Some(end) = page.last() else {
                return Ok(n_written);
            };
            last = (end.at, end.id.clone());
            let foreign = |row: &&Row| row.endpoint != place || place == places::HIDDEN;
            for row in page.iter().filter(foreign) {
                n_written += target
                    .run(&table.insert, &table.values(row))
                    .map_err(failed)?;
            }
        }
    }
}

fn log_place(target: &str) -> String {
    let real = fs::canonicalize(target).ok();
    real.map_or_else(|| places::shown(target), |path| path.display().to_string())
}

fn open(target: &str, to_write: bool) -> Result<Box<dyn Store>, LedgerError> {
    let opened = if places::is_address(target)? {
        Postgres::open(target).map(|store| Box::new(store) as Box<dyn Store>)
    } else {
        let path = Path::new(target);
        let opened = if to_write {
            Sqlite::create(path)
        } else {
            Sqlite::existing(path)
        };
        opened.map(|store| Box::new(store) as Box<dyn Store>)
    };
    opened.map_err(|fault| LedgerError::Source {
        place: places::shown(target),
        why: fault.to_string(),
    })
}

fn page_of_log(dialect: Dialect) -> String {
    let time = match dialect {
        Dialect::Sqlite => "datetime_captured",
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM datetime_captured) * 1000 AS BIGINT)",
    };
    format!(
        "SELECT id, user_id, {time}, model_id, CAST(request AS TEXT), CAST(response AS TEXT), inference_time, score
        FROM {TABLE} WHERE id > CAST($1 AS BIGINT) ORDER BY id LIMIT {PAGE}"
    )
}

/// A row of the log as one of ours; none when it has no time.
fn imported(place: &str, identity: &str, values: Vec<Value>) -> Option<Row> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Null);
    let number = next().int();
    let user = next().text();
    let at = time_ms(&next())?;
    let model = next().text();
    let (request, response) = (next().text(), next().text());
    let seconds = next().real();
    let score = next().int();
    let (asked, answered) = (object(&request), object(&response));
    let tokens = |name: &str| {
        answered
            .get("usage")
            .and_then(|usage| usage.get(name)?.as_i64())
    };
    let prompt_tokens = tokens("prompt_tokens").unwrap_or(0);
    let completion_tokens = tokens("completion_tokens").unwrap_or(0);
    let is_counted = prompt_tokens + completion_tokens > 0;
    // The column is too narrow for some names; the request has them whole.
    let whole = asked
        .get("model")
        .and_then(Json::as_str)
        .filter(|name| name.starts_with(&model));
    let cut = model.chars().count() >= MODEL_WIDTH;
    let choice = answered.get("choices").and_then(|choices| choices.get(0));
    let finish_reason = choice.and_then(|choice| choice.get("finish_reason")?.as_str());
    let kind = if asked.contains_key("messages") {
        "chat"
    } else {
        "completion"
    };
    Some(Row {
        id: Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            format!("{identity}#{number}").as_bytes(),
        )
        .to_string(),
        at,
        user,
        chunk: format!("{TABLE} {number}"),
        class: Class::Batch,
        endpoint: place.to_owned(),
        model: whole.filter(|_| cut).map_or(model.clone(), str::to_owned),
        kind: kind.to_owned(),
        status: Status::Done,
        finish_reason: finish_reason.unwrap_or_default().to_owned(),
        attempt: 1,
        total_ms: (seconds * 1000.0).round() as i64,
        prompt_tokens,
        completion_tokens,
        counted_by: if is_counted { "server" } else { "" }.to_owned(),
        max_tokens: asked.get("max_tokens").and_then(Json::as_i64).unwrap_or(0),
        score,
        request,
        response,
        ..Row::default()
    })
}

/// A JSON object; also one that was written as a JSON text, as some clients of databases do. Empty when it is neither.
fn object(text: &str) -> Map<String, Json> {
    match serde_json::from_str(text) {
        Ok(Json::Object(object)) => object,
        Ok(Json::String(inner)) => serde_json::from_str(&inner).unwrap_or_default(),
        _ => Map::new(),
    }
}

/// A time in milliseconds since 1970; of `PostgreSQL` it is such a number, `SQLite` may hold anything.
fn time_ms(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        // So many seconds are in the year 5138.
        Value::Int(n) if n.abs() < 100_000_000_000 => Some(n * 1000),
        Value::Int(n) => Some(*n),
        Value::Real(x) if x.abs() < 1e11 => Some((x * 1000.0).round() as i64),
        Value::Real(x) => Some(x.round() as i64),
        Value::Text(text) => {
            let text = text.trim().replace('T', " ").replace('Z', "+00:00");
            let zoned = DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%#z");
            let zoned = zoned.map(|time| time.timestamp_millis());
            let plain = || NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f");
            zoned
                .or_else(|_| plain().map(|time| time.and_utc().timestamp_millis()))
                .ok()
        }
    }
}

/// The table that an export is written to.
struct Table {
    insert: String,
    user_width: usize,
    model_width: usize,
}

impl Table {
    fn prepare(store: &mut dyn Store) -> Result<Table, Fault> {
        let is_there = store.has_table(TABLE)?;
        let dialect = store.dialect();
        if !is_there {
            store.script(match dialect {
                Dialect::Sqlite => CREATE_SQLITE,
                Dialect::Postgres => CREATE_POSTGRES,
            })?;
        }
        let (mut user_width, mut model_width) = (usize::MAX, usize::MAX);
        let (mut json, mut time, mut numbers_itself) = ("TEXT", "TEXT", false);
        if dialect == Dialect::Postgres {
            (json, time) = ("JSON", "TIMESTAMPTZ");
            // Widths are kept with the four bytes of a length.
            let sql = "SELECT attname::TEXT, atttypmod - 4, atthasdef OR attidentity <> '' FROM pg_attribute
                WHERE attrelid = to_regclass($1) AND attnum > 0";
            for column in store.query(sql, &[Value::from(TABLE)])? {
                let [Value::Text(name), width, has_default] = column.as_slice() else {
                    continue;
                };
                let width = usize::try_from(width.int()).unwrap_or(usize::MAX);
                match name.as_str() {
                    "user_id" => user_width = width,
                    "model_id" => model_width = width,
                    "id" => numbers_itself = has_default.int() != 0,
                    _ => {}
                }
            }
        }
        let next_id = format!("(SELECT COALESCE(MAX(id), 0) + 1 FROM {TABLE}), ");
        let (id, number) = if numbers_itself {
            ("", "")
        } else {
            ("id, ", next_id.as_str())
        };
        let insert = format!(
            "INSERT INTO {TABLE} ({id}user_id, datetime_captured, model_id, request, response, inference_time, score)
            VALUES ({number}CAST($1 AS TEXT), CAST(CAST($2 AS TEXT) AS {time}), CAST($3 AS TEXT),
            CAST(CAST($4 AS TEXT) AS {json}), CAST(CAST($5 AS TEXT) AS {json}), CAST($6 AS BIGINT),
            NULLIF(CAST($7 AS BIGINT), 0))"
        );
        Ok(Table {
            insert,
            user_width,
            model_width,
        })
    }

    fn values(&self, row: &Row) -> [Value; 7] {
        let cut = |text: &str, width| Value::Text(text.chars().take(width).collect());
        let time = DateTime::from_timestamp_millis(row.at).unwrap_or_default();
        let seconds = (row.total_ms.max(0) + 500) / 1000;
        [
            cut(&row.user, self.user_width),
            Value::Text(time.format("%Y-%m-%d %H:%M:%S%.3f+00:00").to_string()),
            cut(&row.model, self.model_width),
            Value::Text(request(row)),
            Value::Text(response(row)),
            Value::Int(seconds.min(i64::from(i32::MAX))),
            Value::Int(row.score),
        ]
    }
}

/// A request that was redacted, or is no JSON, would not go into a column of JSON.
fn request(row: &Row) -> String {
    match serde_json::from_str::<Json>(&row.request) {
        Ok(_) => row.request.clone(),
        Err(_) if row.request.is_empty() => "{}".to_owned(),
        Err(_) => Json::from(row.request.as_str()).to_string(),
    }
}

/// The tools that read the log take the tokens from the response.
fn response(row: &Row) -> String {
    let mut answer = object(&row.response);
    if answer.contains_key("usage") {
        return row.response.clone();
    }
    if answer.is_empty() && !row.response.is_empty() {
        answer.insert("text".to_owned(), Json::from(row.response.as_str()));
    }
    let total = row.prompt_tokens + row.completion_tokens;
    let usage = json!({
        "prompt_tokens": row.prompt_tokens, "completion_tokens": row.completion_tokens, "total_tokens": total,
    });
    answer.insert("usage".to_owned(), usage);
    Json::Object(answer).to_string()
}
