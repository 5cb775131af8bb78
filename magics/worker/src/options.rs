//! What a request for text asks for, beside its text: how to draw, when to stop, what form, for whom.

use mlk8s_generate::{Class, Constraint, Request, Sampling};
use serde_json::Value;

use crate::call::Call;
use crate::fields::{Fields, whole, wrong};
use crate::refusal::Refusal;

/// Most answers to one prompt.
const MOST_ANSWERS: i64 = 8;
/// Most of the likeliest tokens that are reported with each token.
const MOST_LOGPROBS: i64 = 20;
/// Most stop strings.
const MOST_STOPS: usize = 16;
/// Longest stop string, in bytes: each is looked for after every token, while everybody waits.
const LONGEST_STOP: usize = 1024;
/// Longest name of a client, in bytes: it is kept, and logged with each request.
const LONGEST_USER: usize = 256;
/// The most tokens that a request can ask for; the model's context is smaller.
const MOST_TOKENS: i64 = 1 << 30;

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How tokens are drawn.
    pub(crate) sampling: Sampling,
    /// Most tokens of an answer.
    pub(crate) max_tokens: Option<usize>,
    /// Texts that end an answer.
    pub(crate) stop: Vec<String>,
    /// What an answer must look like.
    pub(crate) constraint: Option<Constraint>,
    /// The field that says so.
    pub(crate) form_field: &'static str,
    /// How many of the likeliest tokens to report.
    pub(crate) logprobs: Option<usize>,
    /// Answers to each prompt.
    pub(crate) n: usize,
    /// The text is wanted as it is written.
    pub(crate) stream: bool,
    /// The last piece of a stream tells the tokens.
    pub(crate) include_usage: bool,
    /// The tier that was asked for.
    pub(crate) tier: Option<&'static str>,
    class: Class,
    client: String,
    ignore_eos: bool,
}

impl Options {
    /// Reads the fields that chat and completion have in common; the log and the metrics hear of the class by `call`.
    pub(crate) fn read(fields: &Fields<'_>, call: &Call) -> Result<Options, Refusal> {
        fields.refuse(
            &["best_of", "use_beam_search"],
            "answers are drawn once each; ask for `n`",
        )?;
        fields.refuse(
            &["guided_choice", "structured_outputs", "structural_tag"],
            "use `response_format`, `guided_json`, `guided_regex` or `guided_grammar`",
        )?;
        let stream_options = fields.get("stream_options");
        let include_usage = match stream_options {
            None => false,
            Some(value) => Fields::of(value)
                .map_err(|_| wrong("stream_options", "an object", value))?
                .flag("include_usage")?,
        };
        let class = urgency(fields, call)?;
        call.set_class(class);
        let (form_field, constraint) = constraint(fields)?.unzip();
        Ok(Options {
            sampling: sampling(fields)?,
            max_tokens: max_tokens(fields)?,
            stop: stop(fields)?,
            constraint,
            form_field: form_field.unwrap_or("response_format"),
            logprobs: None,
            n: fields.count("n", 1..=MOST_ANSWERS)?.unwrap_or(1) as usize,
            stream: fields.flag("stream")?,
            include_usage,
            tier: tier(fields)?,
            class,
            client: client(fields, call)?,
            ignore_eos: fields.flag("ignore_eos")?,
        })
    }

    /// Whether `logit_bias` has this token.
    pub(crate) fn has_bias(&self, token: u32) -> bool {
        let bias = &self.sampling.logit_bias;
        bias.binary_search_by_key(&token, |(token, _)| *token)
            .is_ok()
    }

    /// What the engine is asked for: the answer of this number to `prompt`, of `max_tokens` at most.
    pub(crate) fn request(&self, prompt: Vec<u32>, max_tokens: usize, number: usize) -> Request {
        let mut sampling = self.sampling.clone();
        // Answers to one prompt are meant to differ, and to be the same ones the next time.
        sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(number as u64));
        Request {
            prompt,
            max_tokens,
            sampling,
            stop: self.stop.clone(),
            constraint: self.constraint.clone(),
            logprobs: self.logprobs,
            class: self.class,
            client: self.client.clone(),
            ignore_eos: self.ignore_eos,
        }
    }
}

/// How urgent a request is: what its header says, else its `priority` (0 and below are interactive, as small numbers go
/// first), else its `service_tier`, else its key.
pub(crate) fn urgency(fields: &Fields<'_>, call: &Call) -> Result<Class, Refusal> {
    let by_number = |number: i64| {
        if number > 0 {
            Class::Batch
        } else {
            Class::Interactive
        }
    };
    if let Some(word) = call.priority() {
        return crate::keys::class(word)
            .or_else(|| word.parse().ok().map(by_number))
            .ok_or_else(|| {
                Refusal::invalid(
                    "x-priority",
                    format!("`x-priority` must be `interactive`, `batch` or a whole number, not `{word}`"),
                )
            });
    }
    if let Some(value) = fields.get("priority") {
        return whole(value)
            .map(by_number)
            .ok_or_else(|| wrong("priority", "a whole number", value));
    }
    Ok(match fields.text("service_tier")? {
        Some("flex") => Class::Batch,
        Some("priority") => Class::Interactive,
        _ => call.caller().class,
    })
}

/// Whom fairness counts a request to: its key, or, where there are no keys, its `user`, else its address.
pub(crate) fn client(fields: &Fields<'_>, call: &Call) -> Result<String, Refusal> {
    let user = fields.text("user")?;
    if user.is_some_and(|user| user.len() > LONGEST_USER) {
        return Err(Refusal::invalid(
            "user",
            format!("`user` has more than {LONGEST_USER} bytes"),
        ));
    }
    if let Some(user) = user.filter(|user| !user.is_empty() && !call.has_key()) {
        call.set_client(user);
        return Ok(user.to_owned());
    }
    Ok(call.caller().name.clone())
}

fn tier(fields: &Fields<'_>) -> Result<Option<&'static str>, Refusal> {
    Ok(fields.text("service_tier")?.map(|tier| match tier {
        "flex" => "flex",
        "priority" => "priority",
        _ => "default",
    }))
}

fn sampling(fields: &Fields<'_>) -> Result<Sampling, Refusal> {
    let usual = Sampling::default();
    let number = |name: &str, range, usual: f32| {
        fields
            .number(name, range)
            .map(|number| number.map_or(usual, |number| number as f32))
    };
    // -1 is how some servers say "all of them".
    let top_k = fields.count("top_k", -1..=MOST_TOKENS)?;
    let top_p = number("top_p", 0.0..=1.0, usual.top_p)?;
    if top_p <= 0.0 {
        return Err(Refusal::invalid(
            "top_p",
            "`top_p` must be greater than 0, and 1 at most",
        ));
    }
    let repetition_penalty = number("repetition_penalty", 0.0..=10.0, usual.repetition_penalty)?;
    if repetition_penalty <= 0.0 {
        return Err(Refusal::invalid(
            "repetition_penalty",
            "`repetition_penalty` must be greater than 0; 1 does nothing",
        ));
    }
    Ok(Sampling {
        temperature: number("temperature", 0.0..=2.0, usual.temperature)?,
        top_k: top_k.filter(|k| *k > 0).map(|k| k as usize),
        top_p,
        min_p: number("min_p", 0.0..=1.0, usual.min_p)?,
        presence_penalty: number("presence_penalty", -2.0..=2.0, usual.presence_penalty)?,
        frequency_penalty: number("frequency_penalty", -2.0..=2.0, usual.frequency_penalty)?,
        repetition_penalty,
        logit_bias: logit_bias(fields)?,
        seed: fields
            .count("seed", i64::MIN..=i64::MAX)?
            .map(i64::cast_unsigned),
    })
}

fn logit_bias(fields: &Fields<'_>) -> Result<Vec<(u32, f32)>, Refusal> {
    let Some(value) = fields.get("logit_bias") else {
        return Ok(Vec::new());
    };
    let entries = value
        .as_object()
        .ok_or_else(|| wrong("logit_bias", "an object of token ids and numbers", value))?;
    let mut bias = Vec::with_capacity(entries.len());
    for (token, value) in entries {
        let token = token.parse::<u32>().map_err(|_| {
            Refusal::invalid(
                "logit_bias",
                format!("`logit_bias` has no token id: `{token}`"),
            )
        })?;
        let number = value
            .as_f64()
            .filter(|number| (-100.0..=100.0).contains(number))
            .ok_or_else(|| wrong("logit_bias", "numbers from -100 to 100", value))?;
        bias.push((token, number as f32));
    }
    bias.sort_unstable_by_key(|(token, _)| *token);
    Ok(bias)
}

fn max_tokens(fields: &Fields<'_>) -> Result<Option<usize>, Refusal> {
    let new = fields.count("max_completion_tokens", 1..=MOST_TOKENS)?;
    let old = fields.count("max_tokens", 1..=MOST_TOKENS)?;
    Ok(new.or(old).map(|count| count as usize))
}

fn stop(fields: &Fields<'_>) -> Result<Vec<String>, Refusal> {
    let Some(value) = fields.get("stop") else {
        return Ok(Vec::new());
    };
    let stops = match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| wrong("stop", "a string or strings", value))?,
        _ => return Err(wrong("stop", "a string or strings", value)),
    };
    if stops.len() > MOST_STOPS || stops.iter().any(String::is_empty) {
        return Err(Refusal::invalid(
            "stop",
            format!("`stop` must be {MOST_STOPS} strings at most, and none of them empty"),
        ));
    }
    if stops.iter().any(|stop| stop.len() > LONGEST_STOP) {
        return Err(Refusal::invalid(
            "stop",
            format!("a string of `stop` has more than {LONGEST_STOP} bytes"),
        ));
    }
    Ok(stops)
}

/// What the answer must look like, by OpenAI's name of the field and by vLLM's.
fn constraint(fields: &Fields<'_>) -> Result<Option<(&'static str, Constraint)>, Refusal> {
    let mut found = Vec::new();
    if let Some(value) = fields.get("response_format") {
        found.extend(response_format(value)?.map(|form| ("response_format", form)));
    }
    if let Some(value) = fields.get("guided_json") {
        let schema = match value {
            Value::String(text) => serde_json::from_str(text)
                .map_err(|_| wrong("guided_json", "a JSON schema", value))?,
            schema => schema.clone(),
        };
        found.push(("guided_json", Constraint::JsonSchema(schema)));
    }
    if let Some(regex) = fields.text("guided_regex")? {
        found.push(("guided_regex", Constraint::Regex(regex.to_owned())));
    }
    if let Some(grammar) = fields.text("guided_grammar")? {
        found.push(("guided_grammar", Constraint::Lark(grammar.to_owned())));
    }
    if let [_, (name, _), ..] = &found[..] {
        return Err(Refusal::invalid(
            *name,
            format!("`{name}` and `{}` exclude each other", found[0].0),
        ));
    }
    Ok(found.pop())
}

fn response_format(value: &Value) -> Result<Option<Constraint>, Refusal> {
    let fields = Fields::of(value).map_err(|_| wrong("response_format", "an object", value))?;
    match fields.text("type")? {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Constraint::JsonObject)),
        Some("json_schema") => {
            let schema = &value["json_schema"]["schema"];
            if schema.is_object() || schema.is_boolean() {
                Ok(Some(Constraint::JsonSchema(schema.clone())))
            } else {
                Err(wrong(
                    "response_format.json_schema.schema",
                    "a JSON schema",
                    schema,
                ))
            }
        }
        other => Err(Refusal::invalid(
            "response_format.type",
            format!(
                "`response_format.type` must be `text`, `json_object` or `json_schema`, not `{}`",
                other.unwrap_or_default()
            ),
        )),
    }
}

/// Chat's way to ask for probabilities.
pub(crate) fn chat_logprobs(fields: &Fields<'_>) -> Result<Option<usize>, Refusal> {
    let top = fields.count("top_logprobs", 0..=MOST_LOGPROBS)?;
    if fields.flag("logprobs")? {
        return Ok(Some(top.unwrap_or(0) as usize));
    }
    match top {
        None | Some(0) => Ok(None),
        Some(_) => Err(Refusal::invalid(
            "top_logprobs",
            "`top_logprobs` needs `logprobs` to be true",
        )),
    }
}

/// The older endpoint's way to ask for probabilities.
pub(crate) fn text_logprobs(fields: &Fields<'_>) -> Result<Option<usize>, Refusal> {
    let top = fields.count("logprobs", 0..=MOST_LOGPROBS)?;
    Ok(top.map(|top| top as usize))
}
