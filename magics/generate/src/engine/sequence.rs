//! One request on its way: what it needs to draw its tokens and to tell its reader.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::grammar::Guide;
use crate::sample::{Drawn, Sampler};
use crate::schedule::{Id, Task};
use crate::text::Stream;
use crate::{Class, Done, Event, FinishReason, GenerateError, Piece, Request, Text};

/// A request, apart from what the scheduler has of it.
pub(super) struct Sequence {
    pub(super) id: Id,
    pub(super) class: Class,
    /// On its way to the scheduler.
    pub(super) task: Option<Task>,
    pub(super) guide: Option<Guide>,
    pub(super) sampler: Sampler,
    pub(super) n_top: Option<usize>,
    max_tokens: usize,
    ignore_eos: bool,
    stream: Stream,
    events: mpsc::Sender<Event>,
    n_prompt: usize,
    n_drawn: usize,
    submitted: Instant,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

impl Sequence {
    pub(super) fn new(
        id: Id,
        request: Request,
        guide: Option<Guide>,
        text: &Text,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            id,
            class: request.class,
            guide,
            sampler: Sampler::new(request.sampling, &request.prompt),
            n_top: request.logprobs,
            max_tokens: request.max_tokens,
            ignore_eos: request.ignore_eos,
            stream: text.stream(&request.prompt, request.stop),
            events,
            n_prompt: request.prompt.len(),
            n_drawn: 0,
            submitted: Instant::now(),
            started: None,
            first_token: None,
            task: Some(Task::new(id, request.class, request.client, request.prompt)),
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// Notes that it runs; says whether it is for the first time.
    pub(super) fn start(&mut self) -> bool {
        let first = self.started.is_none();
        self.started.get_or_insert_with(Instant::now);
        first
    }

    /// Whether it has run.
    pub(super) fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Takes the token drawn and tells the reader; gives the reason if the answer is complete with it.
    pub(super) fn take(
        &mut self,
        drawn: Drawn,
        text: &Text,
    ) -> Result<Option<FinishReason>, GenerateError> {
        self.first_token.get_or_insert_with(Instant::now);
        self.n_drawn += 1;
        let token = drawn.token;
        // Where a grammar allows the end, it has nothing else to say after it.
        if text.is_eos(token) && (!self.ignore_eos || self.guide.is_some()) {
            let rest = self.stream.finish();
            if !rest.is_empty() {
                self.tell(rest, token, None);
            }
            return Ok(Some(FinishReason::Stop));
        }
        let complete = match &mut self.guide {
            Some(guide) => guide.accept(token)?,
            None => false,
        };
        let mut piece = self.stream.push(text.spelling(token));
        let reason = if self.stream.is_stopped() || complete {
            Some(FinishReason::Stop)
        } else {
            (self.n_drawn >= self.max_tokens).then_some(FinishReason::Length)
        };
        if reason.is_some() {
            piece.push_str(&self.stream.finish());
        }
        self.tell(piece, token, drawn.logprob);
        Ok(reason)
    }

    /// Tells the reader that it is complete.
    pub(super) fn done(&self, reason: FinishReason, task: Option<&Task>) {
        let since = |moment: Option<Instant>| {
            moment.map_or(Duration::ZERO, |moment| {
                moment.duration_since(self.submitted)
            })
        };
        // Whoever has gone misses nothing.
        let _ = self.events.try_send(Event::Done(Done {
            reason,
            prompt_tokens: self.n_prompt,
            cached_tokens: task.map_or(0, |task| task.n_reused),
            completion_tokens: self.n_drawn,
            queued: since(self.started),
            first_token: since(self.first_token),
            total: self.submitted.elapsed(),
            preemptions: task.map_or(0, |task| task.n_preemptions),
        }));
    }

    /// Tells the reader that there will be no more.
    pub(super) fn fail(&self, error: GenerateError) {
        let _ = self.events.try_send(Event::Failed(error));
    }

    fn tell(&self, text: String, token: u32, logprob: Option<crate::TokenLogprob>) {
        let _ = self.events.try_send(Event::Token(Piece {
            text,
            token,
            logprob,
        }));
    }
}
