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

    /// Changes how long a step should take.
    pub(super) fn aim(&mut self, target: Duration) {
        if target != self.target {
            let ratio = target.as_secs_f64() / self.target.as_secs_f64().max(1e-6);
            self.target = target;
            self.set(self.tokens * ratio);
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
            self.set(self.tokens * ratio.clamp(0.5, 1.5));
        }
    }

    fn set(&mut self, tokens: f64) {
        self.tokens = tokens.clamp((PAGE as f64).min(self.most), self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_as_much_as_fits_its_time() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(100), 512);
        // A token takes a millisecond.
        for _ in 0..20 {
            let tokens = pace.tokens();
            pace.learn(tokens, ms(tokens as u64));
        }
        assert!((90..=100).contains(&pace.tokens()), "{}", pace.tokens());
        // At once, and not after some steps that are too long for whoever has come.
        pace.aim(ms(300));
        assert!((270..=300).contains(&pace.tokens()));
        pace.aim(ms(100));
        assert!((90..=100).contains(&pace.tokens()));
        pace.aim(ms(1));
        assert_eq!(pace.tokens(), PAGE);
        pace.aim(ms(60_000));
        assert_eq!(pace.tokens(), 512);
    }
}
