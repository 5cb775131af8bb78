//! What can go wrong with a graph, and what to do about it.

use std::path::PathBuf;

use polars::error::PolarsError;

/// Why a graph could not be stored, loaded, drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A file or folder could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the store is not what it should be.
    #[error("graph store `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The store was written by a newer version of this program.
    #[error("graph store `{}` has format {found}, and this program knows format {known}", path.display())]
    Format {
        /// The directory of the store.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// Another process is writing to the store.
    #[error("graph store `{}` is being written by another process{}", path.display(), holder.map_or(String::new(), |pid| format!(": {pid}")))]
    Busy {
        /// The directory of the store.
        path: PathBuf,
        /// Process that holds the lock, if it said so.
        holder: Option<u32>,
    },
    /// A term names no entity of the graph.
    #[error("no entity named `{term}`")]
    NotFound {
        /// The term as it was given.
        term: String,
        /// The names most like it.
        nearest: Vec<String>,
    },
    /// There is nothing to draw or write.
    #[error("the graph has no entities")]
    Empty,
    /// The work was stopped.
    #[error("the work was stopped")]
    Cancelled,
    /// A table could not be made or written.
    #[error("cannot write `{}`: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the table writer said.
        source: PolarsError,
    },
}

impl GraphError {
    /// What to do next; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } | Self::Table { .. } => {
                "is there room on the disk, and may this user write there?".to_owned()
            }
            Self::Damaged { .. } => {
                "build into another folder, or remove this one and build again".to_owned()
            }
            Self::Format { .. } => "update the program, or build into another folder".to_owned(),
            Self::Busy { .. } => {
                "wait until it is done, or give this graph another name or folder".to_owned()
            }
            Self::NotFound { nearest, .. } if !nearest.is_empty() => {
                let names: Vec<_> = nearest.iter().map(|name| format!("`{name}`")).collect();
                format!("did you mean {}?", names.join(" or "))
            }
            Self::NotFound { .. } => "`auto` stands for the best-connected entity".to_owned(),
            Self::Empty => {
                "were the documents read as text, and are there sentences in them?".to_owned()
            }
            Self::Cancelled => {
                "what was finished is kept; the same command goes on from there".to_owned()
            }
        }
    }
}

/// Says which file a failure of the operating system was about.
pub(crate) fn at(path: &std::path::Path) -> impl Fn(std::io::Error) -> GraphError + '_ {
    move |source| GraphError::File {
        path: path.to_owned(),
        source,
    }
}
