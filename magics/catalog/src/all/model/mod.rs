//! `%model`: models in processes of their own, loaded, looked at, measured and ended.

mod bench;
mod info;
mod list;
mod load;

use clap::{Args, Parser, Subcommand};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};
use crate::workers::Record;

const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;

/// Load a model here: from then on it is an endpoint like any other
#[derive(Debug, Parser)]
pub(super) struct Model {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Load(Box<load::Load>),
    Ls(Ls),
    Info(info::Info),
    Unload(Unload),
    Bench(bench::Bench),
}

/// Show the models that are loaded, and those that are on this machine
#[derive(Debug, Args)]
struct Ls {}

/// End the process of a model: its memory is back, that of the GPU too
#[derive(Debug, Args)]
struct Unload {
    /// Which one; else the only one
    name: Option<String>,
    /// End it without asking, also where another notebook has loaded it
    #[arg(long)]
    yes: bool,
}

/// What there is to see of models.
pub(super) struct Seen(View);

impl Magic for Model {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%model info models/tiny",
            about: "what a model is and needs, before it is loaded",
            shows: "it fits",
        },
        Example {
            after: &[],
            cell: "%model ls",
            about: "what is loaded, and what is on this machine",
            shows: "models",
        },
    ];
    type Outcome = Seen;

    fn run(self, call: &mut Call) -> Result<Seen, MagicError> {
        let view = match self.verb {
            Verb::Load(load) => View::Table(load.run(call)?),
            Verb::Ls(_) => list::list(call)?,
            Verb::Info(info) => View::Table(info.run(call)?),
            Verb::Unload(unload) => View::Table(unload.run(call)?),
            Verb::Bench(bench) => View::Table(bench.run(call)?),
        };
        Ok(Seen(view))
    }
}

impl Unload {
    fn run(&self, call: &mut Call) -> Result<Table, MagicError> {
        let record = call.session.workers.find(self.name.as_deref())?;
        if !self.yes {
            may_end(&record, call)?;
        }
        let had = call.session.workers.unload(&record)?;
        let next = call.session.models.endpoints()?.used();
        Ok(Table {
            title: format!("{}: unloaded", record.name),
            columns: facts(),
            rows: vec![fact("memory given back", bytes(had))],
            note: match next {
                Some(next) => format!("`{next}` is asked now when no model is named"),
                None => {
                    "no endpoint is left; `%model load` or `%endpoint add` makes one".to_owned()
                }
            },
        })
    }
}

/// Asks before a model is ended that somebody else has loaded; one that serves vectors comes back by itself.
fn may_end(record: &Record, call: &Call) -> Result<(), MagicError> {
    let Some(other) = record.loader.other().filter(|_| !record.on_demand) else {
        return Ok(());
    };
    let message = format!("`{}` was loaded by {other}", record.name);
    let question = format!("{message}, which may be using it. End it there, too?");
    if (call.confirm)(&question) == Some(true) {
        return Ok(());
    }
    Err(
        MagicError::new(ErrorKind::Input, message + ": it goes on").with_hint(format!(
            "`%model unload {} --yes` ends it there, too",
            record.name
        )),
    )
}

impl ToView for Seen {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

/// The columns of a table of facts.
fn facts() -> Vec<Column> {
    vec![Column::text("what"), Column::text("")]
}

/// A row of a table of facts.
fn fact(what: &str, value: impl Into<String>) -> Vec<String> {
    vec![what.to_owned(), value.into()]
}

/// An amount of memory, in words.
fn bytes(n: u64) -> String {
    let n = n as f64;
    if n >= GIB {
        format!("{:.2} GiB", n / GIB)
    } else {
        format!("{:.1} MiB", n / MIB)
    }
}

/// A number of parameters, in words.
fn parameters(n: u64) -> String {
    let n = n as f64;
    if n >= 1e9 {
        format!("{:.2} billion", n / 1e9)
    } else if n >= 1e6 {
        format!("{:.1} million", n / 1e6)
    } else {
        format!("{:.0} thousand", n / 1e3)
    }
}
