//! The manifest of a store: which segments count. Replacing it is the one moment at which a change takes effect.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{GraphError, at};

const MANIFEST: &str = "manifest.json";
const UNFINISHED: &str = "manifest.json.unfinished";
/// Format of manifest and segments.
const FORMAT: u32 = 1;
/// Runs that are remembered.
const N_RUNS: usize = 100;

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Number of the next segment; never used twice.
    pub(super) next_segment: u64,
    pub(super) segments: Vec<Segment>,
    /// Names that are not to be merged with others.
    #[serde(default)]
    pub(super) unmerged: BTreeSet<String>,
    /// The latest builds, oldest first.
    #[serde(default)]
    pub(super) runs: Vec<Run>,
}

/// A set of documents that were committed together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// Name of its folder.
    pub(super) name: String,
    pub(super) documents: Vec<StoredDocument>,
}

/// A document as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDocument {
    /// Identifier of the document.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The file it was read from.
    pub source: String,
    /// The format it was read as.
    pub kind: String,
    /// Stands for title and text as they were when it was stored, and how they were analysed.
    pub digest: String,
    /// Number of its sentences.
    pub n_sentences: usize,
    /// Number of mentions of noun phrases in it.
    pub n_mentions: usize,
    /// Number of its triples.
    pub n_triples: usize,
}

/// One build, as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Seconds since 1970 at which it began.
    pub started: u64,
    /// Seconds since 1970 of its latest commit.
    pub latest: u64,
    /// Documents added.
    pub added: usize,
    /// Documents that were there already.
    pub skipped: usize,
    /// Documents to do.
    pub wanted: usize,
    /// What did the extraction.
    pub method: String,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            next_segment: 1,
            segments: Vec::new(),
            unmerged: BTreeSet::new(),
            runs: Vec::new(),
        }
    }
}

impl Manifest {
    /// Reads the manifest of the store in `dir`; a store without one is new.
    pub(super) fn read(dir: &Path) -> Result<Manifest, GraphError> {
        let path = dir.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Manifest::default()),
            Err(error) => return Err(at(&path)(error)),
        };
        let damaged = |what: String| GraphError::Damaged {
            path: path.clone(),
            what,
        };
        let any: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match any.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {
                serde_json::from_value(any).map_err(|error| damaged(error.to_string()))
            }
            Some(format) => Err(GraphError::Format {
                path: dir.to_owned(),
                found: u32::try_from(format).unwrap_or(u32::MAX),
                known: FORMAT,
            }),
            None => Err(damaged("it names no format".to_owned())),
        }
    }

    /// Replaces the manifest of the store in `dir`; after a crash there is the old one or this one.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), GraphError> {
        let spare = self.runs.len().saturating_sub(N_RUNS);
        self.runs.drain(..spare);
        let unfinished = dir.join(UNFINISHED);
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| GraphError::Damaged {
            path: unfinished.clone(),
            what: error.to_string(),
        })?;
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(at(&unfinished))?;
        let path = dir.join(MANIFEST);
        fs::rename(&unfinished, &path).map_err(at(&path))?;
        sync_folder(dir)
    }

    /// All documents, sorted by id.
    pub(super) fn documents(&self) -> Vec<StoredDocument> {
        let mut all: Vec<_> = self
            .segments
            .iter()
            .flat_map(|segment| segment.documents.iter().cloned())
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

/// Makes renames in a folder last: without it a power cut may undo them.
pub(super) fn sync_folder(dir: &Path) -> Result<(), GraphError> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(at(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Manifest::default());
        let mut manifest = Manifest {
            next_segment: 7,
            ..Manifest::default()
        };
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), manifest);
        manifest.format = 9;
        manifest.write(dir.path()).unwrap();
        let error = Manifest::read(dir.path()).unwrap_err();
        assert!(matches!(
            error,
            GraphError::Format {
                found: 9,
                known: 1,
                ..
            }
        ));
        fs::write(dir.path().join(MANIFEST), b"{ half").unwrap();
        let error = Manifest::read(dir.path()).unwrap_err();
        assert!(matches!(error, GraphError::Damaged { .. }));
    }
}
