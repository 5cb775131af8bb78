//! `%search`: an index of texts and pictures, and questions to it, by words and by meaning.

mod build;
mod feedback;
mod list;
mod query;
mod replace;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::call::Call;
use crate::claim::Claim;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::session::Session;
use crate::view::{ToView, View};

/// Search texts and pictures by words and by meaning
#[derive(Debug, Parser)]
pub(super) struct Search {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Verb {
    Build(build::Build),
    Query(query::Query),
    Feedback(feedback::Feedback),
    /// Show the indexes that are there, which all notebooks share
    #[command(alias = "ls")]
    List,
    /// Remove an index
    Remove {
        /// Its name
        name: ValueName,
    },
}

/// What came of it.
pub(super) struct Shown(View);

impl Magic for Search {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &["%corpus articles --as docs"],
            cell: "%search build docs --words-only --as library",
            about: "an index of documents; without `--words-only` it knows meanings too",
            shows: "passages",
        },
        Example {
            after: &[
                "%corpus articles --as docs",
                "%search build docs --words-only --as library",
            ],
            cell: "%search query the first chatbot --in library --top 3",
            about: "the passages that say most about it",
            shows: "ELIZA",
        },
        Example {
            after: &[
                "%corpus articles --as docs",
                "%search build docs --words-only --as library",
                "%search query the first chatbot --in library",
            ],
            cell: "%search feedback good 1",
            about: "the first hit was good: the same question finds it first next time",
            shows: "1 hit marked",
        },
        Example {
            after: &[
                "%corpus articles --as docs",
                "%search build docs --words-only --as library",
            ],
            cell: "%search build docs --words-only --as library --add",
            about: "adds to an index what is not in it yet; without `--add` it has just these from now on",
            shows: "items",
        },
        Example {
            after: &[
                "%corpus articles --as docs",
                "%search build docs --words-only --as library",
            ],
            cell: "%search list",
            about: "the indexes that are there, how large and how old they are",
            shows: "library",
        },
    ];
    type Outcome = Shown;

    fn run(self, call: &mut Call) -> Result<Shown, MagicError> {
        let view = match self.verb {
            Verb::Build(build) => build.run(call),
            Verb::Query(query) => query.run(call),
            Verb::Feedback(feedback) => feedback.run(call),
            Verb::List => Ok(View::Table(list::list(call.session))),
            Verb::Remove { name } => remove(name.as_str(), call.session),
        };
        view.map(Shown)
    }
}

impl ToView for Shown {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}

/// An amount of disk, in words.
fn size(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.0} KiB"),
        kib if kib < 1024.0 * 1024.0 => format!("{:.1} MiB", kib / 1024.0),
        kib => format!("{:.2} GiB", kib / 1024.0 / 1024.0),
    }
}

/// Where the index called `name` is.
fn place(name: &str, session: &Session) -> PathBuf {
    session.indexes_dir().join(name)
}

/// The right to change the index called `name`, from the first look at it to the last change.
fn claim(name: &str, session: &Session) -> Result<Claim, MagicError> {
    // Neither an index nor what waits to come into one has this name.
    let claim = Claim::take(&session.indexes_dir(), &format!(".{name}"))?;
    claim.ok_or_else(|| {
        let message = format!("index `{name}` is being built or removed by another notebook");
        MagicError::new(ErrorKind::Input, message)
            .with_hint("it can be searched meanwhile; wait until that is done, or build another with `--as NAME`")
    })
}

/// The index called `name`.
fn open(name: &str, session: &Session) -> Result<mlk8s_search::Index, MagicError> {
    let dir = place(name, session);
    if mlk8s_search::Index::is_index(&dir) {
        return Ok(mlk8s_search::Index::open(&dir)?);
    }
    let known: Vec<String> = session
        .indexes()
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let known = if known.is_empty() {
        String::new()
    } else {
        format!("there is {}; ", known.join(", "))
    };
    Err(MagicError::new(
        ErrorKind::NotFound,
        format!("there is no index called `{name}`"),
    )
    .with_hint(format!("{known}`%search build docs --as {name}` makes one")))
}

/// The same, at its last commit: the one that was searched last is still open.
fn current(name: &str, session: &mut Session) -> Result<mlk8s_search::Index, MagicError> {
    let kept = session.searched.opened.take();
    let kept = kept.filter(|index| index.dir() == place(name, session));
    match kept {
        Some(mut index) if mlk8s_search::Index::is_index(index.dir()) => {
            index.reload()?;
            Ok(index)
        }
        _ => open(name, session),
    }
}

fn remove(name: &str, session: &mut Session) -> Result<View, MagicError> {
    drop(current(name, session)?);
    let _claim = claim(name, session)?;
    let dir = place(name, session);
    std::fs::remove_dir_all(&dir).map_err(|error| {
        MagicError::new(
            ErrorKind::Input,
            format!("cannot remove `{}`: {error}", dir.display()),
        )
    })?;
    replace::forget_waiting(name, session)?;
    Ok(View::Text(format!("index `{name}` removed")))
}
