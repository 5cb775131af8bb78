//! `%kg`: builds, shows, counts, exports and prunes knowledge graphs.

mod build;
mod endpoint;
mod export;
pub(super) mod marks;
pub(super) mod meaning;
mod open;
mod remove;
mod show;
mod stats;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use mlk8s_graph::Index;

use crate::call::Call;
use crate::error::MagicError;
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::session::{Import, ImportKind, Session, Value};
use crate::view::{ToView, View};

/// Build a knowledge graph from documents, show it, count it, export it
#[derive(Debug, Parser)]
pub(super) struct Kg {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(build::Build),
    Open(open::Open),
    Show(show::Show),
    Stats(stats::Stats),
    Export(export::Export),
    Remove(remove::Remove),
}

/// Whatever the verb yields, as it looks.
pub(super) struct Done(View);

const READ: &str = "%corpus articles --as docs";
const BUILD: &str = "%kg build docs --as kg";

impl Magic for Kg {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[READ],
            cell: BUILD,
            about: "turn documents into triples and a graph; a second time only new documents are worked on",
            shows: "entities",
        },
        Example {
            after: &[READ],
            cell: "%kg build docs --as kg --words-only",
            about: "the same without vectors: questions find passages by names and words, not by meaning",
            shows: "entities",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg show kg --limit 60",
            about: "draw the 60 best-connected entities",
            shows: "communities",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg show kg --around auto --hops 1",
            about: "draw what is near the biggest hub; a name in place of `auto` draws what is near that",
            shows: "around",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg stats kg",
            about: "how large the graph is and what is in its centre",
            shows: "triples",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg export kg --format graphml --out kg.graphml",
            about: "write the graph for another program",
            shows: "kg.graphml",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg remove kg --title \"*benchmark*\"",
            about: "take documents out; what is left is exactly the graph of the others",
            shows: "removed",
        },
        Example {
            after: &[READ, BUILD],
            cell: "%kg open kg --as again",
            about: "load a graph that an earlier session built",
            shows: "entities",
        },
    ];
    type Outcome = Done;

    fn run(self, call: &mut Call) -> Result<Done, MagicError> {
        let view = match self.verb {
            Verb::Build(verb) => verb.run(call)?,
            Verb::Open(verb) => verb.run(call)?,
            Verb::Show(verb) => verb.run(call)?,
            Verb::Stats(verb) => verb.run(call)?,
            Verb::Export(verb) => verb.run(call)?,
            Verb::Remove(verb) => verb.run(call)?,
        };
        Ok(Done(view))
    }
}

impl ToView for Done {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

/// Gives the graph in `dir` its name in magics, and Rust cells the graph and its triples as variables.
fn publish(
    session: &mut Session,
    name: &ValueName,
    dir: PathBuf,
    index: Arc<Index>,
) -> Result<String, MagicError> {
    let graph = session.crossing(name.as_str(), ImportKind::Graph);
    mlk8s_values::write_graph(&graph, index.graph())?;
    let triples = triples_name(name);
    let frame = session.crossing(&triples, ImportKind::Frame);
    let mut table = index.triples();
    marks::add(name.as_str(), &mut table, session)?;
    mlk8s_values::write_frame(&frame, &mut table)?;
    let imports = vec![
        Import {
            name: name.to_string(),
            kind: ImportKind::Graph,
            path: graph,
        },
        Import {
            name: triples.clone(),
            kind: ImportKind::Frame,
            path: frame,
        },
    ];
    session.put(name.as_str(), Value::Graph { dir, index }, imports);
    Ok(triples)
}

/// The variable that holds the triples: `triples` for the graph `kg`, `NAME_triples` for any other.
fn triples_name(name: &ValueName) -> String {
    match name.as_str() {
        "kg" => "triples".to_owned(),
        other => format!("{other}_triples"),
    }
}
