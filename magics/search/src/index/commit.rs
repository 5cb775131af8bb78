//! What one commit says beside the words: settings, fields and the files of vectors that count.
//!
//! It travels in the payload of the word index's `meta.json`, which is replaced atomically: words and vectors have one commit
//! point. Files that no commit names are leftovers, and the next writer sweeps them away.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::SearchError;
use crate::item::Kind;
use crate::settings::Settings;

/// The newest format that is known here.
pub(crate) const FORMAT: u32 = 1;
/// Folder of the vector files.
pub(crate) const VECTORS: &str = "vectors";

/// One state of an index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) format: u32,
    pub(crate) settings: Settings,
    /// Rows that were given out so far.
    pub(crate) n_rows: u32,
    /// Files that were named so far.
    pub(crate) n_files: u32,
    pub(crate) dims: Option<usize>,
    /// Vector files in the order of their rows.
    pub(crate) segments: Vec<String>,
    /// Name and kind of each field; its place here is its name in the word index.
    pub(crate) fields: Vec<(String, Kind)>,
    /// The graph, if there is one.
    #[serde(default)]
    pub(crate) graph: Option<GraphFile>,
}

/// The file of a graph, and that of the vectors it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GraphFile {
    pub(crate) file: String,
    pub(crate) segment: String,
}

impl Commit {
    /// Reads a payload.
    pub(crate) fn read(dir: &Path, payload: Option<&str>) -> Result<Self, SearchError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |what: String| SearchError::Damaged {
            path: dir.join("meta.json"),
            what,
        };
        let payload = payload.ok_or_else(|| damaged("it says nothing about vectors".to_owned()))?;
        let version: Version = serde_json::from_str(payload).map_err(|e| damaged(e.to_string()))?;
        if version.format > FORMAT {
            return Err(SearchError::Format {
                path: dir.to_owned(),
                found: version.format,
                known: FORMAT,
            });
        }
        serde_json::from_str(payload).map_err(|e| damaged(e.to_string()))
    }

    /// Where a vector file is.
    pub(crate) fn path(dir: &Path, file: &str) -> PathBuf {
        dir.join(VECTORS).join(file)
    }

    /// A name that no file ever had.
    pub(crate) fn next_file(&mut self, extension: &str) -> String {
        self.n_files += 1;
        format!("{:06}.{extension}", self.n_files)
    }

    /// Whether it names a file.
    pub(crate) fn names(&self, file: &str) -> bool {
        let graph = self.graph.as_ref().map(|graph| &graph.file);
        self.segments.iter().chain(graph).any(|name| name == file)
    }
}
