//! The ledger: every call of a model is written here before it is sent and again when it has ended, in a file of
//! `SQLite` or in a `PostgreSQL` that several kernels share; budgets are checked where the row is written.

use std::fmt;
use std::path::Path;

use crate::row::{Row, Status};

mod error;
mod marks;
mod places;
mod postgres;
mod schema;
mod seed;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod totals;

pub use error::LedgerError;
pub use marks::Mark;
pub use seed::ImportReport;

use error::place_error;
use store::{Fault, Store, Value};

/// A call that is still open after this time has been forgotten by its kernel and was never paid for.
const FORGOTTEN_MS: i64 = 24 * 60 * 60 * 1000;

/// Sums of money are binary fractions: three times 0.1 may be 0.3, however it is added up.
const DUST_USD: f64 = 1e-9;

/// A database of calls; it blocks, so it belongs on a thread of its own.
pub struct Ledger {
    store: Box<dyn Store>,
    place: String,
}

/// The most that may be spent on some calls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limit {
    /// What it is called.
    pub name: String,
    /// The most, in US dollars.
    pub usd: f64,
    /// Calls from then on count, in milliseconds since 1970.
    pub since_ms: i64,
    /// Only the calls of this run count.
    pub run: Option<String>,
    /// Only the calls of this user count.
    pub user: Option<String>,
}

/// Which rows are wanted; all that is not said is not asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Sent at this time or later.
    pub since_ms: Option<i64>,
    /// Sent before this time.
    pub until_ms: Option<i64>,
    /// Part of this run.
    pub run: Option<String>,
    /// Answered by this model.
    pub model: Option<String>,
    /// Called by this user.
    pub user: Option<String>,
    /// Called in this session of a kernel.
    pub session: Option<String>,
    /// At most so many: the first ones in the order that is wanted.
    pub limit: Option<u64>,
    /// From the newest to the oldest; else from the oldest on.
    pub newest_first: bool,
}

/// What calls are summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name of the model.
    Model,
    /// The day in UTC, such as `2026-05-01`.
    Day,
    /// The run.
    Run,
    /// The cell: the first eight letters of its session and its number, such as `5f2c81aa 12`.
    Cell,
    /// The user.
    User,
    /// The endpoint.
    Endpoint,
}

/// Calls summed up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// What they have in common.
    pub key: String,
    /// How many there are, of any status.
    pub calls: i64,
    /// Those that failed.
    pub failed: i64,
    /// Those answered from the cache.
    pub cached: i64,
    /// Those that have not ended.
    pub open: i64,
    /// Tokens of the requests.
    pub prompt_tokens: i64,
    /// Those of them that the server had cached.
    pub cached_tokens: i64,
    /// Tokens of the answers.
    pub completion_tokens: i64,
    /// Calls that were answered and for which no tokens were counted: they look free and are not.
    pub unmetered: i64,
    /// Time from sending to end, all calls together.
    pub total_ms: i64,
    /// What they cost.
    pub paid_usd: f64,
}

impl Ledger {
    /// Opens the ledger at `target`, which is made where there is none: `postgres://…` or the path of a file.
    pub fn open(target: &str) -> Result<Ledger, LedgerError> {
        let (mut store, place) = if places::is_address(target)? {
            let opened = postgres::Postgres::open(target);
            let place = places::shown(target);
            let store = opened.map_err(|fault| place_error(&place, "open the ledger", fault))?;
            (Box::new(store) as Box<dyn Store>, place)
        } else {
            let opened = sqlite::Sqlite::ledger(Path::new(target));
            let place = target.to_owned();
            let store = opened.map_err(|fault| place_error(&place, "open the ledger", fault))?;
            (Box::new(store) as Box<dyn Store>, place)
        };
        let version = schema::migrate(&mut *store)
            .map_err(|fault| place_error(&place, "make the tables", fault))?;
        let known = schema::latest();
        if version > known {
            return Err(LedgerError::Newer {
                place,
                version,
                known,
            });
        }
        Ok(Ledger { store, place })
    }

    /// Where it is, without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Writes that a call is about to be sent, if no limit would be passed even if it costs all of its `reserved_usd`.
    /// The check and the row are one transaction: two kernels cannot both have the last dollar.
    pub fn begin(&mut self, row: &Row, limits: &[Limit]) -> Result<(), LedgerError> {
        let mut again = false;
        let refused = self.attempt("begin a call", |store| {
            // The answer to the first try may have been lost after it was carried out.
            if std::mem::replace(&mut again, true) && schema::has_row(store, &row.id)? {
                return Ok(None);
            }
            if limits.is_empty() {
                store.run(schema::upsert(), &schema::values(row, Status::Open))?;
                return Ok(None);
            }
            store::atomically(store, |store| {
                for limit in limits {
                    let run = limit.run.as_deref();
                    let spent_usd = spent(store, limit.since_ms, run, limit.user.as_deref())?;
                    let fits = spent_usd + row.reserved_usd <= limit.usd + DUST_USD;
                    if !fits {
                        return Ok(Some((limit, spent_usd)));
                    }
                }
                store.run(schema::upsert(), &schema::values(row, Status::Open))?;
                Ok(None)
            })
        })?;
        match refused {
            None => Ok(()),
            Some((limit, spent_usd)) => Err(LedgerError::Budget {
                name: limit.name.clone(),
                limit_usd: limit.usd,
                spent_usd,
                wanted_usd: row.reserved_usd,
            }),
        }
    }

    /// Writes what became of a call, in place of the row of the same id.
    pub fn end(&mut self, row: &Row) -> Result<(), LedgerError> {
        let values = schema::values(row, row.status);
        self.attempt("end a call", |store| store.run(schema::upsert(), &values))?;
        Ok(())
    }

    /// Writes what became of several calls, as [`Ledger::end`] does: all of them at once, which is faster, or, when that
    /// fails, as many as can be written.
    pub fn end_all(&mut self, rows: &[Row]) -> Result<(), LedgerError> {
        let written = self.attempt("end calls", |store| {
            store::atomically(store, |store| {
                for row in rows {
                    store.run(schema::upsert(), &schema::values(row, row.status))?;
                }
                Ok(())
            })
        });
        match written {
            Err(LedgerError::Failed { .. }) => {
                let failures = rows.iter().map(|row| self.end(row));
                failures.fold(Ok(()), Result::and)
            }
            written => written,
        }
    }

    /// What was paid from `since_ms` on, and what is set aside for calls that are under way.
    pub fn spent(
        &mut self,
        since_ms: i64,
        run: Option<&str>,
        user: Option<&str>,
    ) -> Result<f64, LedgerError> {
        self.attempt("sum up", |store| spent(store, since_ms, run, user))
    }

    /// The rows that are wanted, in order of time.
    pub fn rows(&mut self, filter: &Filter) -> Result<Vec<Row>, LedgerError> {
        let (sql, values) = schema::selection(filter);
        self.attempt("read calls", |store| {
            let found = store.query(&sql, &values)?;
            found.into_iter().map(schema::row).collect()
        })
    }

    /// The calls from `since_ms` on, summed up; runs and cells in the order of their first call, all else by name.
    pub fn summaries(&mut self, since_ms: i64, by: By) -> Result<Vec<Summary>, LedgerError> {
        self.attempt("sum up", |store| schema::summaries(store, since_ms, by))
    }

    /// Hours from `since_ms` on in which each endpoint had at least one call under way, by its name.
    pub fn busy_hours(&mut self, since_ms: i64) -> Result<Vec<(String, f64)>, LedgerError> {
        let sql = "SELECT endpoint, at, total_ms FROM mlk8s_calls WHERE at >= $1 AND total_ms > 0 ORDER BY endpoint, at";
        let spans = self.attempt("sum up", |store| store.query(sql, &[Value::Int(since_ms)]))?;
        let mut hours: Vec<(String, f64)> = Vec::new();
        let mut until = 0;
        for span in spans {
            let [endpoint, at, total] =
                <[Value; 3]>::try_from(span).unwrap_or([Value::Null, Value::Null, Value::Null]);
            let (endpoint, begin, end) = (endpoint.text(), at.int(), at.int() + total.int());
            if hours.last().is_none_or(|(name, _)| *name != endpoint) {
                hours.push((endpoint, 0.0));
                until = begin;
            }
            // Calls that overlap keep the machine busy once.
            let fresh = (end - begin.max(until)).max(0);
            until = until.max(end);
            if let Some((_, sum)) = hours.last_mut() {
                *sum += fresh as f64 / 3_600_000.0;
            }
        }
        Ok(hours)
    }

    /// Marks a call with a score from 1 to 5, or 0 for none, and a remark; false when there is no such call.
    pub fn mark(&mut self, id: &str, score: i64, comment: &str) -> Result<bool, LedgerError> {
        let sql = "UPDATE mlk8s_calls SET score = $2, comment = $3 WHERE id = $1";
        let values = [Value::from(id), Value::Int(score), Value::from(comment)];
        let changed = self.attempt("mark a call", |store| store.run(sql, &values))?;
        Ok(changed > 0)
    }

    /// Numbers of the calls that end with `end`, the newest first: people are shown the last digits only.
    pub fn calls_ending(&mut self, end: &str) -> Result<Vec<String>, LedgerError> {
        if end.is_empty() || !end.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Ok(Vec::new());
        }
        let sql = "SELECT id FROM mlk8s_calls WHERE id LIKE $1 ORDER BY at DESC, id DESC";
        let like = [Value::from(format!("%{end}").as_str())];
        let rows = self.attempt("look for a call", |store| store.query(sql, &like))?;
        let ids = rows.into_iter().filter_map(|row| row.into_iter().next());
        Ok(ids.map(Value::text).collect())
    }

    /// Does `work`, once more when the connection was found broken and could be made again. So `work` must be such
    /// that doing it twice is doing it once.
    fn attempt<T>(
        &mut self,
        what: &'static str,
        mut work: impl FnMut(&mut dyn Store) -> Result<T, Fault>,
    ) -> Result<T, LedgerError> {
        let mut done = work(&mut *self.store);
        if matches!(done, Err(Fault::Lost(_))) {
            done = self.store.restore().and_then(|()| work(&mut *self.store));
        }
        done.map_err(|fault| place_error(&self.place, what, fault))
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ledger")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Calls that have ended count with their price, open ones with the most that they could cost: their kernel may have
/// died, but the server may have answered it, and been paid.
fn spent(
    store: &mut dyn Store,
    since_ms: i64,
    run: Option<&str>,
    user: Option<&str>,
) -> Result<f64, Fault> {
    let forgotten_ms = chrono::Utc::now().timestamp_millis() - FORGOTTEN_MS;
    totals::spent(store, since_ms, forgotten_ms, run, user)
}
