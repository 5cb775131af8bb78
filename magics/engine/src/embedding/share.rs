//! Shares work out among threads: consecutive texts up to a number of tokens, one share a thread at a time.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Embeddings;
use crate::compute::{Halt, Scratch};
use crate::error::EngineError;
use crate::watch::Watch;

/// Tokens that go through a model together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    /// With fewer the weights are read too often.
    least: usize,
    /// With more nothing gets faster.
    most: usize,
}

impl Portion {
    /// For a core: with more, the values between two products fall out of the cache.
    pub(super) const CORE: Self = Self {
        least: 96,
        most: 512,
    };

    /// For a GPU, which needs many to be busy, for vectors of `width` values: what they need there, a few hundred MiB, is
    /// the same for all models.
    pub(super) fn gpu(width: usize) -> Self {
        let tokens = ((6 << 20) / width.max(1)).clamp(4096, 1 << 15);
        Self {
            least: tokens,
            most: tokens,
        }
    }
}

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

impl From<Halt> for EngineError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Stopped => Self::Cancelled,
            Halt::Failed(what) => Self::Device { what },
        }
    }
}

/// Runs `work` over shares of items with the given sizes in tokens, each filling its own rows.
pub(super) fn out(
    sizes: impl ExactSizeIterator<Item = usize>,
    portion: Portion,
    n_dims: usize,
    (watch, what): (&dyn Watch, &str),
    work: impl Fn(Range<usize>, &mut [f32], &mut Space) -> Result<Counts, EngineError> + Sync,
) -> Result<Embeddings, EngineError> {
    let n_items = sizes.len();
    let mut values = vec![0.0; n_items * n_dims];
    let shares = with_rows(shares(sizes, portion), &mut values, n_dims);
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

/// Runs `work` over shares of items with the given sizes in tokens, one after the other, each filling its own rows, while
/// other threads `prepare` the next.
pub(super) fn in_turns<T: Send>(
    sizes: impl ExactSizeIterator<Item = usize>,
    portion: Portion,
    n_dims: usize,
    (watch, what): (&dyn Watch, &str),
    prepare: impl Fn(Range<usize>) -> Result<T, EngineError> + Sync,
    work: impl Fn(T, &mut [f32], &mut Space) -> Result<Counts, EngineError> + Sync,
) -> Result<Embeddings, EngineError> {
    let n_items = sizes.len();
    let mut values = vec![0.0; n_items * n_dims];
    let shares = with_rows(group(sizes, portion.most), &mut values, n_dims);
    let ranges: Vec<Range<usize>> = shares.iter().map(|(range, _)| range.clone()).collect();
    let prepared = |at: usize| ranges.get(at).cloned().map(&prepare).transpose();
    let mut space = Space::default();
    let mut counts = Counts::default();
    let mut next = prepared(0)?;
    for (at, (range, rows)) in shares.into_iter().enumerate() {
        if watch.cancelled() {
            return Err(EngineError::Cancelled);
        }
        let Some(ready) = next.take() else {
            break;
        };
        let (done, ahead) = rayon::join(|| work(ready, rows, &mut space), || prepared(at + 1));
        let done = done?;
        counts.n_tokens += done.n_tokens;
        counts.n_truncated += done.n_truncated;
        next = ahead?;
        watch.step(range.end, n_items, what);
    }
    Ok(Embeddings {
        n_dims,
        values,
        n_tokens: counts.n_tokens,
        n_truncated: counts.n_truncated,
    })
}

/// Consecutive sequences of at most a portion's tokens together, or a single longer one.
pub(super) fn batches<'a, 'b>(
    sequences: &'a [&'b [u32]],
    portion: Portion,
) -> Vec<&'a [&'b [u32]]> {
    let sizes = sequences.iter().map(|ids| ids.len());
    group(sizes, portion.most)
        .into_iter()
        .map(|range| &sequences[range])
        .collect()
}

/// Consecutive items for one thread at a time: few enough tokens that every thread gets some.
fn shares(sizes: impl Iterator<Item = usize>, portion: Portion) -> Vec<Range<usize>> {
    let sizes: Vec<usize> = sizes.collect();
    let fair = sizes.iter().sum::<usize>() / (4 * rayon::current_num_threads());
    group(sizes.into_iter(), fair.clamp(portion.least, portion.most))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unwatched;

    /// A watch that is asked to stop after some items.
    struct Until(usize, Mutex<usize>);

    impl Watch for Until {
        fn step(&self, done: usize, _total: usize, _what: &str) {
            *lock(&self.1) = done;
        }

        fn cancelled(&self) -> bool {
            *lock(&self.1) >= self.0
        }
    }

    fn turns(watch: &dyn Watch, bad: Option<usize>) -> Result<Embeddings, EngineError> {
        let portion = Portion { least: 4, most: 4 };
        let sizes = [3, 1, 2, 2, 9, 1, 1, 3].into_iter();
        let prepare = |range: Range<usize>| {
            if bad.is_some_and(|bad| range.contains(&bad)) {
                return Err(EngineError::Device {
                    what: "bad".to_owned(),
                });
            }
            Ok(range)
        };
        let work = |range: Range<usize>, rows: &mut [f32], _: &mut Space| {
            assert_eq!(rows.len(), 2 * range.len());
            for (row, number) in rows.chunks_mut(2).zip(range.clone()) {
                row.fill(number as f32);
            }
            Ok(Counts {
                n_tokens: range.len() as u64,
                n_truncated: 1,
            })
        };
        in_turns(sizes, portion, 2, (watch, "texts"), prepare, work)
    }

    #[test]
    fn turns_fill_their_own_rows() {
        let found = turns(&Unwatched, None).unwrap();
        let wanted: Vec<f32> = (0..16_u8).map(|at| f32::from(at / 2)).collect();
        assert_eq!(found.values, wanted);
        // Of 4, 4, 9, 2 and 3 tokens.
        assert_eq!((found.n_tokens, found.n_truncated), (8, 5));
        let stopped = turns(&Until(2, Mutex::default()), None);
        assert!(matches!(stopped, Err(EngineError::Cancelled)));
        let failed = turns(&Unwatched, Some(7));
        assert!(matches!(failed, Err(EngineError::Device { .. })));
    }
}
