//! What was typed in this and earlier sessions, in a database in the way of `IPython`; in memory when its file
//! cannot be used.

use std::path::Path;

use rusqlite::{Connection, Row, params};

/// One cell that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Number of the session.
    pub(crate) session: i64,
    /// Number of the cell within the session.
    pub(crate) number: i64,
    /// Its text.
    pub(crate) source: String,
    /// The text of its result.
    pub(crate) output: Option<String>,
}

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The last ones.
    Tail {
        /// How many.
        n: i64,
    },
    /// Those of one session.
    Range {
        /// Its number; 0 is this one, -1 the one before.
        session: i64,
        /// The first line.
        start: i64,
        /// The line after the last one.
        stop: Option<i64>,
    },
    /// Those that match.
    Search {
        /// `*` is anything, `?` any letter.
        pattern: String,
        /// How many, the latest; all when absent.
        n: Option<i64>,
        /// Each text once.
        unique: bool,
    },
}

/// The store.
pub(crate) struct History {
    store: Option<Connection>,
    session: i64,
}

/// TRUNCATE, not WAL: the file may lie on a network disk.
const SCHEMA: &str = "
    PRAGMA journal_mode = TRUNCATE;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY AUTOINCREMENT, start TEXT);
    CREATE TABLE IF NOT EXISTS history (session INTEGER, line INTEGER, source TEXT, output TEXT, PRIMARY KEY (session, line));
";

/// Of equal texts the latest.
const UNIQUE: &str =
    "AND NOT EXISTS (SELECT 1 FROM history AS later WHERE later.source = history.source
    AND (later.session, later.line) > (history.session, history.line))";

impl History {
    /// Opens the store below `dir` and begins a session in it.
    pub(crate) fn open(dir: &Path) -> History {
        let kept = std::fs::create_dir_all(dir)
            .map_err(|error| error.to_string())
            .and_then(|()| {
                begin(Connection::open(dir.join("history.sqlite")))
                    .map_err(|error| error.to_string())
            });
        match kept {
            Ok(history) => history,
            Err(error) => {
                crate::log(&format!(
                    "the history is not kept, `{}` cannot be used: {error}",
                    dir.display()
                ));
                begin(Connection::open_in_memory()).unwrap_or(History {
                    store: None,
                    session: 0,
                })
            }
        }
    }

    /// Keeps a cell that is about to be run.
    pub(crate) fn keep(&self, line: i64, source: &str) {
        let sql = "INSERT OR REPLACE INTO history (session, line, source) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![self.session, line, source]);
    }

    /// Keeps the result of a cell.
    pub(crate) fn keep_output(&self, line: i64, output: &str) {
        let sql = "UPDATE history SET output = ?3 WHERE session = ?1 AND line = ?2";
        self.execute(sql, params![self.session, line, output]);
    }

    /// The lines that are `wanted`, oldest first.
    pub(crate) fn find(&self, wanted: &Wanted) -> Vec<Line> {
        let found = match wanted {
            Wanted::Tail { n } => {
                self.query("ORDER BY session DESC, line DESC LIMIT ?1", params![n])
            }
            Wanted::Range {
                session,
                start,
                stop,
            } => {
                let session = if *session > 0 {
                    *session
                } else {
                    self.session + session
                };
                let order = "WHERE session = ?1 AND line >= ?2 AND (?3 IS NULL OR line < ?3) ORDER BY line DESC";
                self.query(order, params![session, start, stop])
            }
            Wanted::Search { pattern, n, unique } => {
                let unique = if *unique { UNIQUE } else { "" };
                let order = format!(
                    "WHERE source GLOB ?1 {unique} ORDER BY session DESC, line DESC LIMIT ?2"
                );
                self.query(&order, params![pattern, n.unwrap_or(-1)])
            }
        };
        let mut lines = found.unwrap_or_else(|error| {
            crate::log(&format!("the history cannot be read: {error}"));
            Vec::new()
        });
        lines.reverse();
        lines
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) {
        let done = self.store.as_ref().map(|store| store.execute(sql, values));
        if let Some(Err(error)) = done {
            crate::log(&format!("a cell is missing in the history: {error}"));
        }
    }

    fn query(&self, order: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<Line>> {
        let Some(store) = &self.store else {
            return Ok(Vec::new());
        };
        let mut statement = store.prepare(&format!(
            "SELECT session, line, source, output FROM history {order}"
        ))?;
        statement.query_map(values, read)?.collect()
    }
}

fn begin(store: rusqlite::Result<Connection>) -> rusqlite::Result<History> {
    let store = store?;
    store.execute_batch(SCHEMA)?;
    store.execute("INSERT INTO sessions (start) VALUES (datetime('now'))", [])?;
    let session = store.last_insert_rowid();
    Ok(History {
        store: Some(store),
        session,
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        session: row.get(0)?,
        number: row.get(1)?,
        source: row.get(2)?,
        output: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.source.as_str()).collect()
    }

    #[test]
    fn it_outlives_a_session() {
        let dir = tempfile::tempdir().unwrap();
        let first = History::open(dir.path());
        for (line, source) in [(1, "1+1"), (2, "1+2"), (3, "1+1")] {
            first.keep(line, source);
        }
        first.keep_output(2, "3");
        drop(first);
        let second = History::open(dir.path());
        second.keep(1, "let a = 1;");
        assert_eq!(
            sources(&second.find(&Wanted::Tail { n: 2 })),
            ["1+1", "let a = 1;"]
        );
        let range = |session| Wanted::Range {
            session,
            start: 1,
            stop: Some(3),
        };
        let before = second.find(&range(-1));
        assert_eq!(sources(&before), ["1+1", "1+2"]);
        assert_eq!(before[1].output.as_deref(), Some("3"));
        assert_eq!(sources(&second.find(&range(0))), ["let a = 1;"]);
        let search = |n, unique| Wanted::Search {
            pattern: "1+?".to_owned(),
            n,
            unique,
        };
        assert_eq!(
            sources(&second.find(&search(None, false))),
            ["1+1", "1+2", "1+1"]
        );
        assert_eq!(sources(&second.find(&search(None, true))), ["1+2", "1+1"]);
        assert_eq!(sources(&second.find(&search(Some(1), false))), ["1+1"]);
    }

    #[test]
    fn without_a_directory_it_lives_in_memory() {
        let history = History::open(Path::new("/proc/none"));
        history.keep(1, "a");
        assert_eq!(history.find(&Wanted::Tail { n: 9 }).len(), 1);
    }
}
