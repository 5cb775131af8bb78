//! `%%ask`: asks a model, or, guided by a graph, a model with its evidence, or the graph alone.

mod chat;
mod evidence;
mod guided;

use std::cell::RefCell;
use std::path::PathBuf;

use clap::Parser;

use super::kg::meaning;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::view::{ToView, View};

pub(super) use chat::{dollars, footer, message, reply, streamed, without_answer};

/// Ask a model, a knowledge graph, or both
#[derive(Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct Ask {
    /// The model: MODEL, MODEL@ENDPOINT or @ENDPOINT; else the one in use
    model: Option<String>,
    /// Instructions for the model
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Randomness, 0 for none
    #[arg(long, value_name = "N")]
    temperature: Option<f32>,
    /// Most tokens of the answer
    #[arg(long, value_name = "N", default_value = "1024")]
    max_tokens: u32,
    /// A file with the JSON Schema that the answer must fit
    #[arg(long, value_name = "FILE")]
    json_schema: Option<PathBuf>,
    /// Begin a new conversation
    #[arg(long)]
    fresh: bool,
    /// A plain completion, for models without a chat template
    #[arg(long)]
    plain: bool,
    /// An earlier answer to the very same request will do, for nothing
    #[arg(long)]
    reuse: bool,
    /// Seconds that the answer may take
    #[arg(long, value_name = "S", default_value = "600")]
    timeout: u64,
    /// Name of the answer as a text, here and in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "answer")]
    name: ValueName,
    /// Name of the graph that guides the answer
    #[arg(long, value_name = "NAME")]
    kg: Option<ValueName>,
    /// Show what the graph finds, and ask no language model
    #[arg(long)]
    evidence: bool,
    /// Show beside it the answer without the graph
    #[arg(long)]
    compare: bool,
    /// Number of passages
    #[arg(long, value_name = "N", default_value = "5")]
    passages: usize,
}

/// What the question led to.
pub(super) struct Asked(View);

impl Magic for Ask {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &["%corpus articles --as docs", "%kg build docs --as kg"],
            cell: "%%ask --kg kg --evidence --compare\nWhat benchmarks can we use for QA?",
            about: "evidence guided by the graph, next to plain word search; no language model is asked",
            shows: "[1]",
        },
        Example {
            after: &["%corpus articles --as docs", "%kg build docs --as kg"],
            cell: "%%ask --kg kg --evidence --passages 2\nWhat is a knowledge graph?",
            about: "two passages only",
            shows: "[2]",
        },
    ];
    type Outcome = Asked;

    fn run(self, call: &mut Call) -> Result<Asked, MagicError> {
        let (question, unknown) = filled(call)?;
        let knows_server = call.session.models.endpoints()?.used().is_some();
        let alone = self.evidence || !knows_server;
        let kg = match &self.kg {
            Some(kg) => Some(kg.as_str()),
            // Without a server the graph is all there is.
            None if self.evidence || (!knows_server && call.session.has("kg")) => Some("kg"),
            None => None,
        };
        let mut views = Vec::new();
        if let Some(kg) = kg {
            let (dir, _) = call.session.graph(kg)?;
            let (near, remark) = meaning::near(&dir, kg, &question, call)?;
            views.push(if alone {
                evidence::find(&self, kg, &question, &near, call)?
            } else {
                guided::ask(&self, kg, &question, &near, call)?
            });
            views.extend(remark.map(View::Remark));
        } else {
            views.push(chat::ask(&self, &question, call)?);
        }
        if !knows_server && !self.evidence {
            views.push(View::Remark(
                "no model is in use: this is what the graph finds; `%model load` or `%endpoint add` brings one, `--evidence` is \
                 for when none is wanted"
                    .to_owned(),
            ));
        }
        if !unknown.is_empty() {
            views.push(View::Remark(format!(
                "there is no variable {}: that was asked as it stands",
                unknown.join(", ")
            )));
        }
        Ok(Asked(match views.len() {
            1 => views.remove(0),
            _ => View::Stack(views),
        }))
    }
}

impl ToView for Asked {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

/// What stands below the first line, with the values of what stands in braces.
pub(super) fn question(call: &Call) -> Result<String, MagicError> {
    filled(call).map(|(question, _)| question)
}

/// The same, and the names in braces that nobody knows now: an answer may make one of them known.
fn filled(call: &Call) -> Result<(String, Vec<String>), MagicError> {
    let body = call.body.unwrap_or_default().trim();
    if body.is_empty() {
        return Err(MagicError::new(ErrorKind::Usage, "there is no question")
            .with_hint("write the question below the first line of the cell"));
    }
    let unknown = RefCell::new(Vec::new());
    let question = fill(body, |name| {
        let text = call.session.text(name).map(|text| text.to_string());
        let value = text.or_else(|| (call.variable)(name));
        if value.is_none() {
            unknown.borrow_mut().push(format!("`{{{name}}}`"));
        }
        value
    });
    Ok((question, unknown.into_inner()))
}

/// `text` with `{name}` replaced by what `value` knows under it; what nobody knows stays as it is, `{{` is a brace.
fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("{{") {
            out.push('{');
            rest = after;
            continue;
        }
        let name = tail[1..].split('}').next().unwrap_or_default();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && tail[1 + name.len()..].starts_with('}');
        if let Some(value) = is_name.then(|| value(name)).flatten() {
            out.push_str(&value);
            rest = &tail[name.len() + 2..];
        } else {
            out.push('{');
            rest = &tail[1..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn names_in_braces_become_their_values() {
        let value = |name: &str| (name == "city").then(|| "Bern {x}".to_owned());
        assert_eq!(
            fill("In {city}, {other} {{city}} {1} {", value),
            "In Bern {x}, {other} {city}} {1} {"
        );
    }
}
