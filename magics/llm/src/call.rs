//! What is asked of a model, and what comes back.

mod told;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::endpoint::{Endpoint, Urgency};
pub use crate::price::Usage;
use crate::row::Class;

/// Tokens of the shortest answer, and its time, of which a rate is made.
const RATED_TOKENS: u64 = 10;
const RATED_TIME: Duration = Duration::from_millis(50);

/// Who says something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Its name, letters and `_`.
    pub name: String,
    /// JSON Schema.
    pub schema: Value,
}

/// How strictly a server can be told what an answer must look like, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    JsonSchema,
    JsonObject,
    Free,
}

/// What can be asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The next turn of a conversation.
    Chat,
    /// How a text goes on.
    Completion,
    /// Vectors of texts.
    Embedding,
    /// Vectors of pictures, each message being one as a `data:` URI (RFC 2397).
    Pictures,
}

impl Kind {
    /// What it is called in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Chat => "chat",
            Kind::Completion => "completion",
            Kind::Embedding | Kind::Pictures => "embedding",
        }
    }

    /// The path below the endpoint's address.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Kind::Chat => "chat/completions",
            Kind::Completion => "completions",
            Kind::Embedding | Kind::Pictures => "embeddings",
        }
    }

    /// Whether the answer is vectors, and no text.
    pub(crate) fn makes_vectors(self) -> bool {
        matches!(self, Kind::Embedding | Kind::Pictures)
    }
}

/// What belongs to a call beside its text: it goes into the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Who calls.
    pub user: String,
    /// The kernel's session.
    pub session: String,
    /// Execution count of the cell; 0 for none.
    pub cell: i64,
    /// What it is part of; empty for none.
    pub run: String,
    /// The chunk that it is about; empty for none.
    pub chunk: String,
}

/// A question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The server.
    pub endpoint: Endpoint,
    /// The model.
    pub model: String,
    /// The conversation; for a completion its texts one after the other, for vectors each text or picture.
    pub messages: Vec<Message>,
    /// What is wanted.
    pub kind: Kind,
    /// Randomness, from 0; the server's own when absent.
    pub temperature: Option<f32>,
    /// Most tokens of the answer; the server's own limit when absent.
    pub max_tokens: Option<u32>,
    /// What the answer must look like.
    pub schema: Option<Schema>,
    /// How urgent it is.
    pub class: Class,
    /// The text is wanted as it is written.
    pub stream: bool,
    /// An earlier answer to the very same request will do.
    pub reuse: bool,
    /// What answers, where its address does not tell: a process of this machine has another one next time. Vectors that
    /// it has made are kept by this until all are there.
    pub identity: Option<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// For the ledger.
    pub about: About,
}

impl Call {
    /// A question without anything special.
    pub fn new(endpoint: Endpoint, model: &str, messages: Vec<Message>) -> Call {
        Call {
            endpoint,
            model: model.to_owned(),
            messages,
            kind: Kind::Chat,
            temperature: None,
            max_tokens: None,
            schema: None,
            class: Class::Interactive,
            stream: true,
            reuse: false,
            identity: None,
            timeout: Duration::from_mins(10),
            about: About::default(),
        }
    }

    /// Texts of the request with their roles, for counting.
    pub fn texts(&self) -> Vec<(&str, &str)> {
        self.messages
            .iter()
            .map(|message| (message.role.name(), message.content.as_str()))
            .collect()
    }

    /// The body of the request, with the answer's form as strict as `form`; `prompt_tokens` is what the request has,
    /// for servers whose limit counts it.
    pub(crate) fn body(&self, form: Form, usage_in_stream: bool, prompt_tokens: usize) -> Value {
        let mut body = json!({ "model": self.model });
        let texts = || self.messages.iter().map(|m| m.content.as_str());
        match self.kind {
            Kind::Chat => body["messages"] = json!(self.messages),
            Kind::Completion => body["prompt"] = texts().collect::<Vec<_>>().join("\n").into(),
            Kind::Embedding => {
                let texts: Vec<Value> = texts().map(Value::from).collect();
                return self.vectors(&texts);
            }
            Kind::Pictures => {
                let pictures: Vec<Value> = texts().map(|uri| json!({ "image": uri })).collect();
                return self.vectors(&pictures);
            }
        }
        if let Some(temperature) = self.temperature {
            // By its shortest decimals: 0.2, not 0.20000000298.
            body["temperature"] = temperature.to_string().parse::<f64>().unwrap_or(0.0).into();
        }
        if let Some(most) = self.max_tokens {
            let most = most as usize;
            let total = if self.endpoint.total_max_tokens {
                most + prompt_tokens
            } else {
                most
            };
            body["max_tokens"] = total.into();
        }
        match (&self.schema, form) {
            (Some(schema), Form::JsonSchema) => {
                body["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": { "name": schema.name, "schema": schema.schema, "strict": true },
                });
            }
            (Some(_), Form::JsonObject) => {
                body["response_format"] = json!({ "type": "json_object" });
            }
            _ => {}
        }
        if self.stream {
            body["stream"] = true.into();
            if usage_in_stream {
                body["stream_options"] = json!({ "include_usage": true });
            }
        }
        match (self.endpoint.urgency, self.class) {
            (Urgency::None, _) | (Urgency::ServiceTier, Class::Interactive) => {}
            (Urgency::Priority, class) => body["priority"] = priority(class),
            (Urgency::ServiceTier, Class::Batch) => body["service_tier"] = "flex".into(),
        }
        body
    }

    /// The body of a request for the vectors of `inputs`.
    fn vectors(&self, inputs: &[Value]) -> Value {
        // Servers that do not know the format send numbers, which are read as well.
        let mut body = json!({ "model": self.model, "input": inputs, "encoding_format": "base64" });
        // OpenAI has no tiers of vectors.
        if self.endpoint.urgency == Urgency::Priority {
            body["priority"] = priority(self.class);
        }
        body
    }

    /// What tells the same question from another: everything that is sent and can change the answer.
    pub(crate) fn key(&self) -> String {
        let same = Call {
            stream: false,
            ..self.clone()
        };
        let mut body = same.body(Form::JsonSchema, false, 0);
        if let Some(body) = body.as_object_mut() {
            body.remove("priority");
            body.remove("service_tier");
        }
        let text = format!("{}\n{}\n{body}", self.endpoint.url, self.kind.path());
        hex::encode(Sha256::digest(text))
    }
}

/// vLLM's number for how urgent a call is, the lower the sooner.
fn priority(class: Class) -> Value {
    match class {
        Class::Interactive => 0.into(),
        Class::Batch => 10.into(),
    }
}

/// An answer of a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Number of its row in the ledger.
    pub id: String,
    /// The text.
    pub text: String,
    /// `stop`, `length`, …, as the server said it; empty when it said nothing.
    pub finish_reason: String,
    /// The tokens.
    pub usage: Usage,
    /// Who counted them.
    pub counted_by: String,
    /// What it cost in US dollars; `None` when the model has no price.
    pub usd: Option<f64>,
    /// From the wish to the sending.
    pub queued: Duration,
    /// From the sending to the first text.
    pub first: Duration,
    /// From the sending to the end.
    pub total: Duration,
    /// It is an earlier answer to the same request.
    pub reused: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// Texts that were longer than the model reads and were cut, where the server says so.
    #[serde(default)]
    pub truncated: u64,
}

impl Answer {
    /// The same, where enough was written for it to mean something: a few tokens in no time are no rate.
    pub fn rate(&self) -> Option<f64> {
        let writing = self.total.saturating_sub(self.first);
        let is_enough = self.usage.completion >= RATED_TOKENS && writing >= RATED_TIME;
        is_enough.then(|| self.tokens_a_second())
    }

    /// Tokens of the answer in a second, from the first one on; 0 when that cannot be told.
    pub fn tokens_a_second(&self) -> f64 {
        let writing = self.total.saturating_sub(self.first).as_secs_f64();
        if writing > 0.0 && self.usage.completion > 1 {
            (self.usage.completion - 1) as f64 / writing
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn call() -> Call {
        let message = Message {
            role: Role::User,
            content: "What is SPGC?".to_owned(),
        };
        Call {
            temperature: Some(0.2),
            max_tokens: Some(64),
            ..Call::new(Endpoint::new("house", "http://gpu/v1"), "m", vec![message])
        }
    }

    #[test]
    fn a_limit_counts_what_the_server_counts() {
        assert_eq!(call().body(Form::Free, true, 40)["max_tokens"], 64);
        let mut total = call();
        total.endpoint.total_max_tokens = true;
        assert_eq!(total.body(Form::Free, true, 40)["max_tokens"], 104);
        assert_eq!(total.body(Form::Free, true, 40)["temperature"], 0.2);
    }

    #[test]
    fn a_few_tokens_make_no_rate() {
        let answer = |completion: u64, ms: u64| Answer {
            usage: Usage {
                completion,
                ..Usage::default()
            },
            first: Duration::from_millis(5),
            total: Duration::from_millis(5 + ms),
            ..Answer::default()
        };
        assert_eq!(answer(101, 1000).rate(), Some(100.0));
        for (tokens, ms) in [(3, 1000), (101, 1), (0, 0)] {
            assert_eq!(answer(tokens, ms).rate(), None, "{tokens} {ms}");
        }
    }

    #[test]
    fn pictures_are_sent_and_not_told() {
        let mut call = call();
        call.kind = Kind::Pictures;
        call.messages[0].content = "data:image/png;base64,AAECAwQF".to_owned();
        let body = call.body(Form::Free, true, 0);
        assert_eq!(
            body,
            json!({
                "model": "m", "input": [{ "image": "data:image/png;base64,AAECAwQF" }], "encoding_format": "base64"
            })
        );
        let told = call.told(&body);
        assert!(told.contains("data:image/png;base64,… (30 letters)") && !told.contains("AAEC"));
        call.endpoint.urgency = Urgency::Priority;
        call.class = Class::Batch;
        assert_eq!(call.body(Form::Free, true, 0)["priority"], 10);
    }

    #[test]
    fn urgency_and_form_do_not_make_another_question() {
        let mut urgent = call();
        urgent.endpoint.urgency = Urgency::Priority;
        urgent.stream = false;
        assert_eq!(call().key(), urgent.key());
        assert_eq!(urgent.body(Form::Free, true, 0)["priority"], 0);
        let mut other = call();
        other.messages[0].content.push('!');
        assert_ne!(call().key(), other.key());
    }
}
