//! `%kg build`: documents become triples and a graph, stored as they are done.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use mlk8s_corpus::Document;
use mlk8s_graph::Store;

use super::endpoint::{self, Prompt};
use super::meaning::{self, Wanted};
use super::{publish, stats};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;
use crate::view::View;

/// Turn documents into triples and a graph; finished documents are kept whatever happens
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed"
)]
pub(super) struct Build {
    /// Name of documents that `%corpus` read
    #[arg(default_value = "docs")]
    docs: ValueName,
    /// Name of the graph, for other magics and in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "kg")]
    pub(super) name: ValueName,
    /// Folder in which the graph is stored; by default one for its name beside the notebook's state
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep documents of earlier builds that are not among these
    #[arg(long)]
    keep: bool,
    /// What finds the triples
    #[arg(long, default_value = "clauses")]
    engine: Engine,
    /// The model: MODEL, MODEL@ENDPOINT or @ENDPOINT; else the one in use
    #[arg(long)]
    pub(super) model: Option<String>,
    /// How the model is asked
    #[arg(long, default_value = "short")]
    pub(super) prompt: Prompt,
    /// Words of a passage that the model is shown
    #[arg(long, value_name = "N", default_value = "200")]
    pub(super) words: usize,
    /// Most triples of a passage that the prompt `lines` asks for
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) most: usize,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value = "1024")]
    pub(super) max_tokens: u32,
    /// Calls at once; else what the server can bear
    #[arg(long, value_name = "N")]
    pub(super) concurrency: Option<usize>,
    /// Seconds that an answer may take
    #[arg(long, value_name = "S", default_value = "300")]
    pub(super) timeout: u64,
    /// Keep what the rules for clauses find beside what the model states
    #[arg(long)]
    pub(super) clauses: bool,
    /// The model that makes vectors of passages, so that questions in other words find them: a directory, a name, ORG/NAME
    /// of the hub, or MODEL@ENDPOINT; else the one that made those of the graph, or `minilm` while passages are few
    #[arg(long, value_name = "MODEL")]
    embed: Option<String>,
    /// Make no vectors: questions find passages by names and words
    #[arg(long, conflicts_with = "embed")]
    words_only: bool,
    /// Go on without asking, whatever it costs within the budgets
    #[arg(long)]
    pub(super) yes: bool,
}

/// What finds triples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// Rules, here, for nothing
    Clauses,
    /// A model
    Endpoint,
}

impl Build {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let corpus = call.session.documents(self.docs.as_str())?;
        let dir = match &self.dir {
            Some(dir) => call.session.resolve(dir),
            None => call.session.graph_dir(self.name.as_str()),
        };
        let begun = Instant::now();
        let mut store = Store::open(&dir)?;
        let (added, skipped, told) = match self.engine {
            Engine::Endpoint => {
                let built = endpoint::read(&self, &mut store, &corpus.documents, call)?;
                (built.added, built.skipped, Some(built.table))
            }
            Engine::Clauses => {
                let (added, skipped) = by_clauses(&mut store, &corpus.documents, call)?;
                (added, skipped, None)
            }
        };
        let ids: BTreeSet<String> = corpus.documents.iter().map(|d| d.id.clone()).collect();
        let n_before = store.documents().len();
        if !self.keep {
            store.retain(&ids)?;
        }
        let n_removed = n_before - store.documents().len();
        let index = Arc::new(store.load()?);
        let triples = publish(call.session, &self.name, dir.clone(), Arc::clone(&index))?;
        let took_s = begun.elapsed().as_secs_f32();
        let wanted = match &self.embed {
            Some(model) => Wanted::Of(model),
            None if self.words_only => Wanted::None,
            None => Wanted::Usual,
        };
        let remark = match meaning::bring(wanted, &self.name, &dir, &index, call) {
            // What the model has read, and what that cost, is to be seen all the same.
            Err(error) if told.is_some() && error.kind != ErrorKind::Interrupted => {
                format!("no vectors: {error}")
            }
            remark => remark?,
        };
        let mut done = vec![format!("{added} documents added")];
        if skipped > 0 {
            done.push(format!("{skipped} were there"));
        }
        if n_removed > 0 {
            done.push(format!("{n_removed} of an earlier build removed"));
        }
        let title = format!("{}: {} in {took_s:.1} s", self.name, done.join(", "));
        let mut table = stats::sizes(&index, &dir);
        table.title = title;
        table.note = format!(
            "stored in `{}`; in Rust cells `{}` is a petgraph and `{triples}` a DataFrame",
            dir.display(),
            self.name
        );
        if !remark.is_empty() {
            table.note = format!("{remark}; {}", table.note);
        }
        let table = View::Table(table);
        Ok(match told {
            Some(told) => View::Stack(vec![table, View::Table(told)]),
            None => table,
        })
    }
}

/// Reads documents by the rules for clauses: how many were added, and how many were there.
fn by_clauses(
    store: &mut Store,
    documents: &[Document],
    call: &Call,
) -> Result<(usize, usize), MagicError> {
    let report = store.add(documents, &call.watcher())?;
    if report.cancelled {
        let done = report.added + report.skipped;
        let message = format!("stopped after {done} of {} documents", documents.len());
        return Err(MagicError::new(ErrorKind::Interrupted, message)
            .with_hint("what is done is kept; run the cell again to go on from there"));
    }
    Ok((report.added, report.skipped))
}
