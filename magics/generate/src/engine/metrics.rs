//! How things stand, for whoever watches.

use std::collections::VecDeque;
use std::time::Duration;

/// Steps whose times are kept.
const MAX_STEPS: usize = 256;

/// How things stand in an engine; totals count from its start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// Sequences that run.
    pub running: usize,
    /// Interactive requests that wait, preempted ones included.
    pub waiting_interactive: usize,
    /// Batch requests that wait, preempted ones included.
    pub waiting_batch: usize,
    /// Requests taken that have not run yet.
    pub queued: usize,
    /// Pages of the cache that sequences hold.
    pub pages_used: usize,
    /// Pages of the cache.
    pub pages_total: usize,
    /// Tokens of prompts computed, those computed again after a preemption included.
    pub prefilled_tokens: u64,
    /// Tokens drawn.
    pub decoded_tokens: u64,
    /// Tokens of prompts taken from the prefix cache.
    pub cached_tokens: u64,
    /// Tokens of inputs embedded.
    pub embedded_tokens: u64,
    /// Sequences that had to make way.
    pub preemptions: u64,
    /// Steps run.
    pub steps: u64,
    /// The last steps, oldest first.
    pub last_steps: VecDeque<StepTime>,
    /// Requests that have ended.
    pub outcomes: Outcomes,
}

/// One step's size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// Tokens computed.
    pub tokens: usize,
    /// Sequences that had a part.
    pub sequences: usize,
    /// Time within the model, grammars included.
    pub model: Duration,
    /// Time for drawing tokens and telling the readers.
    pub sampling: Duration,
}

/// Requests that have ended, by how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// By the model, a stop string or the grammar.
    pub stop: u64,
    /// By the token limit.
    pub length: u64,
    /// Because the reader went away.
    pub cancelled: u64,
    /// By an error.
    pub failed: u64,
}

impl Metrics {
    pub(super) fn new(pages_total: usize) -> Self {
        Self {
            pages_total,
            ..Self::default()
        }
    }

    pub(super) fn add_step(&mut self, step: StepTime) {
        self.steps += 1;
        if self.last_steps.len() == MAX_STEPS {
            self.last_steps.pop_front();
        }
        self.last_steps.push_back(step);
    }
}
