//! Draws the next token of a sequence from its row of logits.

mod select;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use select::{Weights, exp, likeliest, maximum, nucleus, sum_exp};
use toktrie::SimpleVob;

use crate::{GenerateError, Refused, Sampling, TokenLogprob};

/// How many of the likeliest tokens are looked at first for `top_p` and `min_p`.
const FIRST_LOOK: usize = 128;

/// A token, and what the model thought of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) token: u32,
    pub(crate) logprob: Option<TokenLogprob>,
}

/// One sequence's way of drawing: its settings, its generator and what it has said so far.
///
/// Nothing in it depends on other sequences, so the same seed gives the same text alone or in company.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    rng: fastrand::Rng,
    /// How often each token was generated.
    said: HashMap<u32, u32>,
    /// Tokens of the prompt; kept only for the repetition penalty.
    prompt: HashSet<u32>,
}

/// Says what is wrong with `sampling`, if anything.
pub(crate) fn check(sampling: &Sampling, vocabulary: usize) -> Result<(), Refused> {
    let within = |value: f32, low: f32, high: f32| (low..=high).contains(&value);
    let refuse = |setting, range| Err(Refused::BadSampling { setting, range });
    if !within(sampling.temperature, 0.0, 100.0) {
        return refuse("temperature", "in [0, 100]");
    }
    if !within(sampling.top_p, 0.0, 1.0) || sampling.top_p == 0.0 {
        return refuse("top_p", "in (0, 1]");
    }
    if !within(sampling.min_p, 0.0, 1.0) {
        return refuse("min_p", "in [0, 1]");
    }
    if sampling.top_k == Some(0) {
        return refuse("top_k", "at least 1");
    }
    if !within(sampling.repetition_penalty, 1e-3, 1e3) {
        return refuse("repetition_penalty", "in [0.001, 1000]");
    }
    if !within(sampling.presence_penalty, -100.0, 100.0) {
        return refuse("presence_penalty", "in [-100, 100]");
    }
    if !within(sampling.frequency_penalty, -100.0, 100.0) {
        return refuse("frequency_penalty", "in [-100, 100]");
    }
    for &(token, bias) in &sampling.logit_bias {
        if token as usize >= vocabulary {
            return Err(Refused::UnknownToken { token, vocabulary });
        }
        if bias.is_nan() {
            return refuse("logit_bias", "numbers");
        }
    }
    Ok(())
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let rng = match sampling.seed {
            Some(seed) => fastrand::Rng::with_seed(seed),
            None => fastrand::Rng::new(),
        };
        let repeats = is_set(sampling.repetition_penalty, 1.0);
        Self {
            prompt: if repeats {
                prompt.iter().copied().collect()
            } else {
                HashSet::new()
            },
            said: HashMap::new(),
            sampling,
            rng,
        }
    }

    /// Draws a token from one row of logits, which is changed on the way. `allowed` is what a grammar allows; with
    /// `n_top`, the probabilities of the unmodified row are reported for the token and that many of the likeliest.
    /// O(vocabulary): nothing is sorted but a few candidates.
    pub(crate) fn draw(
        &mut self,
        logits: &mut [f32],
        allowed: Option<&SimpleVob>,
        n_top: Option<usize>,
    ) -> Result<Drawn, GenerateError> {
        let max = maximum(logits);
        if !max.is_finite() {
            return Err(GenerateError::Logits {
                reason: format!("the largest of {} is {max}", logits.len()),
            });
        }
        let report = n_top.map(|n_top| Report::new(logits, max, n_top));
        let raw = report.is_some().then(|| logits.to_vec());
        self.adjust(logits);
        if let Some(allowed) = allowed {
            mask(logits, allowed);
        }
        let token = self
            .choose(logits)
            .ok_or_else(|| GenerateError::Constraint {
                reason: "no token is allowed".into(),
            })?;
        *self.said.entry(token).or_default() += 1;
        let logprob = report
            .zip(raw)
            .map(|(report, raw)| report.finish(raw[token as usize]));
        Ok(Drawn { token, logprob })
    }

    /// Penalties and biases, at the tokens that they concern only.
    fn adjust(&self, logits: &mut [f32]) {
        let sampling = &self.sampling;
        if is_set(sampling.repetition_penalty, 1.0) {
            let seen = self.prompt.iter().chain(
                self.said
                    .keys()
                    .filter(|&token| !self.prompt.contains(token)),
            );
            for &token in seen {
                if let Some(logit) = logits.get_mut(token as usize) {
                    if *logit > 0.0 {
                        *logit /= sampling.repetition_penalty;
                    } else {
                        *logit *= sampling.repetition_penalty;
                    }
                }
            }
        }
        if is_set(sampling.presence_penalty, 0.0) || is_set(sampling.frequency_penalty, 0.0) {
            for (&token, &count) in &self.said {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit -= sampling.presence_penalty + sampling.frequency_penalty * count as f32;
                }
            }
        }
        for &(token, bias) in &sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }

    fn choose(&mut self, logits: &[f32]) -> Option<u32> {
        let max = maximum(logits);
        if max == f32::NEG_INFINITY || max.is_nan() {
            return None;
        }
        // A bias of +∞ makes its tokens the only ones.
        if self.sampling.temperature == 0.0 || max == f32::INFINITY {
            return logits
                .iter()
                .position(|&logit| logit >= max)
                .map(|token| token as u32);
        }
        let scale = 1.0 / self.sampling.temperature;
        let point = self.rng.f64();
        let cut = self.sampling.top_k.is_some_and(|k| k < logits.len())
            || self.sampling.top_p < 1.0
            || self.sampling.min_p > 0.0;
        if !cut {
            return Some(Weights::new(logits, max, scale).pick(point));
        }
        Some(pick(&self.candidates(logits, max, scale), point))
    }

    /// The tokens that `top_k`, `top_p` and `min_p` leave, with their weights. Mostly a few of the likeliest are enough to
    /// know; where the distribution is flat, a pass over all of them sorts out the rest.
    fn candidates(&self, logits: &[f32], max: f32, scale: f32) -> Vec<(u32, f32)> {
        let (least, top_p) = (self.sampling.min_p, f64::from(self.sampling.top_p));
        let bounded = self.sampling.top_k.filter(|&k| k < logits.len());
        let mut found = likeliest(logits, bounded.unwrap_or(FIRST_LOOK));
        for (_, logit) in &mut found {
            *logit = exp((*logit - max) * scale);
        }
        let all = bounded.is_some() || found.len() == logits.len();
        let target = if top_p >= 1.0 {
            f64::INFINITY
        } else if all {
            // Within `top_k` the probabilities are those among its tokens.
            top_p
                * found
                    .iter()
                    .map(|&(_, weight)| f64::from(weight))
                    .sum::<f64>()
        } else {
            top_p * sum_exp(logits, max, scale)
        };
        let by_sum = reaches(&found, target);
        let by_min = found
            .iter()
            .position(|&(_, weight)| weight < least || weight == 0.0);
        if !all && by_sum.is_none() && by_min.is_none() {
            return nucleus(logits, max, scale, target, least);
        }
        let end = by_sum
            .unwrap_or(found.len())
            .min(by_min.unwrap_or(found.len()));
        found.truncate(end.max(1));
        found
    }
}

/// How many of `found` it takes to reach the weight `target`.
fn reaches(found: &[(u32, f32)], target: f64) -> Option<usize> {
    let mut sum = 0.0;
    found
        .iter()
        .position(|&(_, weight)| {
            sum += f64::from(weight);
            sum >= target
        })
        .map(|place| place + 1)
}

/// The one of `found` at `point` (in [0, 1)) of their total weight.
fn pick(found: &[(u32, f32)], point: f64) -> u32 {
    let total: f64 = found.iter().map(|&(_, weight)| f64::from(weight)).sum();
    let mut left = point * total;
    for &(token, weight) in found {
        left -= f64::from(weight);
        if left < 0.0 {
            return token;
        }
    }
    found.first().map_or(0, |&(token, _)| token)
}

/// Makes all tokens impossible that are not allowed.
fn mask(logits: &mut [f32], allowed: &SimpleVob) {
    let words = allowed.as_slice();
    for (place, block) in logits.chunks_mut(32).enumerate() {
        let word = words.get(place).copied().unwrap_or(0);
        if word == u32::MAX {
            continue;
        }
        for (bit, logit) in block.iter_mut().enumerate() {
            if word >> bit & 1 == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

#[expect(
    clippy::float_cmp,
    reason = "a setting is exactly its neutral value or it is meant"
)]
fn is_set(value: f32, neutral: f32) -> bool {
    value != neutral
}

/// Probabilities of the unmodified row.
struct Report {
    log_total: f64,
    top: Vec<(u32, f32)>,
}

impl Report {
    fn new(logits: &[f32], max: f32, n_top: usize) -> Self {
        let log_total = f64::from(max) + sum_exp(logits, max, 1.0).ln();
        let mut top = likeliest(logits, n_top.min(logits.len()));
        for (_, logit) in &mut top {
            *logit = (f64::from(*logit) - log_total) as f32;
        }
        Self { log_total, top }
    }

    fn finish(self, logit: f32) -> TokenLogprob {
        TokenLogprob {
            logprob: (f64::from(logit) - self.log_total) as f32,
            top: self.top,
        }
    }
}
