//! What crosses between the kernel host and Rust cells: data frames, graphs and clusters, as Arrow files.

mod clusters;
mod frame;
mod graph;
mod sketch;
mod vectors;

pub use clusters::{Basis, Clusters, Columns, read_clusters, write_clusters};
pub use frame::{read_frame, write_frame};
pub use graph::{Entity, KnowledgeGraph, Relation, Source, read_graph, write_graph};
pub use sketch::{GraphSketch, SKETCH_MIME, SketchEdge, SketchNode};
pub use vectors::{vector_column, vectors_of};

use std::path::PathBuf;

/// Why a value could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// A file could not be opened, written or renamed.
    #[error("cannot use `{path}`: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not the Arrow file it should be.
    #[error("`{path}` is not a value of this kernel: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the Arrow reader or writer said.
        source: polars::error::PolarsError,
    },
    /// An edge names a node that is not there.
    #[error("`{path}` is damaged: relation {row} points at an entity that does not exist")]
    Dangling {
        /// The graph directory.
        path: PathBuf,
        /// Row of the relation, from 0.
        row: usize,
    },
}
