//! Shares work out among threads: consecutive texts up to a number of tokens, one share a thread at a time.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Embeddings;
use crate::compute::{Scratch, Stopped};
use crate::error::EngineError;
use crate::watch::Watch;

/// Tokens of one batch; more makes products no faster, and the values between them fall out of the cache.
const MOST_TOKENS: usize = 512;
/// A batch smaller than this reads the weights too often.
const LEAST_TOKENS: usize = 96;

/// Room for one batch, used again for the next.
#[derive(Default)]
pub(super) struct Space {
    /// Vectors of all tokens of the batch.
    pub(super) x: Vec<f32>,
    /// What the layers need.
    pub(super) scratch: Scratch,
    /// Pixels of all images of the batch.
    pub(super) patches: Vec<f32>,
}

/// What one share adds to the totals.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) n_tokens: u64,
    pub(super) n_truncated: usize,
}

impl From<Stopped> for EngineError {
    fn from(_: Stopped) -> Self {
        Self::Cancelled
    }
}

/// Runs `work` over shares of items with the given sizes in tokens, each filling its own rows.
pub(super) fn out(
    sizes: impl ExactSizeIterator<Item = usize>,
    n_dims: usize,
    (watch, what): (&dyn Watch, &str),
    work: impl Fn(Range<usize>, &mut [f32], &mut Space) -> Result<Counts, EngineError> + Sync,
) -> Result<Embeddings, EngineError> {
    let n_items = sizes.len();
    let mut values = vec![0.0; n_items * n_dims];
    let shares = with_rows(shares(sizes), &mut values, n_dims);
    // As many spaces come to be as threads work at a time.
    let spaces: Mutex<Vec<Space>> = Mutex::default();
    let done = Mutex::new(0);
    let counts = shares
        .into_par_iter()
        .map(|(range, rows)| {
            if watch.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let mut space = lock(&spaces).pop().unwrap_or_default();
            let n = range.len();
            let counts = work(range, rows, &mut space)?;
            lock(&spaces).push(space);
            // Reported under the lock, so that nobody sees the count fall.
            let mut done = lock(&done);
            *done += n;
            watch.step(*done, n_items, what);
            Ok(counts)
        })
        .collect::<Result<Vec<Counts>, _>>()?;
    Ok(Embeddings {
        n_dims,
        values,
        n_tokens: counts.iter().map(|one| one.n_tokens).sum(),
        n_truncated: counts.iter().map(|one| one.n_truncated).sum(),
    })
}

/// Consecutive sequences of [`MOST_TOKENS`] together, or a single longer one.
pub(super) fn batches<'a, 'b>(sequences: &'a [&'b [u32]]) -> Vec<&'a [&'b [u32]]> {
    let sizes = sequences.iter().map(|ids| ids.len());
    group(sizes, MOST_TOKENS)
        .into_iter()
        .map(|range| &sequences[range])
        .collect()
}

/// Consecutive items for one thread at a time: few enough tokens that every thread gets some.
fn shares(sizes: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let sizes: Vec<usize> = sizes.collect();
    let fair = sizes.iter().sum::<usize>() / (4 * rayon::current_num_threads());
    group(sizes.into_iter(), fair.clamp(LEAST_TOKENS, MOST_TOKENS))
}

fn group(sizes: impl Iterator<Item = usize>, most: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut first, mut end, mut sum) = (0, 0, 0);
    for size in sizes {
        if end > first && sum + size > most {
            groups.push(first..end);
            (first, sum) = (end, 0);
        }
        sum += size;
        end += 1;
    }
    if end > first {
        groups.push(first..end);
    }
    groups
}

fn with_rows(
    shares: Vec<Range<usize>>,
    values: &mut [f32],
    n_dims: usize,
) -> Vec<(Range<usize>, &mut [f32])> {
    let mut rest = values;
    let mut all = Vec::with_capacity(shares.len());
    for range in shares {
        let (rows, after) = rest.split_at_mut(range.len() * n_dims);
        all.push((range, rows));
        rest = after;
    }
    all
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
