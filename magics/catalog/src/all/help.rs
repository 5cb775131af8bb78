//! `%help`: how to use this notebook, or one magic.

use clap::Parser;

use super::ALL;
use crate::call::Call;
use crate::error::MagicError;
use crate::magic::{Example, Form, Magic};
use crate::view::{ToView, View};

/// Explain this notebook, or one magic
#[derive(Debug, Parser)]
pub(super) struct Help {
    /// Name of a magic, without its percent sign
    #[arg(value_name = "MAGIC")]
    magic: Option<String>,
    /// A verb of the magic, such as `build` of `kg`
    #[arg(value_name = "VERB")]
    verb: Option<String>,
}

/// The text of the help.
pub(super) enum Helped {
    Notebook,
    Magic(String),
}

impl Magic for Help {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%help",
            about: "what there is in this notebook",
            shows: "Rust",
        },
        Example {
            after: &[],
            cell: "%help kg build",
            about: "how `%kg build` is used",
            shows: "--as",
        },
    ];
    type Outcome = Helped;

    fn run(self, _call: &mut Call) -> Result<Helped, MagicError> {
        let Some(name) = self.magic else {
            return Ok(Helped::Notebook);
        };
        let name = name.trim_start_matches('%');
        let entry = match super::find(name, Form::Line) {
            Ok(entry) => entry,
            Err(_) => super::find(name, Form::Cell)?,
        };
        let verbs: Vec<String> = self.verb.into_iter().collect();
        Ok(Helped::Magic(entry.help(&verbs)))
    }
}

impl ToView for Helped {
    fn to_view(&self) -> View {
        match self {
            Helped::Magic(text) => View::Text(text.clone()),
            Helped::Notebook => View::Markdown(notebook()),
        }
    }
}

fn notebook() -> String {
    let rows: Vec<String> = ALL
        .iter()
        .map(|entry| format!("- `{}{}`: {}", entry.sigil(), entry.name, entry.summary()))
        .collect();
    format!(
        "**A cell is Rust, or a magic.** A line that begins with `%` is a magic; a cell whose first line begins with \
         `%%` is a magic with a text below it. Both can stand in one notebook, and lines of Rust and `%` lines in \
         one cell.\n\n{}\n\n`%help NAME` or `%NAME?` explains one of them. In Rust cells polars, petgraph, plotly and \
         serde_json are at hand without a `use`, results of magics are variables (`docs`, `kg`, `triples`), and \
         `:dep name = \"1\"` brings in another crate.\n",
        rows.join("\n")
    )
}
