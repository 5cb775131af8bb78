//! What can go wrong while a model loads or decodes, and why a request is not taken.

use thiserror::Error;

use crate::Instructions;

/// A failure of a model, its text or its engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenerateError {
    /// The model's files are not usable.
    #[error("model can't be used: {reason}")]
    Model {
        /// What is wrong with it.
        reason: String,
    },
    /// The model's family is not served.
    #[error("architecture `{architecture}` is not supported; supported are {supported}")]
    Unsupported {
        /// As the model names it.
        architecture: String,
        /// The names that are served, separated by commas.
        supported: String,
    },
    /// A file ends before its contents do.
    #[error("`{file}` is cut off: {reason}")]
    Truncated {
        /// Path of the file.
        file: String,
        /// What is missing.
        reason: String,
    },
    /// A tensor is absent or of another shape than the configuration says.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration can't be read or contradicts itself.
    #[error("configuration: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer can't be read, or can't encode or decode.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// What is wrong with it.
        reason: String,
    },
    /// The chat template is absent or fails.
    #[error("chat template: {reason}")]
    Template {
        /// What is wrong with it.
        reason: String,
    },
    /// The GPU that was asked for is not there, or is of no use.
    #[error("GPU {number} can't be used: {reason}")]
    Gpu {
        /// Its number, from 0 on.
        number: usize,
        /// Why not.
        reason: String,
    },
    /// The processor lacks the instructions that were asked for.
    #[error("this processor has no instructions `{}`", instructions.name())]
    Instructions {
        /// Which.
        instructions: Instructions,
    },
    /// The device has no room left.
    #[error("out of memory: {reason}")]
    OutOfMemory {
        /// What was asked for.
        reason: String,
    },
    /// The memory granted to the cache is too small for one page of every slot.
    #[error(
        "cache of {bytes} bytes holds {pages} pages of 32 tokens, at least {needed} are needed"
    )]
    CacheTooSmall {
        /// The memory granted.
        bytes: u64,
        /// The pages that fit.
        pages: usize,
        /// The pages needed.
        needed: usize,
    },
    /// A step failed in the model.
    #[error("step failed: {reason}")]
    Step {
        /// The model's own words.
        reason: String,
    },
    /// The model gave logits of which none is a number, or of the wrong size.
    #[error("the model's logits can't be used: {reason}")]
    Logits {
        /// What is wrong with them.
        reason: String,
    },
    /// The grammar allows no token any more, or grew too complex.
    #[error("grammar: {reason}")]
    Constraint {
        /// The grammar engine's own words.
        reason: String,
    },
    /// An input to embed has no tokens or too many.
    #[error("input {index} has {tokens} tokens, 1 to {limit} are possible")]
    Input {
        /// Which of the inputs.
        index: usize,
        /// Its tokens.
        tokens: usize,
        /// The most that fit.
        limit: usize,
    },
    /// A token of an input to embed is not in the vocabulary.
    #[error(
        "input {index} has the token {token}, which is not among the model's {vocabulary} tokens"
    )]
    UnknownToken {
        /// Which of the inputs.
        index: usize,
        /// The token.
        token: u32,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// The model's thread panicked.
    #[error("the model's thread panicked: {reason}")]
    Panicked {
        /// The panic's message.
        reason: String,
    },
    /// The engine was stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// The file system said no.
    #[error("`{file}`: {reason}")]
    Io {
        /// Path of the file.
        file: String,
        /// The system's own words.
        reason: String,
    },
}

#[cfg(feature = "cuda")]
impl GenerateError {
    /// A card that cannot be used.
    pub(crate) fn of_card(error: mlk8s_card::CardError) -> Self {
        use mlk8s_card::CardError;
        match error {
            CardError::Missing { number, reason } => Self::Gpu { number, reason },
            CardError::Kernels { reason } => Self::Model { reason },
        }
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// As many requests wait as may wait.
    #[error("queue is full: {queued} requests wait")]
    QueueFull {
        /// Requests that wait.
        queued: usize,
    },
    /// Prompt and answer don't fit the context.
    #[error(
        "prompt of {prompt} tokens and answer of {max_tokens} exceed the context of {context} tokens"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens asked for.
        max_tokens: usize,
        /// Tokens that fit: the model's context, or less where the cache is smaller.
        context: usize,
    },
    /// The constraint can't be compiled.
    #[error("constraint can't be used: {reason}")]
    BadConstraint {
        /// What is wrong with it.
        reason: String,
    },
    /// The prompt has no tokens, or no answer was asked for.
    #[error("{what} is empty")]
    Empty {
        /// `prompt`, `answer` or a stop string.
        what: &'static str,
    },
    /// A token of the prompt or of the bias is not in the vocabulary.
    #[error("token {token} is not among the model's {vocabulary} tokens")]
    UnknownToken {
        /// The token.
        token: u32,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// A sampling setting is out of its range.
    #[error("`{setting}` must be {range}")]
    BadSampling {
        /// Which.
        setting: &'static str,
        /// What is possible.
        range: &'static str,
    },
    /// The engine finishes what it has and takes nothing new.
    #[error("the engine is draining")]
    Draining,
    /// The engine has ended.
    #[error("the engine has stopped: {reason}")]
    Stopped {
        /// Why it did.
        reason: String,
    },
}
