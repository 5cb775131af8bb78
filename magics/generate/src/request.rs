//! What a reader asks of the engine, and what comes back.

use std::time::Duration;

use serde_json::Value;

use crate::GenerateError;

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A person: goes first.
    Interactive,
    /// A job: takes what is left, and never starves.
    Batch,
}

/// How the next token is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f32,
    /// Draws among this many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Draws among the likeliest tokens that together have this probability, in (0, 1].
    pub top_p: f32,
    /// Draws among tokens at least this likely compared with the likeliest, in [0, 1].
    pub min_p: f32,
    /// Is subtracted from the logit of each token that was generated before.
    pub presence_penalty: f32,
    /// Is subtracted from the logit of a token for each time that it was generated before.
    pub frequency_penalty: f32,
    /// Divides positive and multiplies negative logits of tokens seen in prompt or answer; 1 does nothing.
    pub repetition_penalty: f32,
    /// Is added to the logits of these tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Makes the draws repeatable, alone or in company.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    /// Draws from the model's own distribution.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl Sampling {
    /// Takes the likeliest token each time.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            ..Self::default()
        }
    }
}

/// What an answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Some JSON object.
    JsonObject,
    /// A JSON value that the schema accepts.
    JsonSchema(Value),
    /// A text that the whole regular expression matches.
    Regex(String),
    /// A text of the grammar, in llguidance's variant of Lark.
    Lark(String),
}

/// An answer that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Tokens of the prompt, special ones included.
    pub prompt: Vec<u32>,
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end the answer and are not part of it.
    pub stop: Vec<String>,
    /// What the answer has to look like.
    pub constraint: Option<Constraint>,
    /// How many of the likeliest tokens to report with each token; `None` reports no probabilities.
    pub logprobs: Option<usize>,
    /// Who waits.
    pub class: Class,
    /// Whom fairness counts it to.
    pub client: String,
    /// Goes on where the model would end the answer.
    pub ignore_eos: bool,
}

impl Request {
    /// A greedy answer to `prompt` for a person, without stop strings or constraint.
    pub fn new(prompt: Vec<u32>, max_tokens: usize) -> Self {
        Self {
            prompt,
            max_tokens,
            sampling: Sampling::greedy(),
            stop: Vec::new(),
            constraint: None,
            logprobs: None,
            class: Class::Interactive,
            client: String::new(),
            ignore_eos: false,
        }
    }
}

/// What happens to a request; after `Done` or `Failed` nothing follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// One more token.
    Token(Piece),
    /// The answer is complete.
    Done(Done),
    /// There will be no more.
    Failed(GenerateError),
}

/// One token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Text that became certain with this token; empty while a character or a stop string may be incomplete.
    pub text: String,
    /// The token.
    pub token: u32,
    /// Its probability, if asked for.
    pub logprob: Option<TokenLogprob>,
}

/// Probabilities at one place, of the model's unmodified distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// Natural logarithm of the probability of the token taken.
    pub logprob: f32,
    /// The likeliest tokens with theirs, likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model, a stop string or the grammar ended it.
    Stop,
    /// The token limit ended it.
    Length,
    /// The reader went away.
    Cancelled,
}

/// How an answer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that came from the prefix cache.
    pub cached_tokens: usize,
    /// Tokens drawn, the one that ended the answer included.
    pub completion_tokens: usize,
    /// From submission until a slot was free.
    pub queued: Duration,
    /// From submission to the first token.
    pub first_token: Duration,
    /// From submission to the end.
    pub total: Duration,
    /// How often it had to make way and start over.
    pub preemptions: usize,
}

/// How hidden states become the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// That of the last token.
    Last,
    /// The mean over all tokens.
    Mean,
}
