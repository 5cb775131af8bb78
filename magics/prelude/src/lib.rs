//! What a Rust cell sees: one dylib, compiled once, that holds polars, petgraph, plotly and our typed values.

mod show;

pub use petgraph;
pub use plotly;
pub use polars;
pub use serde_json;

use std::path::Path;

use mlk8s_values::{KnowledgeGraph, ValueError};
use polars::prelude::DataFrame;

/// Everything that is in scope in a cell without a `use` of its own.
pub mod cell {
    pub use mlk8s_values::{Entity, KnowledgeGraph, Relation, Source};
    pub use petgraph;
    pub use petgraph::Direction;
    pub use petgraph::graph::{EdgeIndex, NodeIndex};
    pub use petgraph::visit::{EdgeRef, IntoNodeReferences};
    pub use plotly;
    pub use plotly::{Bar, Histogram, Layout, Plot, Scatter};
    pub use polars;
    pub use polars::df;
    pub use polars::prelude::*;
    pub use serde_json;
    pub use serde_json::json;

    pub use crate::show::Show;
}

/// Reads a data frame that a magic made; cells call this when a value crosses over.
pub fn import_frame(path: &str) -> Result<DataFrame, ValueError> {
    mlk8s_values::read_frame(Path::new(path))
}

/// Reads a knowledge graph that a magic made.
pub fn import_graph(path: &str) -> Result<KnowledgeGraph, ValueError> {
    mlk8s_values::read_graph(Path::new(path))
}

/// Begins a line on standard error that tells the kernel of a panic; a JSON string with its message follows.
pub const PANIC: &str = "\u{1}mlk8s-panic ";

/// Reports panics to the kernel in one line, in place of a backtrace through code that nobody wrote.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not a text".to_owned());
        let line = format!("{PANIC}{}\n", serde_json::Value::from(message));
        // Nobody is left to hear that standard error is gone.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }));
}
