//! `POST /v1/completions`: how a text goes on.

use std::sync::Arc;

use axum::response::Response;
use mlk8s_generate::Engine;
use serde_json::Value;

use super::inputs::{self, Input};
use crate::answer::Form;
use crate::call::Call;
use crate::fields::Fields;
use crate::options::{Options, text_logprobs};
use crate::refusal::Refusal;
use crate::state::Server;
use crate::{endpoint, writing};

/// Tokens of an answer when the request has no limit, as OpenAI has it.
const USUAL_TOKENS: usize = 16;

/// Goes on with one or several texts.
pub(super) async fn answer(
    server: Arc<Server>,
    call: Call,
    body: Value,
) -> Result<Response, Refusal> {
    let fields = Fields::of(&body)?;
    let loaded = endpoint::model(&server, &fields)?;
    let writer = loaded.text_writer(server.name())?;
    fields.refuse(
        &["echo", "suffix"],
        "the answer is what follows the prompt, and nothing else",
    )?;
    let mut options = Options::read(&fields, &call)?;
    options.logprobs = text_logprobs(&fields)?;
    let text = writer.engine.text();
    let inputs = inputs::read("prompt", fields.required("prompt")?)?;
    // Reading a long text or compiling a schema takes its time, and others are to be answered meanwhile.
    let writing = tokio::task::block_in_place(|| {
        let prompts = inputs
            .into_iter()
            .map(|input| tokens(&writer.engine, input))
            .collect::<Result<Vec<_>, _>>()?;
        let usual = Some(USUAL_TOKENS);
        writing::begin(
            &writer.engine,
            prompts,
            &options,
            usual,
            (&server, "prompt"),
        )
    })?;
    writing.respond(Form::Text, text, &options, call).await
}

/// The tokens of a text, with those that open one.
fn tokens(engine: &Engine, input: Input) -> Result<Vec<u32>, Refusal> {
    match input {
        Input::Tokens(tokens) => Ok(tokens),
        Input::Text(words) => writing::tokens(engine, &words, true, "prompt"),
        Input::Picture(_) => Err(Refusal::unsupported(
            "prompt",
            "this model writes, and does not see pictures",
        )),
    }
}
