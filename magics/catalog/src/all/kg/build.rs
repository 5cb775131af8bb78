//! `%kg build`: documents become triples and a graph, stored as they are done.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use mlk8s_graph::Store;

use super::{publish, stats};
use crate::call::{Call, Watcher};
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;
use crate::view::View;

/// Turn documents into triples and a graph; finished documents are kept whatever happens
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Name of documents that `%corpus` read
    #[arg(default_value = "docs")]
    docs: ValueName,
    /// Name of the graph, for other magics and in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "kg")]
    name: ValueName,
    /// Folder in which the graph is stored; by default one for its name beside the notebook's state
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep documents of earlier builds that are not among these
    #[arg(long)]
    keep: bool,
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
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
        };
        let report = store.add(&corpus.documents, &watcher)?;
        if report.cancelled {
            let message = format!(
                "stopped after {} of {} documents",
                report.added + report.skipped,
                corpus.documents.len()
            );
            return Err(MagicError::new(ErrorKind::Interrupted, message)
                .with_hint("what is done is kept; run the cell again to go on from there"));
        }
        let ids: BTreeSet<String> = corpus.documents.iter().map(|d| d.id.clone()).collect();
        let n_before = store.documents().len();
        if !self.keep {
            store.retain(&ids)?;
        }
        let n_removed = n_before - store.documents().len();
        let index = Arc::new(store.load()?);
        let triples = publish(call.session, &self.name, dir.clone(), Arc::clone(&index))?;
        let mut done = vec![format!("{} documents added", report.added)];
        if report.skipped > 0 {
            done.push(format!("{} were there", report.skipped));
        }
        if n_removed > 0 {
            done.push(format!("{n_removed} of an earlier build removed"));
        }
        let took_s = begun.elapsed().as_secs_f32();
        let title = format!("{}: {} in {took_s:.1} s", self.name, done.join(", "));
        let mut table = stats::sizes(&index);
        table.title = title;
        table.note = format!(
            "stored in {}; in Rust cells {} is a petgraph and {triples} a DataFrame",
            dir.display(),
            self.name
        );
        Ok(View::Table(table))
    }
}
