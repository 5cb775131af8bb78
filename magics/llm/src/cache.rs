//! Answers to requests that were made before, by the whole request.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::call::Answer;

/// How long another kernel may keep the file to itself.
const BUSY: Duration = Duration::from_secs(5);
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, at INTEGER NOT NULL);";

/// The answers, in a file; none where it cannot be used.
#[derive(Debug)]
pub(crate) struct Cache(Option<Connection>);

impl Cache {
    /// The answers in `file`.
    pub(crate) fn open(file: &Path) -> Cache {
        Cache(open(file).ok())
    }

    /// The answer to the request with `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Answer> {
        let store = self.0.as_ref()?;
        let text: Option<String> = store
            .query_row("SELECT answer FROM answers WHERE key = ?", [key], |row| {
                row.get(0)
            })
            .optional()
            .ok()?;
        serde_json::from_str(&text?).ok()
    }

    /// Drops the answer to the request with `key`.
    pub(crate) fn forget(&self, key: &str) {
        if let Some(store) = &self.0 {
            // It is replaced at the next answer, at the latest.
            let _ = store.execute("DELETE FROM answers WHERE key = ?", [key]);
        }
    }

    /// Keeps an answer; one that cannot be kept is asked for again.
    pub(crate) fn put(&self, key: &str, answer: &Answer) {
        let text = serde_json::to_string(answer).ok();
        if let (Some(store), Some(text)) = (&self.0, text) {
            let at = chrono::Utc::now().timestamp_millis();
            let _ = store.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                params![key, text, at],
            );
        }
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    if let Some(parent) = file.parent() {
        // Opening says what is wrong.
        let _ = std::fs::create_dir_all(parent);
    }
    let store = Connection::open(file)?;
    store.busy_timeout(BUSY)?;
    // A pragma that answers with a row.
    store.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    store.execute_batch(SCHEMA)?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let answer = Answer {
            text: "42".to_owned(),
            ..Answer::default()
        };
        Cache::open(&dir.path().join("a/answers.db")).put("k", &answer);
        let again = Cache::open(&dir.path().join("a/answers.db"));
        assert_eq!(again.get("k"), Some(answer));
        assert_eq!(again.get("other"), None);
        let broken = Cache::open(Path::new("/proc/none/answers.db"));
        broken.put("k", &Answer::default());
        assert_eq!(broken.get("k"), None);
    }
}
