//! `%kg open`: loads a graph that an earlier session built.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use mlk8s_graph::Store;

use super::{publish, stats};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;
use crate::view::View;

/// Load a graph that an earlier session built
#[derive(Debug, Args)]
pub(super) struct Open {
    /// Name under which it was built, or the folder in which it is stored
    #[arg(default_value = "kg")]
    graph: PathBuf,
    /// Name of the graph from now on; by default the name it has
    #[arg(long = "as", value_name = "NAME", default_value = "kg")]
    name: ValueName,
}

impl Open {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let named = call.session.graph_dir(&self.graph.to_string_lossy());
        let dir = if named.is_dir() {
            named
        } else {
            call.session.resolve(&self.graph)
        };
        if !dir.is_dir() {
            let message = format!("no graph is stored as `{}`", self.graph.display());
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint("`%kg build DOCS --as NAME` builds one"));
        }
        let index = Arc::new(Store::open(&dir)?.load()?);
        let triples = publish(call.session, &self.name, dir.clone(), Arc::clone(&index))?;
        let mut table = stats::sizes(&index, &dir);
        table.title = format!("{}: loaded from {}", self.name, dir.display());
        table.note = format!(
            "in Rust cells `{}` is a petgraph and `{triples}` a DataFrame",
            self.name
        );
        Ok(View::Table(table))
    }
}
