//! Chat templates, as Hugging Face's libraries run them: Jinja with Python's string methods and JSON.

use chrono::Local;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde_json::Value as Json;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::Special;
use crate::GenerateError;

const NAME: &str = "chat";

/// A template that is ready to run, or the reason why it isn't.
#[derive(Debug)]
pub(super) struct Template {
    environment: Result<Environment<'static>, GenerateError>,
    bos_token: String,
    eos_token: String,
}

impl Template {
    pub(super) fn new(source: &str, special: &Special) -> Self {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", to_json);
        let environment = match environment.add_template_owned(NAME, without_generation(source)) {
            Ok(()) => Ok(environment),
            Err(error) => Err(failure(&error)),
        };
        Self {
            environment,
            bos_token: special.bos_token.clone(),
            eos_token: special.eos_token.clone(),
        }
    }

    /// Why it can't run.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.environment {
            Ok(_) => None,
            Err(GenerateError::Template { reason }) => Some(reason.clone()),
            Err(error) => Some(error.to_string()),
        }
    }

    pub(super) fn render(
        &self,
        messages: &[Json],
        options: &Json,
    ) -> Result<String, GenerateError> {
        let environment = self.environment.as_ref().map_err(Clone::clone)?;
        let messages = messages.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        let variables = context! {
            messages => Value::from_serialize(&messages),
            bos_token => self.bos_token,
            eos_token => self.eos_token,
            add_generation_prompt => true,
        };
        let options = Value::from_serialize(options);
        // Later ones are asked first.
        let variables = if options.kind() == ValueKind::Map {
            context! { ..options, ..variables }
        } else {
            variables
        };
        let template = environment
            .get_template(NAME)
            .map_err(|error| failure(&error))?;
        template.render(variables).map_err(|error| failure(&error))
    }
}

/// The message with a text as content: parts of type `text` put together, because most templates know nothing else.
fn plain(message: &Json) -> Result<Json, GenerateError> {
    let Some(parts) = message["content"].as_array() else {
        return Ok(message.clone());
    };
    let mut text = String::new();
    for part in parts {
        match part["text"].as_str() {
            Some(piece) => text.push_str(piece),
            None => {
                return Err(GenerateError::Template {
                    reason: format!(
                        "the model reads text only, not a part of type {}",
                        part["type"]
                    ),
                });
            }
        }
    }
    let mut message = message.clone();
    message["content"] = Json::String(text);
    Ok(message)
}

fn failure(error: &Error) -> GenerateError {
    let reason = match error.detail() {
        Some(detail) if error.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
        _ => error.to_string(),
    };
    GenerateError::Template { reason }
}

/// What templates say when they don't accept a conversation.
fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: &str) -> Result<String, Error> {
    use std::fmt::Write;
    let mut text = String::new();
    write!(text, "{}", Local::now().format(format)).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("`{format}` is no date format"),
        )
    })?;
    Ok(text)
}

/// `json.dumps(value, ensure_ascii=False)`: unlike Jinja's own filter it escapes nothing for HTML.
#[expect(
    clippy::needless_pass_by_value,
    reason = "filters take their arguments so"
)]
fn to_json(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Other options of Python's function (`ensure_ascii`, `separators`, `sort_keys`) change nothing that a model sees in
    // the templates known.
    let broken =
        |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let json = serde_json::to_value(&value).map_err(broken)?;
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            write_json(&json, &mut bytes, formatter).map_err(broken)?;
        }
        None => write_json(&json, &mut bytes, Spaced(CompactFormatter)).map_err(broken)?,
    }
    Ok(Value::from_safe_string(
        String::from_utf8_lossy(&bytes).into_owned(),
    ))
}

fn write_json(json: &Json, out: &mut Vec<u8>, formatter: impl Formatter) -> serde_json::Result<()> {
    serde::Serialize::serialize(json, &mut Serializer::with_formatter(out, formatter))
}

/// One line with a space after each `,` and `:`, as Python writes it.
struct Spaced(CompactFormatter);

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The template without `{% generation %}` and `{% endgeneration %}`, which mark the model's part for training and write
/// nothing; in their place stand blocks that write nothing either and treat the blanks around them in the same way.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(len) = rest[start..].find("%}").map(|len| len + 2) else {
            break;
        };
        let tag = &rest[start..start + len];
        out.push_str(&rest[..start]);
        let word =
            tag[2..len - 2].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[start + len..];
    }
    out.push_str(rest);
    out
}
