//! Vectors of texts from a model's hidden states, between the steps of those who generate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::lock;
use super::serve::Server;
use crate::{Batch, Class, GenerateError, PAGE, Part, Pooling};

type Vectors = Result<Vec<Vec<f32>>, GenerateError>;

/// Inputs to embed, and how far it has come.
pub(super) struct EmbedJob {
    inputs: Vec<Vec<u32>>,
    class: Class,
    pooling: Pooling,
    vectors: Vec<Vec<f32>>,
    reply: SyncSender<Vectors>,
    /// Nobody waits for it any more.
    gone: Arc<AtomicBool>,
}

impl EmbedJob {
    /// A job, and where its answer comes out.
    pub(super) fn new(
        inputs: Vec<Vec<u32>>,
        class: Class,
        pooling: Pooling,
        gone: Arc<AtomicBool>,
    ) -> (Self, Receiver<Vectors>) {
        let (reply, answer) = sync_channel(1);
        let job = Self {
            vectors: Vec::with_capacity(inputs.len()),
            inputs,
            class,
            pooling,
            reply,
            gone,
        };
        (job, answer)
    }

    /// Ends it. Whoever has gone misses nothing.
    pub(super) fn answer(self, vectors: Vectors) {
        let _ = self.reply.try_send(vectors);
    }
}

impl Server {
    /// Embeds some inputs of one job, about as many tokens as a step may have: interactive jobs go first, and those of a
    /// class take turns, so that a short one does not wait for the long ones before it.
    pub(super) fn embed_some(&mut self) {
        self.jobs.retain(|job| !job.gone.load(Ordering::Relaxed));
        let interactive = self
            .jobs
            .iter()
            .position(|job| job.class == Class::Interactive);
        let Some(place) = interactive.or(if self.jobs.is_empty() { None } else { Some(0) }) else {
            return;
        };
        let mut job = self.jobs.remove(place);
        match self.embed_next(&mut job) {
            Err(error) => job.answer(Err(error)),
            Ok(()) if job.vectors.len() == job.inputs.len() => {
                let vectors = std::mem::take(&mut job.vectors);
                job.answer(Ok(vectors));
            }
            Ok(()) => self.jobs.push(job),
        }
    }

    fn embed_next(&mut self, job: &mut EmbedJob) -> Result<(), GenerateError> {
        let first = job.vectors.len();
        let (mut n_tokens, mut held) = (0, Vec::new());
        for input in &job.inputs[first..] {
            if !held.is_empty() && n_tokens + input.len() > self.settings.step_tokens {
                break;
            }
            match self.hold_pages(input.len().div_ceil(PAGE), held.is_empty()) {
                Some(pages) => held.push(pages),
                None => break,
            }
            n_tokens += input.len();
        }
        if held.is_empty() && first < job.inputs.len() {
            // Those who run hold too many pages; when nobody runs, everything fits.
            return if self.scheduler.running().is_empty() {
                Err(GenerateError::OutOfMemory {
                    reason: format!(
                        "no pages for an input of {} tokens",
                        job.inputs[first].len()
                    ),
                })
            } else {
                Ok(())
            };
        }
        let vectors = self.embed_held(&job.inputs[first..first + held.len()], &held, job.pooling);
        for pages in &held {
            self.scheduler.pages_mut().release(pages);
        }
        job.vectors.extend(vectors?);
        lock(&self.shared.metrics).embedded_tokens += n_tokens as u64;
        Ok(())
    }

    /// Takes pages, if need be from batch sequences.
    fn hold_pages(&mut self, n_pages: usize, preempts: bool) -> Option<Vec<u32>> {
        while self.scheduler.pages().available() < n_pages {
            let now = self.now();
            if !preempts || self.scheduler.preempt_youngest_batch(now).is_none() {
                return None;
            }
        }
        (0..n_pages)
            .map(|_| self.scheduler.pages_mut().take())
            .collect()
    }

    /// Runs the inputs through the model, long ones chunk by chunk, and pools.
    fn embed_held(&mut self, inputs: &[Vec<u32>], held: &[Vec<u32>], pooling: Pooling) -> Vectors {
        let mut sums: Vec<Vec<f64>> = vec![Vec::new(); inputs.len()];
        let longest = inputs.iter().map(Vec::len).max().unwrap_or(0);
        for offset in (0..longest).step_by(self.settings.step_tokens) {
            let mut batch = Batch::default();
            let mut owners = Vec::new();
            for (owner, (input, pages)) in inputs.iter().zip(held).enumerate() {
                let end = input.len().min(offset + self.settings.step_tokens);
                if end <= offset {
                    continue;
                }
                let start = batch.tokens.len();
                batch.tokens.extend_from_slice(&input[offset..end]);
                batch.parts.push(Part {
                    start,
                    len: end - offset,
                    length: end,
                    pages: pages[..end.div_ceil(PAGE)].to_vec(),
                });
                let rows = match pooling {
                    Pooling::Mean => start..batch.tokens.len(),
                    Pooling::Last if end == input.len() => {
                        batch.tokens.len() - 1..batch.tokens.len()
                    }
                    Pooling::Last => 0..0,
                };
                owners.extend(std::iter::repeat_n(owner, rows.len()));
                batch.rows.extend(rows);
            }
            let states = self.model.hidden(&batch)?;
            add(&mut sums, &owners, &states)?;
        }
        let weight = |input: &Vec<u32>| match pooling {
            Pooling::Mean => 1.0 / input.len() as f64,
            Pooling::Last => 1.0,
        };
        let scaled = |(input, sum): (_, Vec<f64>)| {
            let weight = weight(input);
            sum.into_iter()
                .map(|value| (value * weight) as f32)
                .collect()
        };
        Ok(inputs.iter().zip(sums).map(scaled).collect())
    }
}

/// Adds each row of `states` to the sum of its owner.
fn add(sums: &mut [Vec<f64>], owners: &[usize], states: &[f32]) -> Result<(), GenerateError> {
    if owners.is_empty() {
        return Ok(());
    }
    if states.is_empty() || !states.len().is_multiple_of(owners.len()) {
        return Err(GenerateError::Logits {
            reason: format!(
                "{} numbers for {} hidden states",
                states.len(),
                owners.len()
            ),
        });
    }
    let width = states.len() / owners.len();
    for (&owner, row) in owners.iter().zip(states.chunks_exact(width)) {
        let sum = &mut sums[owner];
        sum.resize(width, 0.0);
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    Ok(())
}
