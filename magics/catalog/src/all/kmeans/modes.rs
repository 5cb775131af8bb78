//! `%kmeans --metric matching`: answers grouped around the most frequent ones (k-modes).

use mlk8s_clustering::{Fit, ModesInit, ModesOptions, Options};

use super::{Distance, KMeans, On};
use crate::error::{ErrorKind, MagicError};
use crate::rows::{Points, Rows};

impl KMeans {
    /// Refuses what k-modes cannot do, before anything is computed.
    pub(super) fn check_modes(&self, rows: &Rows) -> Result<(), MagicError> {
        let is_start = matches!(self.init.as_str(), "cao" | "huang");
        if self.metric != Distance::Matching {
            if is_start {
                let message = format!("`--init {}` chooses answers, not numbers", self.init);
                return Err(MagicError::new(ErrorKind::Usage, message)
                    .with_hint("it belongs to `--metric matching`"));
            }
            return Ok(());
        }
        let is_plain = match &rows.points {
            Points::Codes(codes) => {
                let is_even = |factors: &[f32]| {
                    factors
                        .iter()
                        .all(|factor| (factor - 1.0).abs() < f32::EPSILON)
                };
                codes.is_plain() && codes.factors().is_none_or(is_even)
            }
            Points::Dense { .. } => false,
        };
        if !is_plain {
            let message = format!(
                "`--metric matching` counts answers that differ, and `{}` is not made of answers alone",
                self.source
            );
            return Err(MagicError::new(ErrorKind::Input, message).with_hint(
                "`%encode TABLE --method onehot --as answers` makes rows of answers; `--columns` leaves amounts out",
            ));
        }
        let wrong = [
            (self.on == On::Cuda, "--on cuda"),
            (self.batch.is_some(), "--batch"),
            (self.by_block, "--by-block"),
        ];
        if let Some((_, flag)) = wrong.iter().find(|(given, _)| *given) {
            let message = format!("`--metric matching` goes without `{flag}`");
            return Err(MagicError::new(ErrorKind::Usage, message)
                .with_hint("leave it out; k-modes looks at all rows, on the processor"));
        }
        if self.init != "auto" && !is_start {
            let message = format!("`--init {}` chooses numbers, not answers", self.init);
            return Err(MagicError::new(ErrorKind::Usage, message)
                .with_hint("`--metric matching` begins with `--init cao` or `--init huang`"));
        }
        Ok(())
    }

    /// The same choices, as k-modes takes them: without a word the start that draws nothing.
    pub(super) fn modes(&self, options: &Options) -> ModesOptions {
        ModesOptions {
            k: options.k,
            init: if self.init == "huang" {
                ModesInit::Huang
            } else {
                ModesInit::Cao
            },
            n_init: options.n_init,
            max_iter: options.max_iter,
            seed: options.seed,
        }
    }
}

/// How well the groups fit, in answers.
pub(super) fn told(fit: &Fit, rows: &Rows) -> String {
    let Points::Codes(codes) = &rows.points else {
        return String::new();
    };
    let n_answers = codes.questions() * fit.labels.len();
    format!(
        "{:.0} of {n_answers} answers differ from the centre of their group",
        fit.inertia
    )
}
