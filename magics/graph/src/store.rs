//! A directory that holds documents with what was found in them, and survives a kill at any moment.
//!
//! ```text
//! manifest.json            which segments count; replaced atomically
//! segments/s000001/*.parquet   documents, sentences, mentions, triples
//! writer.lock              held while a process writes
//! ```
//! A segment is written whole under another name and renamed; then the manifest that names it replaces the old one.
//! What no manifest names is a leftover and is swept away by the next writer.

mod lock;
mod manifest;
mod segment;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use mlk8s_corpus::{Document, Watch};
use rayon::prelude::*;

pub use manifest::{Run, StoredDocument};

use crate::error::{GraphError, at};
use crate::extract::{Analysed, analyse, digest};
use crate::index::Index;
use manifest::{Manifest, Segment};

/// Names what did the extraction; documents stored by another method are done again.
const METHOD: &str = concat!("clauses ", env!("CARGO_PKG_VERSION"));
/// How long finished documents may wait for their commit.
const COMMIT_AFTER: Duration = Duration::from_secs(1);
/// Sentences that are committed without waiting, and the most that a compacted segment gathers.
const SEGMENT_SENTENCES: usize = 20_000;
/// Segments beyond which small ones are put together.
const MANY_SEGMENTS: usize = 24;
/// Finished documents that may wait for the writer.
const WAITING: usize = 8;

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
    pub fn add(&mut self, corpus: &[Document], watch: &dyn Watch) -> Result<BuildReport, GraphError> {
        let _lock = self.begin_writing()?;
        let stored: BTreeMap<&str, &str> =
            self.documents.iter().map(|d| (d.id.as_str(), d.digest.as_str())).collect();
        let wanted: BTreeMap<&str, (&Document, String)> = corpus
            .iter()
            .map(|document| (document.id.as_str(), (document, format!("{METHOD}: {}", digest(document)))))
            .collect();
        let mut pending: Vec<(&Document, String)> = Vec::new();
        for (id, (document, digest)) in &wanted {
            if stored.get(id) != Some(&digest.as_str()) {
                pending.push((document, digest.clone()));
            }
        }
        let n_skipped = wanted.len() - pending.len();
        let replaced: BTreeSet<String> =
            pending.iter().map(|(d, _)| d.id.clone()).filter(|id| stored.contains_key(id.as_str())).collect();
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
        let doomed: Vec<String> =
            self.documents.iter().map(|d| d.id.clone()).filter(|id| !ids.contains(id)).collect();
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
        if changed { self.manifest.write(&self.dir) } else { Ok(()) }
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
        let known: BTreeSet<&str> = self.manifest.segments.iter().map(|s| s.name.as_str()).collect();
        let segments = self.dir.join("segments");
        for entry in fs::read_dir(&segments).map_err(at(&segments))? {
            let path = entry.map_err(at(&segments))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if name.is_none_or(|name| !known.contains(name.as_str())) {
                fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        Ok(lock)
    }

    /// Analyses the pending documents on all threads and commits them here as they come.
    fn work(
        &mut self,
        pending: &[(&Document, String)],
        replaced: &BTreeSet<String>,
        n_skipped: usize,
        watch: &dyn Watch,
    ) -> Result<usize, GraphError> {
        let total = pending.len() + n_skipped;
        let done = AtomicUsize::new(n_skipped);
        if n_skipped > 0 && !pending.is_empty() {
            watch.step(n_skipped, total, "already there");
        }
        let (sender, receiver) = sync_channel::<(Analysed, String)>(WAITING);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let worked = |sender: &mut SyncSender<_>, (document, digest): &(&Document, String)| {
                    let analysed = (!watch.cancelled()).then(|| analyse(document, watch)).flatten()?;
                    // The writer is gone when it failed, and then there is nothing more to do.
                    sender.send((analysed, digest.clone())).ok()?;
                    watch.step(done.fetch_add(1, Ordering::Relaxed) + 1, total, &document.title);
                    Some(())
                };
                pending.par_iter().with_max_len(1).try_for_each_with(sender, worked)
            });
            self.gather(receiver, replaced)
        })
    }

    /// Commits what the workers send until they are done; takes the receiver, so that a failure here ends their wait.
    fn gather(&mut self, receiver: Receiver<(Analysed, String)>, replaced: &BTreeSet<String>) -> Result<usize, GraphError> {
        let mut batch: Vec<(Analysed, String)> = Vec::new();
        let (mut n_added, mut n_sentences, mut due) = (0, 0, Instant::now() + self.commit_after);
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let over = match receiver.recv_timeout(wait) {
                Ok(done) => {
                    n_sentences += done.0.sentences.len();
                    batch.push(done);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if over || Instant::now() >= due || n_sentences >= SEGMENT_SENTENCES {
                n_added += batch.len();
                self.commit(std::mem::take(&mut batch), replaced)?;
                (n_sentences, due) = (0, Instant::now() + self.commit_after);
            }
            if over {
                return Ok(n_added);
            }
        }
    }

    /// Makes a batch of documents count, in place of older versions of themselves.
    fn commit(&mut self, mut batch: Vec<(Analysed, String)>, replaced: &BTreeSet<String>) -> Result<(), GraphError> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.sort_by(|a, b| a.0.text.id.cmp(&b.0.text.id));
        let (documents, digests): (Vec<Analysed>, Vec<String>) = batch.into_iter().unzip();
        let old: BTreeSet<String> =
            documents.iter().map(|d| d.text.id.clone()).filter(|id| replaced.contains(id)).collect();
        let stale = self.rewrite_without(&old)?;
        let known = documents.iter().zip(digests).map(|(document, digest)| stored(document, digest)).collect();
        self.write_segment(&documents, known)?;
        if let Some(run) = self.manifest.runs.last_mut() {
            run.added += documents.len();
            run.latest = now();
        }
        self.take_effect(&stale)
    }

    /// Writes a segment and names it in the manifest, which is not yet written.
    fn write_segment(&mut self, documents: &[Analysed], known: Vec<StoredDocument>) -> Result<(), GraphError> {
        let name = format!("s{:06}", self.manifest.next_segment);
        self.manifest.next_segment += 1;
        segment::write(&self.dir.join("segments"), &name, documents)?;
        self.manifest.segments.push(Segment { name, documents: known });
        Ok(())
    }

    fn drop_documents(&mut self, doomed: &BTreeSet<String>) -> Result<(), GraphError> {
        let stale = self.rewrite_without(doomed)?;
        if stale.is_empty() { Ok(()) } else { self.take_effect(&stale) }
    }

    /// Replaces the segments that hold any of `doomed`; the names of those that no longer count are handed back.
    fn rewrite_without(&mut self, doomed: &BTreeSet<String>) -> Result<Vec<String>, GraphError> {
        let (touched, kept): (Vec<Segment>, Vec<Segment>) = std::mem::take(&mut self.manifest.segments)
            .into_iter()
            .partition(|segment| segment.documents.iter().any(|d| doomed.contains(&d.id)));
        self.manifest.segments = kept;
        for segment in &touched {
            let keep = |id: &String| !doomed.contains(id);
            let known: Vec<_> = segment.documents.iter().filter(|d| keep(&d.id)).cloned().collect();
            if !known.is_empty() {
                let mut documents = segment::read(&self.segment_dir(&segment.name))?;
                documents.retain(|document| keep(&document.text.id));
                self.write_segment(&documents, known)?;
            }
        }
        Ok(touched.into_iter().map(|segment| segment.name).collect())
    }

    /// Puts small segments together when there are many.
    fn compact(&mut self) -> Result<(), GraphError> {
        if self.manifest.segments.len() <= MANY_SEGMENTS {
            return Ok(());
        }
        let mut stale = Vec::new();
        let mut group: Vec<Segment> = Vec::new();
        let mut n_sentences = 0;
        for segment in std::mem::take(&mut self.manifest.segments) {
            let size: usize = segment.documents.iter().map(|d| d.n_sentences).sum();
            if n_sentences + size > SEGMENT_SENTENCES {
                self.put_together(std::mem::take(&mut group), &mut stale)?;
                n_sentences = 0;
            }
            n_sentences += size;
            group.push(segment);
        }
        self.put_together(group, &mut stale)?;
        self.take_effect(&stale)
    }

    fn put_together(&mut self, mut group: Vec<Segment>, stale: &mut Vec<String>) -> Result<(), GraphError> {
        if group.len() < 2 {
            self.manifest.segments.append(&mut group);
            return Ok(());
        }
        let (mut documents, mut known) = (Vec::new(), Vec::new());
        for segment in group {
            documents.extend(segment::read(&self.segment_dir(&segment.name))?);
            known.extend(segment.documents);
            stale.push(segment.name);
        }
        self.write_segment(&documents, known)
    }

    /// Writes the manifest and sweeps away the segments that no longer count.
    fn take_effect(&mut self, stale: &[String]) -> Result<(), GraphError> {
        self.manifest.write(&self.dir)?;
        self.documents = self.manifest.documents();
        for name in stale {
            let path = self.segment_dir(name);
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        Ok(())
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

fn stored(document: &Analysed, digest: String) -> StoredDocument {
    StoredDocument {
        id: document.text.id.clone(),
        title: document.text.title.clone(),
        source: document.text.source.clone(),
        kind: document.text.kind.clone(),
        digest,
        n_sentences: document.sentences.len(),
        n_mentions: document.n_mentions(),
        n_triples: document.n_triples(),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
