//! `POST /v1/chat/completions`: the next turn of a conversation.

mod messages;

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::Form;
use crate::call::Call;
use crate::fields::{Fields, wrong};
use crate::options::{Options, chat_logprobs};
use crate::refusal::Refusal;
use crate::served::Writer;
use crate::state::Server;
use crate::{endpoint, writing};

/// Answers a conversation.
pub(super) async fn answer(
    server: Arc<Server>,
    call: Call,
    body: Value,
) -> Result<Response, Refusal> {
    let fields = Fields::of(&body)?;
    let loaded = endpoint::model(&server, &fields)?;
    let writer = loaded.text_writer(server.name())?;
    refuse_tools(&fields)?;
    let mut options = Options::read(&fields, &call)?;
    options.logprobs = chat_logprobs(&fields)?;
    // Reading a long conversation or compiling a schema takes its time, and others are to be answered meanwhile.
    let writing = tokio::task::block_in_place(|| {
        let prompts = vec![prompt(writer, &fields)?];
        writing::begin(
            &writer.engine,
            prompts,
            &options,
            None,
            (&server, "messages"),
        )
    })?;
    writing
        .respond(Form::Chat, writer.engine.text(), &options, call)
        .await
}

/// The conversation as the model's template writes it, in tokens.
fn prompt(writer: &Writer, fields: &Fields<'_>) -> Result<Vec<u32>, Refusal> {
    let messages = messages::read(fields.required("messages")?)?;
    let mut options = json!({ "add_generation_prompt": true });
    if let Some(more) = fields.get("chat_template_kwargs") {
        let more = more
            .as_object()
            .ok_or_else(|| wrong("chat_template_kwargs", "an object", more))?;
        for (name, value) in more {
            options[name] = value.clone();
        }
    }
    let (text, context) = (writer.engine.text(), writer.engine.context());
    for message in &messages {
        let said = message["content"].as_str().unwrap_or_default();
        writing::check_length(text, context, said, "messages")?;
    }
    text.chat_tokens(&messages, &options)
        .map_err(|error| Refusal::invalid("messages", error.to_string()))
}

fn refuse_tools(fields: &Fields<'_>) -> Result<(), Refusal> {
    fields.refuse(
        &["tools", "functions", "function_call"],
        "this server calls no tools; ask for JSON with `response_format` instead",
    )?;
    if fields
        .get("tool_choice")
        .is_some_and(|choice| choice != "none")
    {
        return Err(Refusal::unsupported(
            "tool_choice",
            "`tool_choice` is not supported: this server calls no tools",
        ));
    }
    fields.refuse(
        &["audio", "web_search_options", "prediction"],
        "this server reads and writes text only",
    )?;
    let is_text = |modes: &Value| *modes == json!(["text"]);
    if fields
        .get("modalities")
        .is_some_and(|modes| !is_text(modes))
    {
        return Err(Refusal::unsupported(
            "modalities",
            "`modalities` can only be [\"text\"]",
        ));
    }
    Ok(())
}
