//! How many messages a cell may send: a browser's server drops what is above 1,000 a second.

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

/// Messages a second, in the long run.
const RATE: f64 = 400.0;
/// Messages that may come at once after a pause.
const BURST: f64 = 400.0;

/// Lets messages pass, and has whoever sends too many wait.
#[derive(Debug)]
pub(crate) struct Pace {
    allowance: f64,
    counted: Instant,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            allowance: BURST,
            counted: Instant::now(),
        }
    }
}

impl Pace {
    /// Waits until one more message may go.
    pub(crate) fn wait(&mut self) {
        if let Some(time) = self.next(Instant::now()) {
            let (_keep, never) = bounded::<()>(0);
            let _ = never.recv_timeout(time);
        }
    }

    /// Counts one more message, and says how long it is to wait.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.allowance = (self.allowance + passed * RATE).min(BURST) - 1.0;
        self.counted = now;
        (self.allowance < 0.0).then(|| Duration::from_secs_f64(-self.allowance / RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_waits() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let begun = now;
        for _ in 0..400 {
            assert_eq!(pace.next(now), None);
        }
        for _ in 0..800 {
            now += pace.next(now).unwrap_or_default();
        }
        let seconds = (now - begun).as_secs_f64();
        assert!((1.9..2.1).contains(&seconds), "{seconds}");
    }
}
