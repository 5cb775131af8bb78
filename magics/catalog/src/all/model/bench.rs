//! `%model bench`: how quickly a model reads and writes here, alone and for several at once.

use std::time::Instant;

use clap::Args;
use mlk8s_llm::call::{Answer, Call as ModelCall, Kind, Message, Role};
use mlk8s_llm::{LlmError, Piece};

use super::{fact, facts};
use crate::call::Call;
use crate::error::MagicError;
use crate::models;
use crate::view::Table;

/// Runs of each measurement; the median counts.
const RUNS: usize = 3;
/// Seconds that one answer may take.
const TIMEOUT_S: u64 = 600;
/// Words of which prompts are made; numbers between them make each prompt another one.
const WORDS: &str = "the cluster has one node with a card and a disk for all models of the house";

/// Measure a model: how fast it reads, how fast it writes, alone and for many
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// The model: MODEL, MODEL@ENDPOINT; else the one that is asked when none is named
    name: Option<String>,
    /// Words of the long prompt, about as many tokens
    #[arg(long, value_name = "N", default_value = "256")]
    prompt: usize,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value = "48")]
    tokens: u32,
    /// Clients at once in the last measurement
    #[arg(long, value_name = "N", default_value = "8")]
    clients: usize,
}

impl Bench {
    pub(super) fn run(&self, call: &mut Call) -> Result<Table, MagicError> {
        let (endpoint, model) = call.session.models.find(self.name.as_deref())?;
        let title = format!("{model}@{}: measured", endpoint.name);
        let about = call.session.models.about("bench");
        let mut pattern = models::call(endpoint, &model, Vec::new(), about, TIMEOUT_S);
        pattern.kind = Kind::Completion;
        pattern.temperature = Some(0.0);
        let steps = 2 * RUNS + 1;
        let mut short = Vec::new();
        let mut long = Vec::new();
        for run in 0..RUNS {
            call.progress.report(2 * run, steps, "one client");
            short.push(self.one(&pattern, 1, run, call)?);
            call.progress.report(2 * run + 1, steps, "a long prompt");
            long.push(self.one(&pattern, self.prompt, run, call)?);
        }
        call.progress.report(2 * RUNS, steps, "many clients");
        let (written, seconds) = self.many(&pattern, call)?;
        let first = |answers: &[Answer]| median(answers.iter().map(|a| a.first.as_secs_f64()));
        let read = median(
            long.iter()
                .map(|answer| answer.usage.prompt as f64 / answer.first.as_secs_f64().max(1e-6)),
        );
        let wrote = median(short.iter().map(Answer::tokens_a_second));
        Ok(Table {
            title,
            columns: facts(),
            rows: vec![
                fact("writes, alone", format!("{wrote:.1} tokens a second")),
                fact(
                    &format!("writes, {} clients together", self.clients),
                    format!("{:.1} tokens a second", written as f64 / seconds.max(1e-6)),
                ),
                fact(
                    &format!(
                        "reads, {} tokens",
                        long.first().map_or(0, |a| a.usage.prompt)
                    ),
                    format!("{read:.0} tokens a second"),
                ),
                fact(
                    "first token, short prompt",
                    format!("{:.0} ms", first(&short) * 1e3),
                ),
                fact(
                    "first token, long prompt",
                    format!("{:.0} ms", first(&long) * 1e3),
                ),
            ],
            note: format!("medians of {RUNS}; each prompt is new, so nothing comes from a cache"),
        })
    }

    fn one(
        &self,
        pattern: &ModelCall,
        words: usize,
        run: usize,
        call: &mut Call,
    ) -> Result<Answer, MagicError> {
        let client = call.session.models.client()?;
        let wanted = self.wanted(pattern, words, run);
        let cancel = &call.cancel;
        Ok(client.ask(&wanted, &|| cancel.is_raised(), &|_: Piece<'_>| {})?)
    }

    /// Tokens that were written for all clients, and the seconds from the first question to the last answer.
    fn many(&self, pattern: &ModelCall, call: &mut Call) -> Result<(u64, f64), MagicError> {
        let client = call.session.models.client()?;
        let cancel = call.cancel.clone();
        let calls: Vec<ModelCall> = (0..self.clients)
            // As many clients have prompts of as many lengths.
            .map(|one| self.wanted(pattern, 8 + 4 * one, 100 + one))
            .collect();
        let begun = Instant::now();
        let mut written = 0;
        let mut failed: Option<LlmError> = None;
        client.ask_many(
            calls.into_iter().enumerate(),
            &|| cancel.is_raised(),
            &mut |_, answer| {
                match answer {
                    Ok(answer) => written += answer.usage.completion,
                    Err(error) => failed = Some(error),
                }
                failed.is_none()
            },
        );
        match failed {
            Some(error) => Err(error.into()),
            None => Ok((written, begun.elapsed().as_secs_f64())),
        }
    }

    fn wanted(&self, pattern: &ModelCall, words: usize, salt: usize) -> ModelCall {
        // No two runs ask the same, which a cache would answer.
        let mut text = format!("{salt} {} ", chrono::Utc::now().timestamp_micros());
        for word in WORDS.split(' ').cycle().take(words) {
            text.push_str(word);
            text.push(' ');
        }
        ModelCall {
            messages: vec![Message {
                role: Role::User,
                content: text,
            }],
            max_tokens: Some(self.tokens),
            ..pattern.clone()
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
