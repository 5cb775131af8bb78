//! Text of a stream: gathered into few messages, kept below what servers let through, ended where it is endless.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StreamName;
use crate::wire::Object;

/// How long text waits for more.
const GATHER: Duration = Duration::from_millis(50);
/// Bytes after which text waits no longer.
const PIECE: usize = 64 << 10;
/// Bytes that a browser's server lets through in a second, less a fifth: it drops what is above 1,000,000.
const BYTES_A_SECOND: f64 = 800_000.0;
/// Bytes that may come at once after a pause.
const AT_ONCE: f64 = 500_000.0;
/// Bytes of one cell that are shown; the rest goes into a file.
const SHOWN: usize = 4 << 20;
/// Bytes of its end that are shown all the same.
const TAIL: usize = 4 << 10;

/// Text that waits for more.
pub(super) struct Pending {
    pub(super) name: StreamName,
    pub(super) parent: Arc<Object>,
    pub(super) text: String,
    since: Instant,
}

impl Pending {
    pub(super) fn new(name: StreamName, parent: Arc<Object>, since: Instant) -> Pending {
        Pending {
            name,
            parent,
            text: String::new(),
            since,
        }
    }

    pub(super) fn goes_on(&self, name: StreamName, parent: &Arc<Object>) -> bool {
        self.name == name && Arc::ptr_eq(&self.parent, parent)
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= PIECE
    }

    pub(super) fn deadline(&self) -> Instant {
        self.since + GATHER
    }
}

/// Decides what of a cell's text is shown, and when.
pub(super) struct Pieces {
    /// Where files go, the first that can be written to.
    spill_dirs: Vec<PathBuf>,
    /// A file that was begun and that nobody has been told of.
    begun: Option<PathBuf>,
    /// The cell whose text came last.
    parent: Option<Arc<Object>>,
    /// Bytes of that cell that were shown.
    shown: usize,
    spill: Option<File>,
    /// The end of what went into the file, and how much that was.
    tail: String,
    spilled: usize,
    /// Bytes that may be sent at once.
    allowance: f64,
    counted: Instant,
}

impl Pieces {
    pub(super) fn new(spill_dirs: Vec<PathBuf>) -> Pieces {
        Pieces {
            spill_dirs,
            begun: None,
            parent: None,
            shown: 0,
            spill: None,
            tail: String::new(),
            spilled: 0,
            allowance: AT_ONCE,
            counted: Instant::now(),
        }
    }

    /// The part of `pending` to show; what is beyond the limit of a cell goes into a file.
    pub(super) fn admit(&mut self, pending: &Pending) -> Option<String> {
        if !self
            .parent
            .as_ref()
            .is_some_and(|parent| Arc::ptr_eq(parent, &pending.parent))
        {
            self.parent = Some(Arc::clone(&pending.parent));
            self.shown = 0;
            self.spill = None;
            self.tail.clear();
        }
        if let Some(spill) = &mut self.spill {
            // A full disk: the rest of the output is lost, the cell goes on.
            let _ = spill.write_all(pending.text.as_bytes());
            self.remember(&pending.text);
            return None;
        }
        let text = &pending.text;
        let room = SHOWN - self.shown.min(SHOWN);
        if text.len() <= room {
            self.shown += text.len();
            return Some(text.clone());
        }
        let (shown, rest) = text.split_at(text.floor_char_boundary(room));
        let remark = match self.open_spill(rest) {
            Ok(path) => format!(
                "\n[a cell shows {} MiB; its output goes on in `{}`]\n",
                SHOWN >> 20,
                path.display()
            ),
            Err(error) => format!(
                "\n[a cell shows {} MiB; the rest cannot be kept: {error}]\n",
                SHOWN >> 20
            ),
        };
        Some(format!("{shown}{remark}"))
    }

    fn open_spill(&mut self, text: &str) -> io::Result<PathBuf> {
        self.shown = SHOWN;
        let name = chrono::Local::now()
            .format("%Y-%m-%d-%H%M%S%.3f.txt")
            .to_string();
        let mut opened = Err(io::Error::other("there is no place for it"));
        for dir in &self.spill_dirs {
            let path = dir.join(&name);
            opened = std::fs::create_dir_all(dir)
                .and_then(|()| File::create(&path))
                .map(|file| (file, path));
            if opened.is_ok() {
                break;
            }
        }
        let (mut file, path) = opened?;
        file.write_all(text.as_bytes())?;
        self.begun = Some(path.clone());
        self.spill = Some(file);
        self.spilled = 0;
        self.remember(text);
        Ok(path)
    }

    fn remember(&mut self, text: &str) {
        self.spilled += text.len();
        let end = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
        self.tail.push_str(&text[end..]);
        let old = self
            .tail
            .ceil_char_boundary(self.tail.len().saturating_sub(TAIL));
        self.tail.drain(..old);
    }

    /// The end of what went into a file, once, for the cell with the header `parent`.
    pub(super) fn take_tail(&mut self, parent: &Arc<Object>) -> Option<String> {
        let is_its = self
            .parent
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, parent));
        if !is_its || self.tail.is_empty() {
            return None;
        }
        let tail = std::mem::take(&mut self.tail);
        let whole = tail
            .split_once('\n')
            .map_or(tail.as_str(), |(_, rest)| rest);
        let length = self.spilled as f64 / f64::from(1 << 20);
        Some(format!(
            "[{length:.1} MiB are in the file only; they end with:]\n{whole}"
        ))
    }

    /// A file that was begun since the last call.
    pub(super) fn take_begun(&mut self) -> Option<PathBuf> {
        self.begun.take()
    }

    /// How long `length` bytes have to wait.
    pub(super) fn wait(&mut self, length: usize, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.allowance = (self.allowance + passed * BYTES_A_SECOND).min(AT_ONCE) - length as f64;
        Duration::from_secs_f64((-self.allowance).max(0.0) / BYTES_A_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(parent: &Arc<Object>, text: String) -> Pending {
        Pending {
            text,
            ..Pending::new(StreamName::Stdout, Arc::clone(parent), Instant::now())
        }
    }

    #[test]
    fn endless_output_goes_on_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut pieces = Pieces::new(vec![
            PathBuf::from("/dev/null/no"),
            dir.path().join("output"),
        ]);
        let cell = Arc::new(Object::new());
        assert_eq!(pieces.admit(&pending(&cell, "a".to_owned())).unwrap(), "a");
        let shown = pieces.admit(&pending(&cell, "é".repeat(SHOWN))).unwrap();
        assert!(
            shown.len() < SHOWN + 300 && shown.contains("goes on in"),
            "{}",
            shown.len()
        );
        assert_eq!(pieces.admit(&pending(&cell, "end".to_owned())), None);
        let file = std::fs::read_dir(dir.path().join("output"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert!(
            std::fs::read_to_string(file.path())
                .unwrap()
                .ends_with("ééend")
        );
        assert!(pieces.take_tail(&Arc::new(Object::new())).is_none());
        let tail = pieces.take_tail(&cell).unwrap();
        assert!(
            tail.starts_with("[4.0 MiB are in the file only") && tail.ends_with("ééend"),
            "{tail}"
        );
        assert!(pieces.take_tail(&cell).is_none());
        let next = Arc::new(Object::new());
        assert_eq!(pieces.admit(&pending(&next, "b".to_owned())).unwrap(), "b");
    }

    #[test]
    fn output_stays_below_what_a_server_lets_through() {
        let mut pieces = Pieces::new(Vec::new());
        let mut now = pieces.counted;
        let begun = now;
        let mut sent = 0_u32;
        while sent < 8_000_000 {
            now += pieces.wait(64_000, now);
            sent += 64_000;
        }
        let seconds = (now - begun).as_secs_f64();
        assert!((9.3..9.5).contains(&seconds), "{seconds}");
    }
}
