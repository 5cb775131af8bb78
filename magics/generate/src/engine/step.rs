//! One step: the model computes while grammars say what may come, then every sequence draws its token.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::lock;
use super::metrics::StepTime;
use super::sequence::Sequence;
use super::serve::Server;
use crate::sample::Drawn;
use crate::schedule::{Chosen, Plan};
use crate::{Batch, Class, GenerateError, Part};

/// Plans without any work in a row after which something has to give way.
const MAX_STUCK: usize = 32;

/// Logits of a step for which it is worth while to wake other threads.
const MIN_SHARED: usize = 100_000;

/// What the model gave in a step: a row of logits for each part that draws, in order, without those that failed.
struct Output {
    logits: Vec<f32>,
    /// Why a part failed, part by part; empty if none did.
    errors: Vec<Option<GenerateError>>,
}

/// A sequence with its row of logits, if it draws, or with the error that it had.
type Job<'a> = (
    &'a mut Sequence,
    Result<Option<&'a mut [f32]>, GenerateError>,
);

/// What became of one sequence in a step: nothing yet (its prompt isn't through), a token, or an error.
type Outcome = Result<Option<Drawn>, GenerateError>;

impl Server {
    /// Runs one step, if anything is to be done.
    pub(super) fn step(&mut self) {
        if self.scheduler.is_idle() {
            return;
        }
        self.pace.aim(self.step_time());
        let plan = self.scheduler.plan(self.now(), self.pace.tokens());
        self.note_started(&plan);
        if plan.chosen.is_empty() {
            self.give_way();
            return;
        }
        self.n_stuck = 0;
        for &chosen in &plan.chosen {
            if let Some(sequence) = self.sequences.remove(&chosen.id) {
                self.current.push((chosen, sequence));
            }
        }
        let began = Instant::now();
        let mut output = match self.compute(&plan.batch) {
            Ok(logits) => Output {
                logits,
                errors: Vec::new(),
            },
            Err(error @ GenerateError::OutOfMemory { .. }) => {
                self.fail_youngest(&error);
                return;
            }
            Err(error) => self.compute_apart(&plan.batch, &error),
        };
        let model = began.elapsed();
        self.learn(&plan, model);
        let began = Instant::now();
        let outcomes = self.draw(&mut output);
        self.model.recycle(output.logits);
        self.deliver(outcomes);
        lock(&self.shared.metrics).add_step(StepTime {
            tokens: plan.batch.tokens.len(),
            sequences: plan.chosen.len(),
            model,
            sampling: began.elapsed(),
        });
    }

    fn note_started(&mut self, plan: &Plan) {
        for id in &plan.admitted {
            if let Some(sequence) = self.sequences.get_mut(id)
                && sequence.start()
            {
                self.shared.n_queued.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Runs the model on `batch` and, beside it, the grammars of the sequences that draw; gives the rows of logits.
    fn compute(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        let (model, current) = (&mut self.model, &mut self.current);
        let logits = self.pool.in_place_scope(|scope| {
            for (chosen, sequence) in current.iter_mut() {
                if let Some(guide) = &mut sequence.guide
                    && chosen.samples
                {
                    scope.spawn(|_| guide.prepare());
                }
            }
            model.forward(batch)
        })?;
        self.check(batch, &logits)?;
        Ok(logits)
    }

    fn check(&self, batch: &Batch, logits: &[f32]) -> Result<(), GenerateError> {
        let (n_rows, width) = (batch.rows.len(), self.vocabulary);
        if logits.len() == n_rows * width {
            return Ok(());
        }
        Err(GenerateError::Logits {
            reason: format!("{} numbers for {n_rows} rows of {width}", logits.len()),
        })
    }

    /// After a step that failed, runs each part of it alone, so that only those fail which are to blame.
    fn compute_apart(&mut self, batch: &Batch, error: &GenerateError) -> Output {
        let mut output = Output {
            logits: Vec::new(),
            errors: Vec::new(),
        };
        for (part, (chosen, _)) in batch.parts.iter().zip(&self.current) {
            let rows = if chosen.samples {
                vec![part.len - 1]
            } else {
                Vec::new()
            };
            let single = Batch {
                tokens: batch.tokens[part.start..part.start + part.len].to_vec(),
                parts: vec![Part {
                    start: 0,
                    ..part.clone()
                }],
                rows,
            };
            let logits = if batch.parts.len() == 1 {
                Err(error.clone())
            } else {
                self.model.forward(&single)
            };
            match logits.and_then(|logits| self.check(&single, &logits).map(|()| logits)) {
                Ok(logits) => {
                    output.logits.extend(logits);
                    output.errors.push(None);
                }
                Err(error) => output.errors.push(Some(error)),
            }
        }
        output
    }

    /// Draws a token for every sequence whose prompt is through, several at a time.
    fn draw(&mut self, output: &mut Output) -> Vec<Outcome> {
        // Entries beyond the tokenizer's are padding that no text has.
        let width = self.vocabulary.min(self.text.n_tokens());
        let mut rows = output.logits.chunks_exact_mut(self.vocabulary);
        let mut errors = std::mem::take(&mut output.errors).into_iter();
        let mut jobs: Vec<Job<'_>> = self
            .current
            .iter_mut()
            .map(|(chosen, sequence)| {
                let row = match errors.next().flatten() {
                    Some(error) => Err(error),
                    None if chosen.samples => Ok(rows.next().map(|row| &mut row[..width])),
                    None => Ok(None),
                };
                (&mut **sequence, row)
            })
            .collect();
        let draw = |(sequence, row): &mut Job<'_>| {
            let row = match row {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.clone()),
            };
            let mask = match &mut sequence.guide {
                Some(guide) => Some(guide.mask()?),
                None => None,
            };
            sequence.sampler.draw(row, mask, sequence.n_top).map(Some)
        };
        if jobs.len() < 2 || jobs.len() * width < MIN_SHARED {
            return jobs.iter_mut().map(draw).collect();
        }
        self.pool
            .install(|| jobs.par_iter_mut().map(draw).collect())
    }

    /// Tells every sequence of the step what became of it.
    fn deliver(&mut self, outcomes: Vec<Outcome>) {
        let current = std::mem::take(&mut self.current);
        let (mut n_prefilled, mut n_drawn) = (0, 0);
        for ((chosen, mut sequence), outcome) in current.into_iter().zip(outcomes) {
            let drawn = match outcome {
                Ok(drawn) => drawn,
                Err(error) => {
                    self.finish_sequence(&sequence, Err(error));
                    continue;
                }
            };
            self.scheduler.computed(&chosen);
            n_prefilled += if chosen.prefills {
                chosen.len as u64
            } else {
                0
            };
            let Some(drawn) = drawn else {
                self.sequences.insert(chosen.id, sequence);
                continue;
            };
            n_drawn += 1;
            let token = drawn.token;
            match sequence.take(drawn, &self.text) {
                Ok(None) => {
                    self.scheduler.append(chosen.id, token);
                    self.sequences.insert(chosen.id, sequence);
                }
                Ok(Some(reason)) => self.finish_sequence(&sequence, Ok(reason)),
                Err(error) => self.finish_sequence(&sequence, Err(error)),
            }
        }
        let mut metrics = lock(&self.shared.metrics);
        metrics.prefilled_tokens += n_prefilled;
        metrics.decoded_tokens += n_drawn;
    }

    fn learn(&mut self, plan: &Plan, time: Duration) {
        let of_batch = plan
            .chosen
            .iter()
            .zip(&self.current)
            .filter(|(chosen, (_, sequence))| chosen.prefills && sequence.class == Class::Batch);
        let n_tokens = of_batch.map(|(chosen, _)| chosen.len).sum();
        self.pace.learn(n_tokens, time);
    }

    /// After the device ran out of memory: fails the youngest batch sequence of the step, or else the youngest at all; the
    /// others try again.
    fn fail_youngest(&mut self, error: &GenerateError) {
        let current = std::mem::take(&mut self.current);
        let age =
            |(_, sequence): &(Chosen, Box<Sequence>)| (sequence.class == Class::Batch, sequence.id);
        let youngest = current.iter().map(age).max();
        for part in current {
            if Some(age(&part)) == youngest {
                self.finish_sequence(&part.1, Err(error.clone()));
            } else {
                self.sequences.insert(part.0.id, part.1);
            }
        }
    }

    /// After too many plans without work, fails the youngest sequence: better one answer less than none at all.
    fn give_way(&mut self) {
        self.n_stuck += 1;
        if self.n_stuck < MAX_STUCK {
            return;
        }
        self.n_stuck = 0;
        if let Some(id) = self.sequences.keys().max().copied() {
            let reason = format!(
                "the cache has no page left for any of {} sequences",
                self.sequences.len()
            );
            self.finish(id, Err(GenerateError::OutOfMemory { reason }));
        }
    }
}
