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
    spill_dir: PathBuf,
    /// The cell whose text came last.
    parent: Option<Arc<Object>>,
    /// Bytes of that cell that were shown.
    shown: usize,
    spill: Option<File>,
    /// Bytes that may be sent at once.
    allowance: f64,
    counted: Instant,
}

impl Pieces {
    pub(super) fn new(spill_dir: PathBuf) -> Pieces {
        Pieces {
            spill_dir,
            parent: None,
            shown: 0,
            spill: None,
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
        }
        if let Some(spill) = &mut self.spill {
            // A full disk: the rest of the output is lost, the cell goes on.
            let _ = spill.write_all(pending.text.as_bytes());
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
        std::fs::create_dir_all(&self.spill_dir)?;
        let name = chrono::Local::now()
            .format("%Y-%m-%d-%H%M%S%.3f.txt")
            .to_string();
        let path = self.spill_dir.join(name);
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        self.spill = Some(file);
        Ok(path)
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
        let mut pieces = Pieces::new(dir.path().join("output"));
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
        let next = Arc::new(Object::new());
        assert_eq!(pieces.admit(&pending(&next, "b".to_owned())).unwrap(), "b");
    }

    #[test]
    fn output_stays_below_what_a_server_lets_through() {
        let mut pieces = Pieces::new(PathBuf::new());
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
