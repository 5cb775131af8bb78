//! What was paid by minute, hour and day, and by run: the database itself keeps these totals, in the transaction that
//! writes, changes or removes a call, so that a budget is held against a few hundred numbers and not all calls.

use super::store::{Dialect, Fault, Store, Value};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A day is added up before its hours and an hour before its minutes: whoever waits for another holds nothing yet that
/// the other wants.
const SPANS_MS: [i64; 3] = [DAY_MS, HOUR_MS, MINUTE_MS];

/// What was paid from `since_ms` on, and what is set aside for calls begun after `forgotten_ms` that have not ended, in
/// US dollars; in one statement, so that no call is seen as open and as ended.
pub(super) fn spent(
    store: &mut dyn Store,
    since_ms: i64,
    forgotten_ms: i64,
    run: Option<&str>,
    user: Option<&str>,
) -> Result<f64, Fault> {
    let mut values = Vec::new();
    let mut place = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut of_whom = String::new();
    for (column, wanted) in [("run", run), ("user_id", user)] {
        if let Some(wanted) = wanted {
            of_whom = format!("{of_whom} AND {column} = {}", place(Value::from(wanted)));
        }
    }
    let (table, spans) = match run {
        Some(_) => ("mlk8s_run_sums", &[HOUR_MS][..]),
        None => ("mlk8s_sums", &SPANS_MS[..]),
    };
    let mut parts = Vec::new();
    let mut until = String::new();
    for span in spans {
        let begin = place(Value::Int(next_start(since_ms, *span)));
        let of_span = run.map_or_else(|| format!(" AND span_ms = {span}"), |_| String::new());
        parts.push(format!(
            "SELECT micros, picos, 0.0 AS usd FROM {table} WHERE start_ms >= {begin}{until}{of_span}{of_whom}"
        ));
        until = format!(" AND start_ms < {begin}");
    }
    let (since, forgotten) = (place(Value::Int(since_ms)), place(Value::Int(forgotten_ms)));
    let until = until.replace("start_ms", "at");
    parts.push(format!(
        "SELECT 0, 0, paid_usd FROM mlk8s_calls WHERE status <> 'open' AND at >= {since}{until}{of_whom}"
    ));
    // SQLite takes this index for as long as the others.
    let index = match store.dialect() {
        Dialect::Sqlite => "INDEXED BY mlk8s_calls_open",
        Dialect::Postgres => "",
    };
    parts.push(format!(
        "SELECT 0, 0, reserved_usd FROM mlk8s_calls {index}
        WHERE status = 'open' AND at > {forgotten} AND at >= {since}{of_whom}"
    ));
    let sql = format!(
        "SELECT CAST(SUM(micros) AS BIGINT), CAST(SUM(picos) AS BIGINT), SUM(usd) FROM ({}) AS parts",
        parts.join(" UNION ALL ")
    );
    let found = store.query(&sql, &values)?.concat();
    let whole = |k: usize| found.get(k).map_or(0, Value::int);
    let picos = i128::from(whole(0)) * 1_000_000 + i128::from(whole(1));
    Ok(picos as f64 / 1e12 + found.get(2).map_or(0.0, Value::real))
}

/// When the first span begins that is not before `since_ms`.
fn next_start(since_ms: i64, span_ms: i64) -> i64 {
    let last = since_ms.checked_add(span_ms - 1);
    last.map_or(i64::MAX, |last| last.div_euclid(span_ms) * span_ms)
}

/// The tables of totals, what keeps them, and the totals of the calls that are there.
///
/// Sums of money are whole numbers, millionths of a dollar and, apart, millionths of those: taking away what was added
/// leaves nothing behind, prices of up to six decimals a million tokens are exact, and no sum can be too large.
pub(super) fn migration(dialect: Dialect) -> String {
    let (kept, keepers, lock) = match dialect {
        Dialect::Sqlite => ("WITHOUT ROWID", sqlite_triggers(), ""),
        // Calls that end while we add up wait for the trigger; those that have begun to are waited for.
        Dialect::Postgres => (
            "WITH (fillfactor = 50)",
            postgres_triggers(),
            "LOCK TABLE mlk8s_calls IN SHARE ROW EXCLUSIVE MODE;",
        ),
    };
    let calls = "(SELECT * FROM mlk8s_calls WHERE status <> 'open' AND paid_usd <> 0) AS paid";
    let (start, pico) = (start_of("paid", "span_ms"), pico_of("paid"));
    let by_hour = start_of("paid", &HOUR_MS.to_string());
    let spans = spans();
    format!(
        "{lock}
        CREATE INDEX mlk8s_calls_open ON mlk8s_calls (at, user_id, run, reserved_usd) WHERE status = 'open';
        CREATE TABLE mlk8s_sums (span_ms BIGINT NOT NULL, start_ms BIGINT NOT NULL, user_id TEXT NOT NULL,
            micros BIGINT NOT NULL, picos BIGINT NOT NULL, PRIMARY KEY (span_ms, start_ms, user_id)) {kept};
        CREATE TABLE mlk8s_run_sums (run TEXT NOT NULL, start_ms BIGINT NOT NULL, user_id TEXT NOT NULL,
            micros BIGINT NOT NULL, picos BIGINT NOT NULL, PRIMARY KEY (run, start_ms, user_id)) {kept};
        {keepers}
        INSERT INTO mlk8s_sums (span_ms, start_ms, user_id, micros, picos)
            SELECT span_ms, {start}, user_id, SUM({pico} / 1000000), SUM({pico} % 1000000)
            FROM {calls} CROSS JOIN {spans} GROUP BY 1, 2, 3;
        INSERT INTO mlk8s_run_sums (run, start_ms, user_id, micros, picos)
            SELECT run, {by_hour}, user_id, SUM({pico} / 1000000), SUM({pico} % 1000000)
            FROM {calls} GROUP BY 1, 2, 3;"
    )
}

fn sqlite_triggers() -> String {
    let trigger = |name: &str, event: &str, row: &str, sign: &str| {
        let (counts, add) = (counts(row), add(row, sign));
        format!("CREATE TRIGGER {name} AFTER {event} ON mlk8s_calls WHEN {counts} BEGIN {add} END;")
    };
    let update = format!("UPDATE OF {COUNTED}");
    [
        trigger("mlk8s_call_added", "INSERT", "NEW", ""),
        trigger("mlk8s_call_removed", "DELETE", "OLD", "-"),
        trigger("mlk8s_call_was", &update, "OLD", "-"),
        trigger("mlk8s_call_is", &update, "NEW", ""),
    ]
    .concat()
}

fn postgres_triggers() -> String {
    let (old_counts, take) = (counts("OLD"), add("OLD", "-"));
    let (new_counts, add) = (counts("NEW"), add("NEW", ""));
    format!(
        "CREATE FUNCTION mlk8s_count_call() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $mlk8s$
        BEGIN
            IF TG_OP <> 'INSERT' THEN IF {old_counts} THEN {take} END IF; END IF;
            IF TG_OP <> 'DELETE' THEN IF {new_counts} THEN {add} END IF; END IF;
            RETURN NULL;
        END $mlk8s$;
        CREATE FUNCTION mlk8s_count_none() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $mlk8s$
        BEGIN
            DELETE FROM mlk8s_sums;
            DELETE FROM mlk8s_run_sums;
            RETURN NULL;
        END $mlk8s$;
        CREATE TRIGGER mlk8s_call_added AFTER INSERT ON mlk8s_calls FOR EACH ROW WHEN ({new_counts})
            EXECUTE FUNCTION mlk8s_count_call();
        CREATE TRIGGER mlk8s_call_removed AFTER DELETE ON mlk8s_calls FOR EACH ROW WHEN ({old_counts})
            EXECUTE FUNCTION mlk8s_count_call();
        CREATE TRIGGER mlk8s_call_changed AFTER UPDATE OF {COUNTED} ON mlk8s_calls FOR EACH ROW
            WHEN (({old_counts}) OR ({new_counts})) EXECUTE FUNCTION mlk8s_count_call();
        CREATE TRIGGER mlk8s_calls_removed AFTER TRUNCATE ON mlk8s_calls FOR EACH STATEMENT
            EXECUTE FUNCTION mlk8s_count_none();"
    )
}

/// What the totals depend on.
const COUNTED: &str = "at, run, user_id, status, paid_usd";

/// Whether a row is in the totals: open ones are few, and forgotten after a while, so they are added up as they are.
fn counts(row: &str) -> String {
    format!("{row}.status <> 'open' AND {row}.paid_usd <> 0")
}

/// Statements that add what `row` cost, or take it away.
fn add(row: &str, sign: &str) -> String {
    let (start, pico) = (start_of(row, "span_ms"), pico_of(row));
    let by_hour = start_of(row, &HOUR_MS.to_string());
    let spans = spans();
    let into = |table: &str| {
        format!(
            "DO UPDATE SET micros = {table}.micros + excluded.micros, picos = {table}.picos + excluded.picos;"
        )
    };
    let (sums, run_sums) = (into("mlk8s_sums"), into("mlk8s_run_sums"));
    format!(
        "INSERT INTO mlk8s_sums (span_ms, start_ms, user_id, micros, picos)
            SELECT span_ms, {start}, {row}.user_id, {sign}{pico} / 1000000, {sign}{pico} % 1000000
            FROM {spans} WHERE 1 = 1 ON CONFLICT (span_ms, start_ms, user_id) {sums}
        INSERT INTO mlk8s_run_sums (run, start_ms, user_id, micros, picos)
            VALUES ({row}.run, {by_hour}, {row}.user_id, {sign}{pico} / 1000000, {sign}{pico} % 1000000)
            ON CONFLICT (run, start_ms, user_id) {run_sums}"
    )
}

fn spans() -> String {
    let [first, others @ ..] = SPANS_MS;
    let others = others.map(|span| format!(" UNION ALL SELECT {span}"));
    format!("(SELECT {first} AS span_ms{}) AS spans", others.concat())
}

/// When the span begins in which `row` lies; before 1970, too.
fn start_of(row: &str, span: &str) -> String {
    format!("{row}.at - ({row}.at % {span} + {span}) % {span}")
}

/// What `row` cost, in millionths of millionths of a dollar; no call costs more than a million dollars.
fn pico_of(row: &str) -> String {
    format!(
        "CAST(ROUND(CASE WHEN {row}.paid_usd > 1e6 THEN 1e6 WHEN {row}.paid_usd < -1e6 THEN -1e6
            ELSE {row}.paid_usd END * 1e12) AS BIGINT)"
    )
}
