//! One pass over all rows: in blocks, by all threads, with a look at the user between short waves.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::watch::Watch;

/// A wave should be at least this long, to be worth its end.
const SHORT: Duration = Duration::from_millis(20);
/// A wave should be at most this long, for the user waits for its end.
const LONG: Duration = Duration::from_millis(60);

/// Rows that follow each other, which one thread at a time goes through in order; what it finds is in `state`.
#[derive(Debug)]
pub(super) struct Part<S> {
    rows: Range<usize>,
    /// What was found in the rows so far.
    pub(super) state: S,
}

/// Splits `n_rows` into `count` parts of whole blocks or fewer.
pub(super) fn split(n_rows: usize, block: usize, count: usize) -> Vec<Range<usize>> {
    let blocks = n_rows.div_ceil(block);
    let count = count.clamp(1, blocks.max(1));
    (0..count)
        .map(|part| {
            part * blocks / count * block..((part + 1) * blocks / count * block).min(n_rows)
        })
        .collect()
}

/// Pairs ranges of rows with states.
pub(super) fn parts<S>(
    ranges: &[Range<usize>],
    states: impl IntoIterator<Item = S>,
) -> Vec<Part<S>> {
    let pairs = ranges.iter().cloned().zip(states);
    pairs.map(|(rows, state)| Part { rows, state }).collect()
}

/// How many blocks of each part a wave takes; it affects no result.
#[derive(Debug)]
pub(super) struct Pace(AtomicUsize);

impl Pace {
    /// Slow, at first.
    pub(super) fn new() -> Pace {
        Pace(AtomicUsize::new(1))
    }

    /// Does `work` on each block of each part; `false` when the user stopped it.
    pub(super) fn sweep<S: Send>(
        &self,
        parts: &mut [Part<S>],
        block: usize,
        watch: &dyn Watch,
        work: impl Fn(&mut S, Range<usize>) + Sync,
    ) -> bool {
        loop {
            if watch.stopped() {
                return false;
            }
            let blocks = self.0.load(Ordering::Relaxed);
            let began = Instant::now();
            parts.par_iter_mut().for_each(|part| {
                for _ in 0..blocks {
                    let rows = part.rows.start..(part.rows.start + block).min(part.rows.end);
                    part.rows.start = rows.end;
                    if !rows.is_empty() {
                        work(&mut part.state, rows);
                    }
                }
            });
            let took = began.elapsed();
            if parts.iter().all(|part| part.rows.is_empty()) {
                return true;
            }
            if took < SHORT {
                self.0.store(blocks * 2, Ordering::Relaxed);
            } else if took > LONG {
                self.0.store((blocks / 2).max(1), Ordering::Relaxed);
            }
        }
    }
}
