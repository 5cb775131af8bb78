//! Answers that are given piece by piece, as OpenAI's server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, SelectAll, Stream, StreamExt as _};
use mlk8s_generate::{Event, Events, Piece, Text};
use serde_json::Value;
use tokio::time::Instant;

use super::{Sum, Writing};
use crate::answer::{Choice, Head};
use crate::call::{Call, finish_name};
use crate::refusal::Refusal;

/// How long a stream is silent before a comment tells proxies that it lives.
const SILENCE: Duration = Duration::from_secs(15);

/// What a stream tells beside the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Probabilities of the tokens.
    pub(super) logprobs: bool,
    /// All tokens, at the end.
    pub(super) usage: bool,
}

/// Events of one answer, each with the answer's number; `None` when the engine falls silent.
type Numbered = Pin<Box<dyn Stream<Item = (usize, Option<Event>)> + Send>>;

/// How far an answer is.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    characters: usize,
    tokens: usize,
}

/// A stream of answers.
struct Pieces {
    answers: SelectAll<Numbered>,
    /// Answers that are not complete.
    open: usize,
    /// How far each answer is.
    written: Vec<Written>,
    /// What is ready to be sent.
    ready: VecDeque<String>,
    over: bool,
    sum: Sum,
    head: Head,
    text: Arc<Text>,
    told: Told,
    call: Call,
}

/// The response: its head goes out at once, and pieces as they are written. When it is dropped, its answers are cancelled.
pub(super) fn respond(
    writing: Writing,
    head: Head,
    text: &Arc<Text>,
    told: Told,
    call: Call,
) -> Response {
    call.open();
    let pieces = Pieces::new(writing, head, Arc::clone(text), told, call);
    let events = stream::unfold(pieces, |mut pieces| async {
        let data = pieces.next().await?;
        Some((Ok::<_, Infallible>(Sent::default().data(data)), pieces))
    });
    let alive = KeepAlive::new().interval(SILENCE).text("alive");
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Some proxies collect a whole answer before they pass it on, unless they are told not to.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl Pieces {
    fn new(writing: Writing, head: Head, text: Arc<Text>, told: Told, call: Call) -> Pieces {
        let n = writing.answers.len();
        let sum = Sum::new(writing.n, writing.prompt);
        call.set_tokens(sum.tokens);
        let mut pieces = Pieces {
            answers: stream::select_all(writing.answers.into_iter().enumerate().map(numbered)),
            open: n,
            written: vec![Written::default(); n],
            ready: VecDeque::new(),
            over: false,
            sum,
            head,
            text,
            told,
            call,
        };
        for choice in (0..n)
            .filter_map(|index| pieces.head.opening(index))
            .collect::<Vec<_>>()
        {
            pieces.send(choice);
        }
        pieces
    }

    /// The next piece; nothing follows the last.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.over {
                return None;
            }
            let deadline = Instant::from_std(self.call.deadline());
            match tokio::time::timeout_at(deadline, self.answers.next()).await {
                Ok(Some((index, Some(event)))) => self.take(index, event),
                Ok(_) => self.fail(&super::silence(self.call.server())),
                Err(_) => self.fail(&Refusal::timeout(self.call.server().limits.time)),
            }
        }
    }

    fn take(&mut self, index: usize, event: Event) {
        match event {
            Event::Token(piece) => self.take_piece(index, piece),
            Event::Done(done) => {
                self.sum.tokens.completion -= self.written[index].tokens;
                self.sum.add(index, &done);
                self.call.set_tokens(self.sum.tokens);
                self.call.answered(&done);
                let choice = Choice {
                    index,
                    text: "",
                    logprobs: None,
                    offset: self.written[index].characters,
                    finish: Some(finish_name(done.reason)),
                };
                self.send(self.head.delta(&self.text, &choice));
                self.open -= 1;
                if self.open == 0 {
                    self.finish();
                }
            }
            Event::Failed(error) => self.fail(&super::failure(&error, self.call.server())),
        }
    }

    fn take_piece(&mut self, index: usize, piece: Piece) {
        // Should the client go away, the log will know what was written for it.
        self.sum.tokens.completion += 1;
        self.written[index].tokens += 1;
        self.call.set_tokens(self.sum.tokens);
        let told: Option<Vec<_>> = piece
            .logprob
            .filter(|_| self.told.logprobs)
            .map(|logprob| vec![(piece.token, logprob)]);
        if piece.text.is_empty() && told.is_none() {
            return;
        }
        let choice = Choice {
            index,
            text: &piece.text,
            logprobs: told.as_deref(),
            offset: self.written[index].characters,
            finish: None,
        };
        let delta = self.head.delta(&self.text, &choice);
        self.written[index].characters += piece.text.chars().count();
        self.send(delta);
    }

    fn send(&mut self, choice: Value) {
        let piece = self.head.piece(vec![choice], self.told.usage);
        self.ready.push_back(piece.to_string());
    }

    fn finish(&mut self) {
        if self.told.usage {
            self.ready
                .push_back(self.head.last(self.sum.tokens).to_string());
        }
        self.ready.push_back("[DONE]".to_owned());
        self.over = true;
        self.call.close(StatusCode::OK);
    }

    /// The status was sent long ago, so the error comes as a piece, and without the mark of a whole answer behind it.
    fn fail(&mut self, refusal: &Refusal) {
        self.answers.clear();
        self.ready.push_back(refusal.body().to_string());
        self.over = true;
        self.call.close(refusal.status);
    }
}

fn numbered((index, events): (usize, Events)) -> Numbered {
    let whole = stream::unfold(Some(events), move |events| async move {
        let mut events = events?;
        let event = events.next().await;
        let rest = match event {
            Some(Event::Token(_)) => Some(events),
            _ => None,
        };
        Some(((index, event), rest))
    });
    Box::pin(whole)
}
