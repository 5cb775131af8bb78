//! What an engine may use.

use std::time::Duration;

use crate::{GenerateError, PAGE, Shape};

/// What an engine may use, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Sequences that run at once.
    pub max_sequences: usize,
    /// How many of these slots, and what share of the cache, batch requests leave to interactive ones.
    pub reserved_interactive: usize,
    /// Requests that may wait.
    pub max_queued: usize,
    /// Tokens of a step at most; raised to `max_sequences` if that is more.
    pub step_tokens: usize,
    /// Memory for keys and values, in bytes.
    pub cache_bytes: u64,
    /// Whether pages of ended sequences are kept for others that begin the same.
    pub prefix_cache: bool,
    /// How long batch requests may stand still because of interactive ones.
    pub ageing: Duration,
    /// How long a step with batch prompts should take at most: a person who comes meanwhile waits for its end. Where nobody
    /// has come for a minute, it is three times as long, since long chunks of prompts are read faster.
    pub step_time: Duration,
    /// Threads for sampling and grammars; `None` takes one for each processor.
    pub threads: Option<usize>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_sequences: 16,
            reserved_interactive: 2,
            max_queued: 16_384,
            step_tokens: 512,
            cache_bytes: 1 << 30,
            prefix_cache: true,
            ageing: Duration::from_secs(10),
            step_time: Duration::from_millis(90),
            threads: None,
        }
    }
}

impl EngineSettings {
    /// The settings with impossible values made possible.
    pub(super) fn checked(mut self) -> Self {
        self.max_sequences = self.max_sequences.max(1);
        self.reserved_interactive = self.reserved_interactive.min(self.max_sequences - 1);
        self.max_queued = self.max_queued.max(1);
        self.step_tokens = self.step_tokens.max(self.max_sequences).max(PAGE);
        self
    }

    /// Pages that fit the memory, and no more than could ever be of use.
    pub(super) fn n_pages(&self, shape: &Shape) -> Result<usize, GenerateError> {
        let page_bytes = (shape.bytes_per_token * PAGE).max(1) as u64;
        let fitting = usize::try_from(self.cache_bytes / page_bytes).unwrap_or(usize::MAX);
        let useful = 4 * self.max_sequences * shape.context.div_ceil(PAGE);
        let n_pages = fitting.min(useful).min(u32::MAX as usize);
        if n_pages < self.max_sequences {
            return Err(GenerateError::CacheTooSmall {
                bytes: self.cache_bytes,
                pages: fitting,
                needed: self.max_sequences,
            });
        }
        Ok(n_pages)
    }

    /// The share of `n_pages` that batch sequences leave alone.
    pub(super) fn reserved_pages(&self, n_pages: usize) -> usize {
        (n_pages * self.reserved_interactive / self.max_sequences).min(n_pages / 4)
    }
}
