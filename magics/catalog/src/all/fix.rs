//! `%fix`: the last cell that failed, with its error, to a model; what it proposes becomes the next cell.

use clap::Parser;
use mlk8s_llm::call::Role;

use super::ask::{message, reply, streamed};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::models;
use crate::view::{ReplyView, ToView, View};

const INSTRUCTIONS: &str = "You mend cells of a Rust notebook. In scope without a `use`: polars (prelude), petgraph, \
plotly, and the variables of earlier cells; `?` works at the top level; the last expression is shown. Answer with the \
whole mended cell in one code block, and one sentence on what was wrong.";

/// Have a model mend the last Rust cell that failed
#[derive(Debug, Parser)]
pub(super) struct Fix {
    /// The model: MODEL, MODEL@ENDPOINT or @ENDPOINT; else the one in use
    model: Option<String>,
    /// Most tokens of the answer
    #[arg(long, value_name = "N", default_value = "2048")]
    max_tokens: u32,
    /// Seconds that the answer may take
    #[arg(long, value_name = "S", default_value = "300")]
    timeout: u64,
}

/// What the model proposes.
pub(super) struct Proposed(View);

impl Magic for Fix {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%fix --help",
        about: "what can be typed; after a cell that failed `%fix` proposes another as the next cell",
        shows: "mend the last",
    }];
    type Outcome = Proposed;

    fn run(self, call: &mut Call) -> Result<Proposed, MagicError> {
        let Some((code, error)) = call.session.failed().cloned() else {
            return Err(
                MagicError::new(ErrorKind::NotFound, "no Rust cell has failed")
                    .with_hint("run the cell first; `%fix` looks at the last one that failed"),
            );
        };
        let (endpoint, model) = call.session.models.find(self.model.as_deref())?;
        let question =
            format!("The cell:\n```rust\n{code}\n```\nThe error:\n```text\n{error}\n```");
        let messages = vec![
            message(Role::System, INSTRUCTIONS),
            message(Role::User, &question),
        ];
        let about = call.session.models.about("");
        let mut wanted = models::call(endpoint, &model, messages, about, self.timeout);
        wanted.temperature = Some(0.0);
        wanted.max_tokens = Some(self.max_tokens);
        let answer = streamed(&wanted, "a shorter cell fits", call)?;
        let mut view = ReplyView {
            title: model,
            ..reply(&wanted, &answer)
        };
        match code_block(&answer.text) {
            Some(code) => call.session.set_next_input(code),
            None if view.warning.is_empty() => {
                "there is no cell in the answer".clone_into(&mut view.warning);
            }
            None => {}
        }
        Ok(Proposed(View::Replies(vec![view])))
    }
}

/// What stands in the first fenced block.
fn code_block(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("```")?;
    let (_, body) = rest.split_once('\n')?;
    let (code, _) = body.split_once("```")?;
    let code = code.trim_end();
    (!code.trim().is_empty()).then(|| code.to_owned())
}

impl ToView for Proposed {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::code_block;

    #[test]
    fn the_cell_is_found_in_the_answer() {
        let code = code_block("Well:\n```rust\nlet x = 1;\nx\n```\nIt lacked a `;`.");
        assert_eq!(code.unwrap(), "let x = 1;\nx");
        assert_eq!(code_block("no code"), None);
        assert_eq!(code_block("```rust\nlet x"), None);
    }
}
