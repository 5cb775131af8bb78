//! The objects that answers are made of, in chat's form and in that of the older endpoint.

use std::time::{SystemTime, UNIX_EPOCH};

use mlk8s_generate::Text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::call::Tokens;
use crate::logprobs::{self, Told};

/// The version of what computes the answers, as OpenAI tells it.
const FINGERPRINT: &str = concat!("mlk8s-", env!("CARGO_PKG_VERSION"));

/// Which endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// What all objects of one answer have in common.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    form: Form,
    id: String,
    created: u64,
    model: String,
    tier: Option<&'static str>,
}

/// One of the answers, or what is new of it.
pub(crate) struct Choice<'a> {
    /// Its number.
    pub(crate) index: usize,
    /// Its text.
    pub(crate) text: &'a str,
    /// Probabilities of its tokens, when they were asked for.
    pub(crate) logprobs: Option<&'a [Told]>,
    /// Where it begins in the whole answer, in characters.
    pub(crate) offset: usize,
    /// Why it ended, when it has.
    pub(crate) finish: Option<&'static str>,
}

impl Head {
    /// The head of a new answer of `model`.
    pub(crate) fn new(form: Form, model: &str, tier: Option<&'static str>) -> Head {
        let prefix = match form {
            Form::Chat => "chatcmpl",
            Form::Text => "cmpl",
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Head {
            form,
            id: format!("{prefix}-{}", Uuid::new_v4().simple()),
            created: since.unwrap_or_default().as_secs(),
            model: model.to_owned(),
            tier,
        }
    }

    /// The whole answer.
    pub(crate) fn whole(&self, choices: Vec<Value>, tokens: Tokens) -> Value {
        let mut object = self.object(match self.form {
            Form::Chat => "chat.completion",
            Form::Text => "text_completion",
        });
        object["choices"] = choices.into();
        object["usage"] = usage(tokens);
        object
    }

    /// A piece of an answer that is written piece by piece. With `with_usage` each piece has the field, empty until the
    /// last.
    pub(crate) fn piece(&self, choices: Vec<Value>, with_usage: bool) -> Value {
        let mut object = self.object(match self.form {
            Form::Chat => "chat.completion.chunk",
            Form::Text => "text_completion",
        });
        object["choices"] = choices.into();
        if with_usage {
            object["usage"] = Value::Null;
        }
        object
    }

    /// The last piece, which only tells the tokens.
    pub(crate) fn last(&self, tokens: Tokens) -> Value {
        let mut object = self.piece(Vec::new(), false);
        object["usage"] = usage(tokens);
        object
    }

    /// An answer in whole.
    pub(crate) fn choice(&self, text: &Text, choice: &Choice<'_>) -> Value {
        let logprobs = self.logprobs(text, choice);
        match self.form {
            Form::Chat => json!({
                "index": choice.index,
                "message": { "role": "assistant", "content": choice.text, "refusal": null },
                "logprobs": logprobs,
                "finish_reason": choice.finish,
            }),
            Form::Text => json!({
                "index": choice.index,
                "text": choice.text,
                "logprobs": logprobs,
                "finish_reason": choice.finish,
            }),
        }
    }

    /// What begins an answer that is written piece by piece; the older endpoint has no such thing.
    pub(crate) fn opening(&self, index: usize) -> Option<Value> {
        (self.form == Form::Chat).then(|| {
            json!({
                "index": index,
                "delta": { "role": "assistant", "content": "", "refusal": null },
                "logprobs": null,
                "finish_reason": null,
            })
        })
    }

    /// What is new of an answer.
    pub(crate) fn delta(&self, text: &Text, choice: &Choice<'_>) -> Value {
        if self.form == Form::Text {
            return self.choice(text, choice);
        }
        let delta = if choice.finish.is_some() && choice.text.is_empty() {
            json!({})
        } else {
            json!({ "content": choice.text })
        };
        json!({
            "index": choice.index,
            "delta": delta,
            "logprobs": self.logprobs(text, choice),
            "finish_reason": choice.finish,
        })
    }

    fn logprobs(&self, text: &Text, choice: &Choice<'_>) -> Option<Value> {
        let told = choice.logprobs?;
        Some(match self.form {
            Form::Chat => logprobs::chat(text, told),
            Form::Text => logprobs::text(text, told, choice.offset),
        })
    }

    fn object(&self, kind: &str) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
        });
        if let Some(tier) = self.tier {
            object["service_tier"] = tier.into();
        }
        object
    }
}

/// OpenAI's count of tokens.
fn usage(tokens: Tokens) -> Value {
    json!({
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": { "cached_tokens": tokens.cached },
    })
}
