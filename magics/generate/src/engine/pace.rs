//! How much of a batch prompt a step takes, so that the step ends in time.

use std::time::Duration;

use crate::PAGE;

/// Follows the times of steps: less next time after one that took too long, more after one that was well in time.
#[derive(Debug)]
pub(super) struct Pace {
    target: Duration,
    tokens: f64,
    most: f64,
}

impl Pace {
    pub(super) fn new(target: Duration, most: usize) -> Self {
        Self {
            target,
            tokens: (2 * PAGE).min(most) as f64,
            most: most as f64,
        }
    }

    /// Tokens of batch prompts for the next step.
    pub(super) fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// Learns from a step that had `n_tokens` of batch prompts and took `time`.
    pub(super) fn learn(&mut self, n_tokens: usize, time: Duration) {
        if n_tokens == 0 {
            return;
        }
        let ratio = self.target.as_secs_f64() / time.as_secs_f64().max(1e-6);
        // A step that was not full says little about a full one, unless even it took too long.
        let was_full = n_tokens + PAGE > self.tokens as usize;
        if ratio < 1.0 || was_full {
            let least = (PAGE as f64).min(self.most);
            self.tokens = (self.tokens * ratio.clamp(0.5, 1.5)).clamp(least, self.most);
        }
    }
}
