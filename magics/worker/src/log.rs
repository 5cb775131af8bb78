//! The request log: one JSON object a line for every request, without any of its texts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::call::Tokens;
use crate::error::WorkerError;

/// A file that every request leaves a line in.
pub(crate) struct Log {
    model: String,
    file: Mutex<File>,
}

/// What a line says.
pub(crate) struct Line<'a> {
    /// When the request came.
    pub(crate) at: SystemTime,
    /// Whom it is counted to.
    pub(crate) client: &'a str,
    /// Its class.
    pub(crate) class: &'static str,
    /// `chat/completions`, `completions` or `embeddings`.
    pub(crate) endpoint: &'static str,
    /// Its HTTP status; 499 when the client went away.
    pub(crate) status: u16,
    /// Whether the answer was written piece by piece.
    pub(crate) streamed: bool,
    /// Its tokens.
    pub(crate) tokens: Tokens,
    /// How long it waited for a slot.
    pub(crate) queued: Option<Duration>,
    /// How long until its first token.
    pub(crate) first: Option<Duration>,
    /// How long it took.
    pub(crate) total: Duration,
    /// Why the answer ended.
    pub(crate) finish: Option<&'static str>,
}

impl Log {
    /// Opens the log of the model `model` for more lines.
    pub(crate) fn open(path: &Path, model: &str) -> Result<Log, WorkerError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| WorkerError::File {
                path: path.to_owned(),
                source,
            })?;
        Ok(Log {
            model: model.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Adds a line.
    pub(crate) fn write(&self, line: &Line<'_>) -> io::Result<()> {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let at = line.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = json!({
            "at_ms": at.as_millis() as u64,
            "model": self.model,
            "client": line.client,
            "class": line.class,
            "endpoint": line.endpoint,
            "status": line.status,
            "stream": line.streamed,
            "prompt_tokens": line.tokens.prompt,
            "cached_tokens": line.tokens.cached,
            "completion_tokens": line.tokens.completion,
            "queued_ms": line.queued.map(milliseconds),
            "first_ms": line.first.map(milliseconds),
            "total_ms": milliseconds(line.total),
            "finish_reason": line.finish,
        })
        .to_string();
        text.push('\n');
        // One call writes the whole line, so that two processes may share the file.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes())
    }
}
