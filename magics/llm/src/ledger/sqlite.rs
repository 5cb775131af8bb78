//! A file of `SQLite`, as a store of the ledger.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ToSql, params_from_iter};

use super::places::on_network_disk;
use super::store::{Dialect, Fault, Store, Value};

/// How long we wait while others write.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the journal's mode is tried: each try waits for others.
const MOST_TRIES: usize = 100;

/// A connection to a file.
pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the file of a ledger, which is made where there is none.
    pub(super) fn ledger(path: &Path) -> Result<Sqlite, Fault> {
        let store = Sqlite::create(path)?;
        store.choose_journal(path)?;
        // Against a crash of the machine NORMAL in WAL may lose the last calls; against one of ours it loses nothing.
        store
            .connection
            .execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(store)
    }

    /// Opens a file, which is made where there is none, for its owner's eyes only.
    pub(super) fn create(path: &Path) -> Result<Sqlite, Fault> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Fault::Place(error.to_string()))?;
        }
        let is_new = !path.exists();
        let store = Sqlite::open(path, OpenFlags::default())?;
        // By name: to open and close the file here would drop the locks of other connections of this process.
        if is_new {
            fs::set_permissions(path, Permissions::from_mode(0o600))
                .map_err(|error| Fault::Place(error.to_string()))?;
        }
        if store.connection.is_readonly(MAIN_DB)? {
            return Err(Fault::Place("it can be read but not written".to_owned()));
        }
        Ok(store)
    }

    /// Opens a file that is there, to read it.
    pub(super) fn existing(path: &Path) -> Result<Sqlite, Fault> {
        // Not read-only: what other programs left in a write-ahead log could not be read then.
        let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
        Sqlite::open(path, flags)
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Sqlite, Fault> {
        let opened = Connection::open_with_flags(path, flags);
        let connection = opened.map_err(|error| Fault::Place(error.to_string()))?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Sqlite { connection })
    }

    /// A write-ahead log lets one kernel write while others read, but needs memory that all of them share, which a
    /// network disk cannot give: <https://sqlite.org/wal.html>.
    fn choose_journal(&self, path: &Path) -> Result<(), Fault> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let shared = fs::canonicalize(path).is_ok_and(|path| on_network_disk(&path, &mounts));
        if !shared && self.set_journal("wal").is_ok_and(|done| done) {
            return Ok(());
        }
        self.set_journal("truncate").map(drop)
    }

    /// Sets the journal's mode; false when this file cannot have it.
    fn set_journal(&self, wanted: &str) -> Result<bool, Fault> {
        let asking = "PRAGMA journal_mode".to_owned();
        let setting = format!("PRAGMA journal_mode = {wanted}");
        let mode = |sql: &str| {
            self.connection
                .query_row(sql, [], |row| row.get::<_, String>(0))
        };
        for _ in 0..MOST_TRIES {
            let found = mode(&asking).and_then(|found| {
                if found == wanted {
                    Ok(found)
                } else {
                    mode(&setting)
                }
            });
            match found {
                Ok(found) => return Ok(found == wanted),
                // This statement does not always wait for others; the next one does.
                Err(error) if is_busy(&error) => {
                    self.connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
                }
                Err(error) => return Err(Fault::Place(error.to_string())),
            }
        }
        Err(Fault::Busy)
    }
}

impl Store for Sqlite {
    fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        let mut statement = self.connection.prepare_cached(&own(sql))?;
        Ok(statement.execute(params_from_iter(values))? as u64)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, Fault> {
        let mut statement = self.connection.prepare_cached(&own(sql))?;
        let n_columns = statement.column_count();
        let found = statement.query_map(params_from_iter(values), |row| {
            (0..n_columns).map(|k| row.get_ref(k).map(value)).collect()
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    fn script(&mut self, sql: &str) -> Result<(), Fault> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn start_alone(&mut self) -> Result<(), Fault> {
        self.script("BEGIN IMMEDIATE")
    }

    fn has_table(&mut self, name: &str) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = $1";
        Ok(!self.query(sql, &[Value::from(name)])?.is_empty())
    }

    fn restore(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
}

/// To `SQLite`, `$1` is a name and `?1` a number.
fn own(sql: &str) -> String {
    sql.replace('$', "?")
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Real(x) => ValueRef::Real(*x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        if is_busy(&error) {
            return Fault::Busy;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::NotADatabase) => {
                Fault::Place(error.to_string())
            }
            _ => Fault::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(store: &mut Sqlite) -> String {
        let found = store.query("PRAGMA journal_mode", &[]).unwrap();
        found.concat().remove(0).text()
    }

    #[test]
    fn many_open_a_new_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/ledger.sqlite");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut store = Sqlite::ledger(&path).unwrap();
                    assert!(["wal", "truncate"].contains(&mode(&mut store).as_str()));
                });
            }
        });
        let rights = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(rights & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_a_write_ahead_log_is_used_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        let mut store = Sqlite::create(&path).unwrap();
        assert!(store.set_journal("truncate").unwrap());
        assert_eq!(mode(&mut store), "truncate");
        // A database in memory is one that cannot have a write-ahead log.
        let connection = Connection::open_in_memory().unwrap();
        let store = Sqlite { connection };
        assert!(!store.set_journal("wal").unwrap());
        assert!(store.choose_journal(&path).is_ok());
    }
}
