//! Vectors that cost nothing, kept until all of a work are there: a stop, a kill, or the end of the process that makes them
//! loses none.
//!
//! They are in a file of their own, named by what makes them and by what they are made of, which goes when the work is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Cache;
use crate::call::Answer;

/// Requests from which a work is worth a file.
const WORTH: usize = 16;
/// How long a work may lie unfinished.
const LASTS: Duration = Duration::from_hours(14 * 24);
/// What a file is, and what the store keeps beside it.
const ENDINGS: [&str; 3] = ["db", "db-wal", "db-shm"];

/// What was made of one work.
pub(super) struct Passing {
    file: PathBuf,
    answers: Cache,
}

impl Passing {
    /// What is there of the work that is called `name`, which takes `n` requests; `None` when these are few.
    pub(super) fn open(state: &Path, name: &str, n: usize) -> Option<Passing> {
        if n < WORTH {
            return None;
        }
        let dir = state.join("vectors");
        forget_old(&dir);
        let file = dir.join(format!("{name}.db"));
        Some(Passing {
            answers: Cache::open(&file),
            file,
        })
    }

    /// The answer to the request with a number.
    pub(super) fn get(&self, number: usize) -> Option<Answer> {
        self.answers.get(&number.to_string())
    }

    /// Keeps the answer to the request with a number.
    pub(super) fn put(&self, number: usize, answer: &Answer) {
        self.answers.put(&number.to_string(), answer);
    }

    /// The work is done, or what is there of it is of no use.
    pub(super) fn forget(self) {
        for ending in ENDINGS {
            // What stays goes when it is old.
            let _ = fs::remove_file(self.file.with_extension(ending));
        }
    }
}

/// Removes what nobody has gone on with.
fn forget_old(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|about| about.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        if age.is_some_and(|age| age > LASTS) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_goes_on_where_it_was_and_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("vectors");
        assert!(Passing::open(state.path(), "few", WORTH - 1).is_none());
        let open = || Passing::open(state.path(), "many", WORTH).unwrap();
        let answer = Answer {
            text: "00".to_owned(),
            ..Answer::default()
        };
        open().put(3, &answer);
        let again = open();
        assert_eq!((again.get(3), again.get(4)), (Some(answer), None));
        again.forget();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        let old = dir.join("old.db");
        let long_ago = std::time::SystemTime::now() - LASTS - Duration::from_mins(1);
        let file = fs::File::create(&old).unwrap();
        file.set_modified(long_ago).unwrap();
        assert!(open().get(3).is_none());
        assert!(!old.exists());
    }
}
