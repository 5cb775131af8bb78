//! Answers that are given when they are complete.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::try_join_all;
use mlk8s_generate::{Done, Event, Events, Text};
use tokio::time::Instant;

use super::{Sum, Writing};
use crate::answer::{Choice, Head};
use crate::call::{Call, finish_name};
use crate::logprobs::Told;
use crate::refusal::Refusal;
use crate::state::Server;

/// A complete answer.
struct Finished {
    text: String,
    told: Vec<Told>,
    done: Done,
}

/// Waits for all answers. Those that fail or take too long take the others with them: dropping one cancels it.
pub(super) async fn respond(
    writing: Writing,
    head: &Head,
    text: &Text,
    logprobs: bool,
    call: &Call,
) -> Result<Response, Refusal> {
    let server = call.server();
    let mut sum = Sum::new(writing.n, writing.prompt);
    call.set_tokens(sum.tokens);
    let all = try_join_all(writing.answers.into_iter().map(|one| finish(one, server)));
    let all = tokio::time::timeout_at(Instant::from_std(call.deadline()), all)
        .await
        .map_err(|_| Refusal::timeout(server.limits.time))??;
    let mut choices = Vec::with_capacity(all.len());
    for (index, one) in all.iter().enumerate() {
        sum.add(index, &one.done);
        call.answered(&one.done);
        choices.push(head.choice(
            text,
            &Choice {
                index,
                text: &one.text,
                logprobs: logprobs.then_some(&one.told),
                offset: 0,
                finish: Some(finish_name(one.done.reason)),
            },
        ));
    }
    call.set_tokens(sum.tokens);
    Ok(Json(head.whole(choices, sum.tokens)).into_response())
}

async fn finish(mut events: Events, server: &Server) -> Result<Finished, Refusal> {
    let (mut text, mut told) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event {
            Event::Token(piece) => {
                text.push_str(&piece.text);
                told.extend(piece.logprob.map(|logprob| (piece.token, logprob)));
            }
            Event::Done(done) => return Ok(Finished { text, told, done }),
            Event::Failed(error) => return Err(super::failure(&error, server)),
        }
    }
    Err(super::silence(server))
}
