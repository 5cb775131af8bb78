//! How far a download is, told not too often.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Progress;

/// How often progress is told.
const OFTEN: Duration = Duration::from_millis(100);

/// Bytes that came, told not too often.
pub(super) struct Tally<'a> {
    progress: &'a dyn Fn(Progress<'_>),
    done: Cell<u64>,
    total: Cell<u64>,
    /// When something was told last, and how much of all was there.
    told: Cell<Option<(Instant, u64)>>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(progress: &'a dyn Fn(Progress<'_>)) -> Self {
        Self {
            progress,
            done: Cell::new(0),
            total: Cell::new(0),
            told: Cell::new(None),
        }
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.set(self.total.get() + bytes);
    }

    pub(super) fn finished(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
    }

    pub(super) fn came(&self, file: &str, done: u64, total: u64) {
        let overall_done = self.done.get() + done;
        if let Some((time, before)) = self.told.get()
            && (overall_done == before || (done < total && time.elapsed() < OFTEN))
        {
            return;
        }
        self.told.set(Some((Instant::now(), overall_done)));
        (self.progress)(Progress {
            file,
            done,
            total,
            overall_done,
            overall_total: self.total.get().max(overall_done),
        });
    }
}
