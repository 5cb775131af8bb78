//! What a Rust cell sees: one dylib, compiled once, that holds polars, petgraph, plotly and our typed values, and the
//! code of the process that runs cells.

mod ask;
mod bundle;
mod capture;
pub mod cells;
mod channel;
mod child;
mod display;
pub mod graphs;
mod hand_over;
mod known;
mod progress;
mod show;

pub use hand_over::{HandOver, hand_over};
pub use petgraph;
pub use plotly;
pub use polars;
pub use serde_json;

use std::io;
use std::path::Path;

/// Everything that is in scope in a cell without a `use` of its own.
pub mod cell {
    pub use mlk8s_values::{
        Clusters, Entity, KnowledgeGraph, Relation, Source, vector_column, vectors_of,
    };
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

    pub use crate::ask::{input, password};
    pub use crate::bundle::Bundle;
    pub use crate::cells::interrupted;
    pub use crate::display;
    pub use crate::display::{Display, Html, Image, Latex, Markdown, Svg, clear_output};
    pub use crate::progress::progress;
    pub use crate::show::Show;
}

/// Where the kernel listens for the process that runs cells.
const SOCKET: &str = "MLK8S_CHILD_SOCKET";

/// Runs cells for the kernel that started this process, until it hangs up.
///
/// # Errors
///
/// When no kernel listens, or when it says something that cannot be understood.
pub fn run_cells() -> io::Result<()> {
    let socket = std::env::var_os(SOCKET)
        .ok_or_else(|| io::Error::other("only the kernel starts this program"))?;
    child::run(Path::new(&socket))
}
