//! Vectors of many texts, some at a time.

use super::Client;
use crate::call::{Answer, Call, Kind, Message, Role};
use crate::error::LlmError;

/// Texts of one request.
const TEXTS: usize = 64;

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// Row by row, in the order of the texts.
    pub values: Vec<f32>,
    /// Numbers of a row.
    pub n_dims: usize,
    /// Tokens that the server counted.
    pub n_tokens: u64,
    /// US dollars that were paid.
    pub usd: f64,
    /// Requests that were answered from the cache.
    pub n_reused: usize,
}

impl Client {
    /// The vectors of `texts`, asked for as `pattern` says; `report` is told how many texts are done. What was answered
    /// is kept: the same texts cost nothing a second time.
    pub fn embed<T: AsRef<str>>(
        &self,
        pattern: &Call,
        texts: &[T],
        stop: &(dyn Fn() -> bool + Sync),
        report: &mut dyn FnMut(usize),
    ) -> Result<Embedded, LlmError> {
        let parts: Vec<&[T]> = texts.chunks(TEXTS).collect();
        let calls = parts.iter().enumerate().map(|(at, part)| {
            let mut call = pattern.clone();
            call.kind = Kind::Embedding;
            call.stream = false;
            call.reuse = true;
            let message = |text: &T| Message {
                role: Role::User,
                content: text.as_ref().to_owned(),
            };
            call.messages = part.iter().map(message).collect();
            (at, call)
        });
        let mut answers: Vec<Option<Answer>> = parts.iter().map(|_| None).collect();
        let (mut failure, mut done) = (None, 0);
        self.ask_many(calls, stop, &mut |at, answer| match answer {
            Ok(answer) => {
                done += parts[at].len();
                answers[at] = Some(answer);
                report(done);
                true
            }
            Err(error) => {
                failure.get_or_insert(error);
                false
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let mut out = Embedded::default();
        for (answer, part) in answers.into_iter().zip(parts) {
            out.take(&answer.ok_or(LlmError::Cancelled)?, part.len(), pattern)?;
        }
        Ok(out)
    }
}

impl Embedded {
    /// Adds the rows of `answer`, which must be `n`.
    fn take(&mut self, answer: &Answer, n: usize, pattern: &Call) -> Result<(), LlmError> {
        let garbled = |why: String| LlmError::Garbled {
            endpoint: pattern.endpoint.name.clone(),
            why,
        };
        let lines: Vec<&str> = answer.text.lines().collect();
        if lines.len() != n {
            return Err(garbled(format!("{} vectors for {n} texts", lines.len())));
        }
        for line in lines {
            let bytes = hex::decode(line).map_err(|error| garbled(error.to_string()))?;
            let row = bytes
                .chunks_exact(4)
                .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]));
            let dims = row.len();
            if self.n_dims == 0 {
                self.n_dims = dims;
            }
            if dims != self.n_dims || dims == 0 {
                return Err(garbled(format!(
                    "a vector of {dims} numbers among such of {}",
                    self.n_dims
                )));
            }
            self.values.extend(row);
        }
        self.n_tokens += answer.usage.prompt;
        self.usd += answer.usd.unwrap_or(0.0);
        self.n_reused += usize::from(answer.reused);
        Ok(())
    }
}
