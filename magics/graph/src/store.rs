//! A directory that holds documents with what was found in them, and survives a kill at any moment.
//!
//! ```text
//! manifest.json            which segments count; replaced atomically
//! segments/s000001/*.parquet   documents, sentences, mentions, triples
//! writer.lock              held while a process writes
//! ```
//! A segment is written whole under another name and renamed; then the manifest that names it replaces the old one.
//! What no manifest names is a leftover and is swept away by the next writer.

mod commit;
mod lock;
mod manifest;
mod segment;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mlk8s_corpus::{Document, Watch};
use rayon::prelude::*;

pub use manifest::{Run, StoredDocument};
pub use statements::Stated;

use crate::error::{GraphError, at};
use crate::extract::{Analysed, digest};
use crate::index::Index;
use manifest::Manifest;

/// Names what did the extraction; documents stored by another method are done again.
const METHOD: &str = concat!("clauses ", env!("CARGO_PKG_VERSION"));
/// How long finished documents may wait for their commit.
const COMMIT_AFTER: Duration = Duration::from_secs(1);

/// Documents and what was found in them, on disk.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    documents: Vec<StoredDocument>,
    commit_after: Duration,
}

/// What a change of a store did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Documents added, or done again because their text had changed.
    pub added: usize,
    /// Documents that were there already.
    pub skipped: usize,
    /// Documents removed.
    pub removed: usize,
    /// Documents in the store now.
    pub documents: usize,
    /// Sentences in the store now.
    pub sentences: usize,
    /// Mentions of noun phrases in the store now.
    pub mentions: usize,
    /// Triples in the store now.
    pub triples: usize,
    /// Whether the work was stopped before its end; what was finished is stored.
    pub cancelled: bool,
}

impl Store {
    /// Opens the store in `dir`, which is made if it does not exist; leftovers of a kill are swept away.
    pub fn open(dir: &Path) -> Result<Store, GraphError> {
        let segments = dir.join("segments");
        fs::create_dir_all(&segments).map_err(at(&segments))?;
        let mut store = Store {
            dir: dir.to_owned(),
            manifest: Manifest::read(dir)?,
            documents: Vec::new(),
            commit_after: COMMIT_AFTER,
        };
        store.documents = store.manifest.documents();
        match store.begin_writing() {
            // Somebody else is writing: their half-written segments are no leftovers, and reading needs no lock.
            Ok(_) | Err(GraphError::Busy { .. }) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// What is stored, sorted by id.
    pub fn documents(&self) -> &[StoredDocument] {
        &self.documents
    }

    /// The latest builds, oldest first.
    pub fn runs(&self) -> &[Run] {
        &self.manifest.runs
    }

    /// Sets how long finished documents may wait for their commit: a kill loses that much work. A second by default.
    pub fn commit_after(&mut self, wait: Duration) {
        self.commit_after = wait;
    }

    /// Adds documents, in parallel; those that are there already are skipped.
    ///
    /// Finished documents are committed about every second. A stop keeps what is finished and is told in the report.
    pub fn add(
        &mut self,
        corpus: &[Document],
        watch: &dyn Watch,
    ) -> Result<BuildReport, GraphError> {
        let _lock = self.begin_writing()?;
        let stored: BTreeMap<&str, &str> = self
            .documents
            .iter()
            .map(|d| (d.id.as_str(), d.digest.as_str()))
            .collect();
        let wanted: BTreeMap<&str, (&Document, String)> = corpus
            .iter()
            .map(|document| {
                (
                    document.id.as_str(),
                    (document, format!("{METHOD}: {}", digest(document))),
                )
            })
            .collect();
        let mut pending: Vec<(&Document, String)> = Vec::new();
        for (id, (document, digest)) in &wanted {
            if stored.get(id) != Some(&digest.as_str()) {
                pending.push((document, digest.clone()));
            }
        }
        let n_skipped = wanted.len() - pending.len();
        let replaced: BTreeSet<String> = pending
            .iter()
            .map(|(d, _)| d.id.clone())
            .filter(|id| stored.contains_key(id.as_str()))
            .collect();
        // The longest first: otherwise one thread works on a long last document while the others wait.
        pending.sort_by_key(|(document, _)| std::cmp::Reverse(document.text.len()));
        self.manifest.runs.push(Run {
            started: now(),
            latest: now(),
            added: 0,
            skipped: n_skipped,
            wanted: wanted.len(),
            method: METHOD.to_owned(),
        });
        let n_added = self.work(&pending, &replaced, n_skipped, watch)?;
        self.compact()?;
        let mut report = self.report();
        report.added = n_added;
        report.skipped = n_skipped;
        report.cancelled = n_added < pending.len();
        Ok(report)
    }

    /// Removes documents; what is left is exactly what a store of the others would hold.
    pub fn remove(&mut self, ids: &[String]) -> Result<BuildReport, GraphError> {
        let _lock = self.begin_writing()?;
        let doomed: BTreeSet<String> = ids.iter().cloned().collect();
        let n_before = self.documents.len();
        self.drop_documents(&doomed)?;
        let mut report = self.report();
        report.removed = n_before - self.documents.len();
        Ok(report)
    }

    /// Removes every document whose id is not among `ids`.
    pub fn retain(&mut self, ids: &BTreeSet<String>) -> Result<BuildReport, GraphError> {
        let doomed: Vec<String> = self
            .documents
            .iter()
            .map(|d| d.id.clone())
            .filter(|id| !ids.contains(id))
            .collect();
        if doomed.is_empty() {
            return Ok(self.report());
        }
        self.remove(&doomed)
    }

    /// Keeps `name` from being merged with other names, or lets it be merged again.
    pub fn set_unmerged(&mut self, name: &str, unmerged: bool) -> Result<(), GraphError> {
        let _lock = self.begin_writing()?;
        let changed = if unmerged {
            self.manifest.unmerged.insert(name.to_owned())
        } else {
            self.manifest.unmerged.remove(name)
        };
        if changed {
            self.manifest.write(&self.dir)
        } else {
            Ok(())
        }
    }

    /// Builds the index; it depends on nothing but the set of documents and the names kept apart.
    pub fn load(&self) -> Result<Index, GraphError> {
        let manifest = Manifest::read(&self.dir)?;
        let read: Vec<Result<Vec<Analysed>, GraphError>> = manifest
            .segments
            .par_iter()
            .map(|segment| segment::read(&self.segment_dir(&segment.name)))
            .collect();
        let mut documents = Vec::with_capacity(self.documents.len());
        for segment in read {
            documents.extend(segment?);
        }
        documents.sort_by(|a, b| a.text.id.cmp(&b.text.id));
        Ok(Index::new(documents, &manifest.unmerged))
    }

    fn segment_dir(&self, name: &str) -> PathBuf {
        self.dir.join("segments").join(name)
    }

    /// Takes the lock, sees what others committed since, and sweeps leftovers away.
    fn begin_writing(&mut self) -> Result<lock::WriterLock, GraphError> {
        let lock = lock::lock(&self.dir)?;
        self.manifest = Manifest::read(&self.dir)?;
        self.documents = self.manifest.documents();
        let known: BTreeSet<&str> = self
            .manifest
            .segments
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        let segments = self.dir.join("segments");
        for entry in fs::read_dir(&segments).map_err(at(&segments))? {
            let path = entry.map_err(at(&segments))?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            if name.is_none_or(|name| !known.contains(name.as_str())) {
                fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        Ok(lock)
    }

    fn report(&self) -> BuildReport {
        let sum = |number: fn(&StoredDocument) -> usize| self.documents.iter().map(number).sum();
        BuildReport {
            documents: self.documents.len(),
            sentences: sum(|d| d.n_sentences),
            mentions: sum(|d| d.n_mentions),
            triples: sum(|d| d.n_triples),
            ..BuildReport::default()
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
