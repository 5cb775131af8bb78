//! Answers that the engine is writing: given whole, or piece by piece as server-sent events.

mod stream;
mod whole;

use axum::response::Response;
use mlk8s_generate::{Engine, Events, GenerateError, Refused, Text};

use crate::answer::{Form, Head};
use crate::call::{Call, Tokens};
use crate::options::Options;
use crate::refusal::Refusal;
use crate::state::Server;

/// Answers under way, some to each of some prompts, in this order.
pub(crate) struct Writing {
    answers: Vec<Events>,
    /// Answers to each prompt.
    n: usize,
    /// Tokens of all prompts.
    prompt: usize,
}

/// Asks the engine for `options.n` answers to each of `prompts`. `usual` is the limit on an answer's tokens when the
/// request has none; the rest of the context when that is absent, too.
pub(crate) fn begin(
    engine: &Engine,
    prompts: Vec<Vec<u32>>,
    options: &Options,
    usual: Option<usize>,
    (server, field): (&Server, &str),
) -> Result<Writing, Refusal> {
    let context = engine.context();
    let mut answers = Vec::with_capacity(prompts.len() * options.n);
    let mut total = 0;
    for prompt in prompts {
        let room = context.saturating_sub(prompt.len());
        let asked = options.max_tokens.map(|asked| {
            if server.limits.shortens && room > 0 {
                asked.min(room)
            } else {
                asked
            }
        });
        let max_tokens = asked
            .or(usual.map(|usual| usual.min(room)))
            .unwrap_or(room)
            .max(1);
        total += prompt.len();
        for _ in 0..options.n {
            let request = options.request(prompt.clone(), max_tokens, answers.len());
            let events = engine
                .submit(request)
                .map_err(|refused| refusal(refused, server, field, options))?;
            answers.push(events);
        }
    }
    Ok(Writing {
        answers,
        n: options.n,
        prompt: total,
    })
}

impl Writing {
    /// The response to the request: a stream, or one object.
    pub(crate) async fn respond(
        self,
        form: Form,
        text: &std::sync::Arc<Text>,
        options: &Options,
        call: Call,
    ) -> Result<Response, Refusal> {
        let server = call.server();
        let head = Head::new(form, server.name(), options.tier);
        if options.stream {
            let told = stream::Told {
                logprobs: options.logprobs.is_some(),
                usage: options.include_usage,
            };
            return Ok(stream::respond(self, head, text, told, call));
        }
        whole::respond(self, &head, text, options.logprobs.is_some(), &call).await
    }
}

/// The tokens of `words`, the value of `field`. What cannot fit is refused by its length alone: turning megabytes into
/// tokens takes seconds and gigabytes.
pub(crate) fn tokens(
    engine: &Engine,
    words: &str,
    add_special: bool,
    field: &str,
) -> Result<Vec<u32>, Refusal> {
    let (text, context) = (engine.text(), engine.context());
    check_length(text, context, words, field)?;
    text.encode(words, add_special)
        .map_err(|error| Refusal::invalid(field, error.to_string()))
}

/// Refuses a text that has more tokens than the context whatever they are. Half of the length is left to tokenizers that
/// shorten a text before they read it.
pub(crate) fn check_length(
    text: &Text,
    context: usize,
    words: &str,
    field: &str,
) -> Result<(), Refusal> {
    let least = words.len() / (2 * text.longest_token());
    if least > context {
        return Err(Refusal::surely_too_long(field, least, context));
    }
    Ok(())
}

/// What the engine's refusal is in HTTP; `field` has the text.
fn refusal(refused: Refused, server: &Server, field: &str, options: &Options) -> Refusal {
    let message = refused.to_string();
    match refused {
        Refused::QueueFull { queued } => Refusal::queue_full(queued),
        Refused::TooLong {
            prompt,
            max_tokens,
            context,
        } => Refusal::too_long(field, prompt, max_tokens, context),
        Refused::BadConstraint { .. } => Refusal::invalid(options.form_field, message),
        Refused::UnknownToken { token, .. } if options.has_bias(token) => {
            Refusal::invalid("logit_bias", message)
        }
        Refused::Empty { .. } | Refused::UnknownToken { .. } => Refusal::invalid(field, message),
        Refused::BadSampling { setting, .. } => Refusal::invalid(setting, message),
        Refused::Draining => Refusal::unavailable("draining", "the server is stopping"),
        Refused::Stopped { reason } => {
            server.set_broken(&reason);
            Refusal::internal(message)
        }
    }
}

/// What a failure in mid-answer is in HTTP.
pub(crate) fn failure(error: &GenerateError, server: &Server) -> Refusal {
    let message = error.to_string();
    match error {
        GenerateError::OutOfMemory { .. } => Refusal::unavailable("out_of_memory", message),
        GenerateError::Stopped => Refusal::unavailable("stopped", message),
        GenerateError::Panicked { .. } => {
            server.set_broken(&message);
            Refusal::internal(message)
        }
        GenerateError::Input { .. } | GenerateError::UnknownToken { .. } => {
            Refusal::invalid("input", message)
        }
        _ => Refusal::internal(message),
    }
}

/// What is said when the engine's thread has ended without a word.
fn silence(server: &Server) -> Refusal {
    server.set_broken("the engine's thread has ended");
    Refusal::internal("the engine's thread has ended")
}

/// Tokens of several answers. A prompt counts once, however many answers it has, and so does what was cached of it: the
/// first answer tells, as the others find it in the cache because of the first.
struct Sum {
    n: usize,
    tokens: Tokens,
}

impl Sum {
    fn new(n: usize, prompt: usize) -> Sum {
        let tokens = Tokens {
            prompt,
            ..Tokens::default()
        };
        Sum { n, tokens }
    }

    fn add(&mut self, index: usize, done: &mlk8s_generate::Done) {
        self.tokens.completion += done.completion_tokens;
        if index.is_multiple_of(self.n) {
            self.tokens.cached += done.cached_tokens;
        }
    }
}
