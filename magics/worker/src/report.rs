//! What the worker tells the one who started it: lines of JSON on standard output, until the model is there.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::WorkerError;

/// Time between two lines about progress.
const EACH: Duration = Duration::from_millis(100);

/// The lines, and the file that gets the last one, too.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    ready_file: Option<PathBuf>,
}

impl Report {
    /// Lines on standard output; the last one goes into `ready_file`, too.
    pub(crate) fn new(ready_file: Option<&Path>) -> Report {
        Report {
            ready_file: ready_file.map(Path::to_owned),
        }
    }

    /// The model can be asked.
    pub(crate) fn ready(&self, ready: &Value) {
        self.last(&json!({ "ready": ready }));
    }

    /// The model cannot be asked.
    pub(crate) fn failed(&self, error: &WorkerError) {
        let (message, hint) = (error.to_string(), error.hint());
        self.last(&json!({ "failed": { "message": message, "hint": hint } }));
    }

    fn last(&self, last: &Value) {
        // The file comes first, so that it is there for whoever sees the line.
        if let Some(path) = &self.ready_file
            && let Err(error) = write_whole(path, &format!("{last}\n"))
        {
            notice(&format!("cannot write `{}`: {error}", path.display()));
        }
        line(last);
    }
}

/// Tells that the port is open; nothing but `/health` says much yet.
pub(crate) fn listening(host: &str, port: u16) {
    line(&json!({ "listening": { "host": host, "port": port, "pid": std::process::id() } }));
}

/// Tells something that a person should know.
pub(crate) fn notice(message: &str) {
    line(&json!({ "notice": { "message": message } }));
}

/// Progress of a load, which is told now and then, and at the end.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    told: Option<Instant>,
}

impl Progress {
    /// `done` of `total` bytes are loaded.
    pub(crate) fn step(&mut self, done: u64, total: u64) {
        if done < total && self.told.is_some_and(|told| told.elapsed() < EACH) {
            return;
        }
        self.told = Some(Instant::now());
        line(&json!({ "loading": { "done": done, "total": total } }));
    }
}

/// Writes a line. When nobody reads any more, there is nobody to tell it, so an error says nothing.
fn line(value: &Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// Writes a file that is never seen half written; a pipe is just written to.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() && !path.is_file() {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
