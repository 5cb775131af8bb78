//! How often one thing is tried, and how long is waited in between.

use std::time::{Duration, Instant};

use reqwest::Url;

use super::{FIRST, Failure, Web, origin};
use crate::error::ModelsError;
use crate::places::Patience;

/// Attempts to make that one, if they fail quickly.
const FIRST_ATTEMPTS: usize = 2;
/// The longest pause that we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Tries {
    what: String,
    server: String,
    patience: Patience,
    failed: usize,
    /// They begin before any server has answered.
    is_first: bool,
    begun: Instant,
}

impl Tries {
    pub(crate) fn new(web: &Web<'_>, server: &Url, what: &str) -> Self {
        Self {
            what: what.to_owned(),
            server: origin(server),
            patience: web.patience,
            failed: 0,
            is_first: !web.is_reached.get(),
            begun: Instant::now(),
        }
    }

    /// Forgets the failures, since something has come.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next attempt; the error when there is to be none.
    pub(crate) fn again(&mut self, failure: Failure) -> Result<Duration, ModelsError> {
        let (why, wait, is_unreached) = match failure {
            Failure::Passing {
                why,
                wait,
                is_unreached,
            } => (why, wait, is_unreached),
            Failure::Final(error) => return Err(error),
        };
        self.failed += 1;
        let is_last = self.failed >= self.patience.attempts;
        let is_enough = self.failed >= FIRST_ATTEMPTS || self.begun.elapsed() >= FIRST / 2;
        let is_enough = is_last || (self.patience.is_watched && is_enough);
        if self.is_first && is_unreached && is_enough {
            return Err(ModelsError::NoConnection {
                server: self.server.clone(),
                why,
            });
        }
        if is_last || wait.is_some_and(|wait| wait > self.patience.longest) {
            return Err(ModelsError::Unreachable {
                what: self.what.clone(),
                server: self.server.clone(),
                attempts: self.failed,
                why,
            });
        }
        let doubled = self
            .patience
            .pause
            .saturating_mul(1 << (self.failed - 1).min(16));
        // Clients that were thrown out together should not come back together.
        let ours = doubled
            .min(LONGEST_PAUSE)
            .mul_f64(0.75 + 0.5 * fastrand::f64());
        Ok(wait.unwrap_or(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let mut tries = Tries {
            what: "x".to_owned(),
            server: "s".to_owned(),
            patience: Patience {
                attempts: 3,
                ..Patience::default()
            },
            failed: 0,
            is_first: false,
            begun: Instant::now(),
        };
        let failure = || Failure::passing("broken");
        assert!(tries.again(failure()).unwrap() < Duration::from_secs(1));
        assert!(tries.again(failure()).unwrap() >= Duration::from_millis(750));
        assert!(matches!(
            tries.again(failure()),
            Err(ModelsError::Unreachable { attempts: 3, .. })
        ));
        tries.progressed();
        let long = Failure::Passing {
            why: "full".to_owned(),
            wait: Some(Duration::from_hours(1)),
            is_unreached: false,
        };
        assert!(tries.again(long).is_err());
    }

    #[test]
    fn the_first_connection_is_soon_given_up_only_where_a_person_waits() {
        for (is_watched, is_first, wanted) in [(true, true, 2), (false, true, 6), (true, false, 6)]
        {
            let patience = Patience {
                is_watched,
                ..Patience::default()
            };
            let mut tries = Tries {
                what: "x".to_owned(),
                server: "s".to_owned(),
                patience,
                failed: 0,
                is_first,
                begun: Instant::now(),
            };
            let mut attempts = 0;
            let error = loop {
                attempts += 1;
                let unreached = Failure::Passing {
                    why: "refused".to_owned(),
                    wait: None,
                    is_unreached: true,
                };
                if let Err(error) = tries.again(unreached) {
                    break error;
                }
            };
            assert_eq!(attempts, wanted);
            let is_told = matches!(error, ModelsError::NoConnection { .. });
            assert_eq!(is_told, is_first, "{error}");
        }
    }
}
