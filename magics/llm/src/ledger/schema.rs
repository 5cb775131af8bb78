//! The tables of the ledger, and the statements that write and read them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::store::{self, Dialect, Fault, Store, Value};
use super::{By, Filter, Summary, totals};
use crate::row::{Class, Row, Status};

/// What each version adds to the one before; none is ever changed once it is out.
pub(super) const MIGRATIONS: &[fn(Dialect) -> String] = &[
    |_| CALLS.to_owned(),
    |_| INDEX_OF_SUMS.to_owned(),
    |_| MARKS.to_owned(),
    totals::migration,
];

/// Long texts come last, so that sums need not read past them.
const CALLS: &str = "
    CREATE TABLE mlk8s_calls (
        id TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, user_id TEXT NOT NULL, session TEXT NOT NULL,
        cell BIGINT NOT NULL, run TEXT NOT NULL, chunk TEXT NOT NULL, class TEXT NOT NULL, endpoint TEXT NOT NULL,
        model TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, finish_reason TEXT NOT NULL,
        attempt BIGINT NOT NULL, queue_ms BIGINT NOT NULL, first_ms BIGINT NOT NULL, total_ms BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, completion_tokens BIGINT NOT NULL,
        counted_by TEXT NOT NULL, max_tokens BIGINT NOT NULL, price_list TEXT NOT NULL,
        reserved_usd DOUBLE PRECISION NOT NULL, paid_usd DOUBLE PRECISION NOT NULL, score BIGINT NOT NULL,
        comment TEXT NOT NULL, error TEXT NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL);
    CREATE INDEX mlk8s_calls_at ON mlk8s_calls (at, user_id, status, paid_usd, reserved_usd);
    CREATE INDEX mlk8s_calls_run ON mlk8s_calls (run, at, user_id, status, paid_usd, reserved_usd);
    CREATE INDEX mlk8s_calls_model ON mlk8s_calls (model, at);
";

/// It holds all that a summary asks for.
const INDEX_OF_SUMS: &str = "
    CREATE INDEX mlk8s_calls_sums ON mlk8s_calls (at, model, run, user_id, endpoint, session, cell, status,
        prompt_tokens, cached_tokens, completion_tokens, total_ms, paid_usd)";

const MARKS: &str = "
    CREATE TABLE mlk8s_marks (
        kind TEXT NOT NULL, about TEXT NOT NULL, item TEXT NOT NULL, user_id TEXT NOT NULL, at BIGINT NOT NULL,
        mark BIGINT NOT NULL, comment TEXT NOT NULL, PRIMARY KEY (kind, about, item, user_id))";

/// The columns, in the order of [`values`] and [`row`].
const COLUMNS: &str = "id, at, user_id, session, cell, run, chunk, class, endpoint, model, kind, status, \
    finish_reason, attempt, queue_ms, first_ms, total_ms, prompt_tokens, cached_tokens, completion_tokens, counted_by, \
    max_tokens, price_list, reserved_usd, paid_usd, score, comment, error, request, response";

/// The version that this program writes.
pub(super) fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the tables up to date and tries whether they can be written; the version found, which may be newer than ours.
pub(super) fn migrate(store: &mut dyn Store) -> Result<i64, Fault> {
    let mut version = version(store)?;
    if version < latest() {
        version = store::atomically(store, upgrade)?;
    }
    if version == latest() {
        store.run("UPDATE mlk8s_ledger SET version = version", &[])?;
    }
    Ok(version)
}

/// Another kernel may have done it while we waited for our turn.
fn upgrade(store: &mut dyn Store) -> Result<i64, Fault> {
    let found = version(store)?;
    if found == 0 {
        store.script("CREATE TABLE IF NOT EXISTS mlk8s_ledger (version BIGINT NOT NULL)")?;
    }
    for migration in MIGRATIONS.iter().skip(found as usize) {
        store.script(&migration(store.dialect()))?;
    }
    let version = found.max(latest());
    store.run("DELETE FROM mlk8s_ledger", &[])?;
    store.run(
        "INSERT INTO mlk8s_ledger (version) VALUES ($1)",
        &[Value::Int(version)],
    )?;
    Ok(version)
}

fn version(store: &mut dyn Store) -> Result<i64, Fault> {
    if !store.has_table("mlk8s_ledger")? {
        return Ok(0);
    }
    let found = store.query("SELECT MAX(version) FROM mlk8s_ledger", &[])?;
    Ok(found.concat().first().map_or(0, Value::int))
}

/// Whether there is a row of this id.
pub(super) fn has_row(store: &mut dyn Store, id: &str) -> Result<bool, Fault> {
    let found = store.query(
        "SELECT 1 FROM mlk8s_calls WHERE id = $1",
        &[Value::from(id)],
    )?;
    Ok(!found.is_empty())
}

/// Writes a row in place of the one of the same id.
pub(super) fn upsert() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let others = COLUMNS.split(", ").skip(1);
        let replaced: Vec<String> = others
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        format!(
            "{} ON CONFLICT (id) DO UPDATE SET {}",
            insertion(),
            replaced.join(", ")
        )
    });
    &SQL
}

/// Writes a row unless there is one of the same id.
pub(super) fn insert_new() -> &'static str {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("{} ON CONFLICT (id) DO NOTHING", insertion()));
    &SQL
}

fn insertion() -> String {
    let n_columns = COLUMNS.split(", ").count();
    let places: Vec<String> = (1..=n_columns).map(|k| format!("${k}")).collect();
    format!(
        "INSERT INTO mlk8s_calls ({COLUMNS}) VALUES ({})",
        places.join(", ")
    )
}

/// A row as values of [`COLUMNS`].
pub(super) fn values(row: &Row, status: Status) -> Vec<Value> {
    let text = |text: &String| Value::Text(text.clone());
    // SQLite takes what is not a number for nothing at all.
    let money = |usd: f64| Value::Real(if usd.is_nan() { 0.0 } else { usd });
    vec![
        text(&row.id),
        Value::Int(row.at),
        text(&row.user),
        text(&row.session),
        Value::Int(row.cell),
        text(&row.run),
        text(&row.chunk),
        Value::from(class_name(row.class)),
        text(&row.endpoint),
        text(&row.model),
        text(&row.kind),
        Value::from(status_name(status)),
        text(&row.finish_reason),
        Value::Int(row.attempt),
        Value::Int(row.queue_ms),
        Value::Int(row.first_ms),
        Value::Int(row.total_ms),
        Value::Int(row.prompt_tokens),
        Value::Int(row.cached_tokens),
        Value::Int(row.completion_tokens),
        text(&row.counted_by),
        Value::Int(row.max_tokens),
        text(&row.price_list),
        money(row.reserved_usd),
        money(row.paid_usd),
        Value::Int(row.score),
        text(&row.comment),
        text(&row.error),
        text(&row.request),
        text(&row.response),
    ]
}

/// Values of [`COLUMNS`] as a row.
pub(super) fn row(values: Vec<Value>) -> Result<Row, Fault> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Null);
    Ok(Row {
        id: next().text(),
        at: next().int(),
        user: next().text(),
        session: next().text(),
        cell: next().int(),
        run: next().text(),
        chunk: next().text(),
        class: class(&next().text())?,
        endpoint: next().text(),
        model: next().text(),
        kind: next().text(),
        status: status(&next().text())?,
        finish_reason: next().text(),
        attempt: next().int(),
        queue_ms: next().int(),
        first_ms: next().int(),
        total_ms: next().int(),
        prompt_tokens: next().int(),
        cached_tokens: next().int(),
        completion_tokens: next().int(),
        counted_by: next().text(),
        max_tokens: next().int(),
        price_list: next().text(),
        reserved_usd: next().real(),
        paid_usd: next().real(),
        score: next().int(),
        comment: next().text(),
        error: next().text(),
        request: next().text(),
        response: next().text(),
    })
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Done => "done",
        Status::Cached => "cached",
        Status::Failed => "failed",
        Status::Stopped => "stopped",
    }
}

fn status(name: &str) -> Result<Status, Fault> {
    let all = [
        Status::Open,
        Status::Done,
        Status::Cached,
        Status::Failed,
        Status::Stopped,
    ];
    let found = all.into_iter().find(|status| status_name(*status) == name);
    found.ok_or_else(|| Fault::Other(format!("a call has the unknown status `{name}`")))
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Interactive => "interactive",
        Class::Batch => "batch",
    }
}

fn class(name: &str) -> Result<Class, Fault> {
    let found = [Class::Interactive, Class::Batch]
        .into_iter()
        .find(|class| class_name(*class) == name);
    found.ok_or_else(|| Fault::Other(format!("a call has the unknown class `{name}`")))
}

/// The statement that finds what `filter` wants, and its parameters.
pub(super) fn selection(filter: &Filter) -> (String, Vec<Value>) {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let wanted = [
        ("at >=", filter.since_ms.map(Value::Int)),
        ("at <", filter.until_ms.map(Value::Int)),
        ("run =", text(&filter.run)),
        ("model =", text(&filter.model)),
        ("user_id =", text(&filter.user)),
        ("session =", text(&filter.session)),
    ];
    let (mut conditions, mut values) = (vec!["1 = 1".to_owned()], Vec::new());
    for (condition, value) in wanted {
        if let Some(value) = value {
            values.push(value);
            conditions.push(format!("{condition} ${}", values.len()));
        }
    }
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let mut sql = format!(
        "SELECT {COLUMNS} FROM mlk8s_calls WHERE {} ORDER BY at {order}, id {order}",
        conditions.join(" AND ")
    );
    if let Some(limit) = filter.limit {
        values.push(Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
        let _ = write!(sql, " LIMIT ${}", values.len());
    }
    (sql, values)
}

/// Calls that models have answered, from the time `$1` on and after the id `$2` at that time, `$3` of them.
pub(super) fn page_of_answered() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT {COLUMNS} FROM mlk8s_calls WHERE status = 'done' AND at >= $1 AND (at > $1 OR id > $2)
            ORDER BY at, id LIMIT $3"
        )
    });
    &SQL
}

/// The calls from `since_ms` on, summed up.
pub(super) fn summaries(
    store: &mut dyn Store,
    since_ms: i64,
    by: By,
) -> Result<Vec<Summary>, Fault> {
    let key = match (by, store.dialect()) {
        // An expression, so that SQLite reads the index of sums and not, for its order, the one on this column.
        (By::Model, Dialect::Sqlite) => "model || ''",
        (By::Run, Dialect::Sqlite) => "run || ''",
        (By::Model, Dialect::Postgres) => "model",
        (By::Run, Dialect::Postgres) => "run",
        (By::User, _) => "user_id",
        (By::Endpoint, _) => "endpoint",
        (By::Cell, _) => "substr(session, 1, 8) || ' ' || CAST(cell AS TEXT)",
        (By::Day, Dialect::Sqlite) => "date(at / 1000, 'unixepoch')",
        (By::Day, Dialect::Postgres) => {
            "to_char(to_timestamp(at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        }
    };
    // Sums of whole numbers are decimal numbers to PostgreSQL.
    let sql = format!(
        "SELECT {key} AS key, MIN(at), COUNT(*), COUNT(*) FILTER (WHERE status = 'failed'),
            COUNT(*) FILTER (WHERE status = 'cached'), COUNT(*) FILTER (WHERE status = 'open'),
            CAST(SUM(prompt_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),
            CAST(SUM(completion_tokens) AS BIGINT),
            COUNT(*) FILTER (WHERE status = 'done' AND prompt_tokens + completion_tokens = 0),
            CAST(SUM(total_ms) AS BIGINT), SUM(paid_usd)
        FROM mlk8s_calls WHERE at >= $1 GROUP BY 1"
    );
    let found = store.query(&sql, &[Value::Int(since_ms)])?;
    let mut summed: Vec<(i64, Summary)> = found.into_iter().map(summary).collect();
    // Here and not in SQL: the order of texts depends on the locale of the server.
    summed.sort_by(|(a_first, a), (b_first, b)| match by {
        By::Run | By::Cell => (a_first, &a.key).cmp(&(b_first, &b.key)),
        _ => a.key.cmp(&b.key),
    });
    Ok(summed.into_iter().map(|(_, summary)| summary).collect())
}

fn summary(values: Vec<Value>) -> (i64, Summary) {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Null);
    let key = next().text();
    let first = next().int();
    let summary = Summary {
        key,
        calls: next().int(),
        failed: next().int(),
        cached: next().int(),
        open: next().int(),
        prompt_tokens: next().int(),
        cached_tokens: next().int(),
        completion_tokens: next().int(),
        unmetered: next().int(),
        total_ms: next().int(),
        paid_usd: next().real(),
    };
    (first, summary)
}
