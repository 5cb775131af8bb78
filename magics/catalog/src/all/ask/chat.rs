//! A conversation with a model, shown as it is written.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mlk8s_llm::call::{Answer, Call as ModelCall, Kind, Message, Role, Schema};
use mlk8s_llm::{LlmError, Piece};

use super::Ask;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::models;
use crate::view::{ReplyView, View};

/// How often the text that is being written is shown anew.
const RENEWAL: Duration = Duration::from_millis(100);

/// Asks the model and goes on with the conversation.
pub(super) fn ask(ask: &Ask, question: &str, call: &mut Call) -> Result<View, MagicError> {
    let (endpoint, model) = call.session.models.find(ask.model.as_deref())?;
    let mut messages = if ask.fresh || ask.plain || ask.json_schema.is_some() {
        Vec::new()
    } else {
        call.session.models.conversation.clone()
    };
    if let Some(system) = &ask.system {
        messages.retain(|message| message.role != Role::System);
        messages.insert(0, message(Role::System, system));
    }
    messages.push(message(Role::User, question));
    let about = call.session.models.about("");
    let mut wanted = models::call(endpoint, &model, messages, about, ask.timeout);
    if ask.plain {
        wanted.kind = Kind::Completion;
    }
    wanted.temperature = ask.temperature;
    wanted.max_tokens = Some(ask.max_tokens);
    wanted.reuse = ask.reuse;
    wanted.schema = schema(ask, call)?;
    let shorter = shorter(&wanted);
    let answer = streamed(&wanted, shorter, call)?;
    let view = ReplyView {
        title: if wanted.messages.len() > 2 {
            format!(
                "{model}, turn {}",
                wanted
                    .messages
                    .iter()
                    .filter(|m| m.role == Role::User)
                    .count()
            )
        } else {
            model.clone()
        },
        ..reply(&wanted, &answer)
    };
    call.session.put_text(ask.name.as_str(), &answer.text)?;
    if !ask.plain && ask.json_schema.is_none() {
        wanted.messages.push(message(Role::Assistant, &answer.text));
        call.session.models.conversation = wanted.messages;
    }
    Ok(View::Replies(vec![view]))
}

/// How a conversation becomes shorter.
fn shorter(wanted: &ModelCall) -> &'static str {
    let is_long = wanted.messages.iter().any(|m| m.role == Role::Assistant);
    if is_long {
        "`--fresh` begins a new conversation, which has none of the earlier turns"
    } else {
        "a shorter question fits"
    }
}

/// Why there is no answer; where the context was full, how the question becomes shorter is said by `shorter`.
pub(in super::super) fn refused(error: LlmError, shorter: &str) -> MagicError {
    match error.room() {
        Some(room) => MagicError::from(error).with_hint(room.way_out(shorter)),
        None => error.into(),
    }
}

pub(in super::super) fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.to_owned(),
    }
}

/// The answer to `wanted`, shown while it is written; `shorter` says how it is made to fit.
pub(in super::super) fn streamed(
    wanted: &ModelCall,
    shorter: &str,
    call: &mut Call,
) -> Result<Answer, MagicError> {
    let client = call.session.models.client()?;
    let shown = Mutex::new((String::new(), Instant::now()));
    let on_piece = |piece: Piece<'_>| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        match piece {
            Piece::Text(text) => shown.0.push_str(text),
            Piece::Again => shown.0.clear(),
        }
        if shown.1.elapsed() >= RENEWAL {
            shown.1 = Instant::now();
            let so_far = ReplyView {
                title: wanted.model.clone(),
                markdown: shown.0.clone(),
                ..ReplyView::default()
            };
            call.progress.live(&View::Replies(vec![so_far]));
        }
    };
    let cancel = &call.cancel;
    let asked = client.ask(wanted, &|| cancel.is_raised(), &on_piece);
    let answer = asked.map_err(|error| refused(error, shorter))?;
    call.session.models.answered.push(answer.id.clone());
    Ok(answer)
}

fn schema(ask: &Ask, call: &Call) -> Result<Option<Schema>, MagicError> {
    let Some(file) = &ask.json_schema else {
        return Ok(None);
    };
    let path = call.session.resolve(file);
    let wrong = |why: &dyn std::fmt::Display| {
        MagicError::new(
            ErrorKind::Input,
            format!("`{}` cannot be used as a schema: {why}", path.display()),
        )
        .with_hint("the file holds a JSON Schema: https://json-schema.org")
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
    let schema: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    if !schema.is_object() {
        return Err(wrong(&"it is not an object"));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    Ok(Some(Schema { name, schema }))
}

/// How an answer looks, without a title.
pub(in super::super) fn reply(wanted: &ModelCall, answer: &Answer) -> ReplyView {
    let mut warning = match answer.finish_reason.as_str() {
        "length" => cut_off(wanted, answer),
        "content_filter" => "the server's filter stopped it".to_owned(),
        _ if answer.text.trim().is_empty() => "the model said nothing".to_owned(),
        _ => String::new(),
    };
    let mut markdown = answer.text.clone();
    if wanted.schema.is_some() {
        match serde_json::from_str::<serde_json::Value>(&answer.text) {
            Ok(_) => markdown = format!("```json\n{}\n```", answer.text.trim()),
            Err(error) if warning.is_empty() => warning = format!("it is not JSON: {error}"),
            Err(_) => {}
        }
    }
    ReplyView {
        title: String::new(),
        markdown,
        footer: footer(wanted, answer),
        warning,
        ..ReplyView::default()
    }
}

/// What stands in the place of an answer that did not come: why, and what to type.
pub(in super::super) fn without_answer(why: String, hint: String) -> ReplyView {
    ReplyView {
        warning: why,
        hint,
        ..ReplyView::default()
    }
}

/// Why an answer is cut off: by the limit that was asked for, or by the room that the model has.
fn cut_off(wanted: &ModelCall, answer: &Answer) -> String {
    let usage = answer.usage;
    let (written, most) = (usage.completion, wanted.max_tokens.map_or(0, u64::from));
    if written >= most || answer.counted_by != "server" {
        return format!("cut off after {written} tokens; `--max-tokens N` allows more");
    }
    format!(
        "cut off after {written} tokens, before the {most} of `--max-tokens`: with the {} of the prompt the server had no more room; \
         {}; `%model load … --context N` makes room in a model that is loaded here",
        usage.prompt,
        shorter(wanted)
    )
}

/// Tokens, times and cost of an answer in one line.
pub(in super::super) fn footer(wanted: &ModelCall, answer: &Answer) -> String {
    let usage = answer.usage;
    let mut out = format!("{} + {} tokens", usage.prompt, usage.completion);
    if usage.cached > 0 {
        let _ = write!(out, ", {} of them cached by the server", usage.cached);
    }
    if answer.counted_by != "server" {
        let _ = write!(out, ", counted here ({})", answer.counted_by);
    }
    if answer.reused {
        out.push_str(" · an earlier answer, for nothing");
        return out;
    }
    let _ = write!(
        out,
        " · first after {:.2} s, all in {:.2} s",
        answer.first.as_secs_f64(),
        answer.total.as_secs_f64()
    );
    if let Some(rate) = answer.rate() {
        let _ = write!(out, ", {rate:.0} tokens/s");
    }
    if answer.attempts > 1 {
        let _ = write!(out, " · {} attempts", answer.attempts);
    }
    match answer.usd {
        Some(usd) => {
            let _ = write!(out, " · {}", dollars(usd));
        }
        None if wanted.endpoint.local => out.push_str(" · paid by the hour"),
        None => out.push_str(" · price unknown"),
    }
    out
}

/// An amount with as many digits as it needs.
pub(in super::super) fn dollars(usd: f64) -> String {
    match usd.abs() {
        0.0 => "$0".to_owned(),
        size if size < 0.01 => format!("${usd:.6}"),
        size if size < 1.0 => format!("${usd:.4}"),
        _ => format!("${usd:.2}"),
    }
}
