//! How documents come to count: analysed on all threads, written in segments, named in the manifest.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use mlk8s_corpus::{Document, Watch};
use rayon::prelude::*;

use super::manifest::{Segment, StoredDocument};
use super::{Store, now, segment};
use crate::error::{GraphError, at};
use crate::extract::{Analysed, analyse};

/// Sentences that are committed without waiting, and the most that a compacted segment gathers.
const SEGMENT_SENTENCES: usize = 20_000;
/// Segments beyond which small ones are put together.
pub(super) const MANY_SEGMENTS: usize = 24;
/// Finished documents that may wait for the writer.
const WAITING: usize = 8;

impl Store {
    /// Analyses the pending documents on all threads and commits them here as they come.
    pub(super) fn work(
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
                let worked =
                    |sender: &mut SyncSender<_>, (document, digest): &(&Document, String)| {
                        let analysed = (!watch.cancelled())
                            .then(|| analyse(document, watch))
                            .flatten()?;
                        // The writer is gone when it failed, and then there is nothing more to do.
                        sender.send((analysed, digest.clone())).ok()?;
                        watch.step(
                            done.fetch_add(1, Ordering::Relaxed) + 1,
                            total,
                            &document.title,
                        );
                        Some(())
                    };
                pending
                    .par_iter()
                    .with_max_len(1)
                    .try_for_each_with(sender, worked)
            });
            let gathered = self.gather(&receiver, replaced);
            // After a failure here the workers would wait for room that nobody makes.
            drop(receiver);
            gathered
        })
    }

    /// Commits what the workers send until they are done.
    fn gather(
        &mut self,
        receiver: &Receiver<(Analysed, String)>,
        replaced: &BTreeSet<String>,
    ) -> Result<usize, GraphError> {
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
    pub(super) fn commit(
        &mut self,
        mut batch: Vec<(Analysed, String)>,
        replaced: &BTreeSet<String>,
    ) -> Result<(), GraphError> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.sort_by(|a, b| a.0.text.id.cmp(&b.0.text.id));
        let (documents, digests): (Vec<Analysed>, Vec<String>) = batch.into_iter().unzip();
        let old: BTreeSet<String> = documents
            .iter()
            .map(|d| d.text.id.clone())
            .filter(|id| replaced.contains(id))
            .collect();
        let stale = self.rewrite_without(&old)?;
        let known = documents
            .iter()
            .zip(digests)
            .map(|(document, digest)| stored(document, digest))
            .collect();
        self.write_segment(&documents, known)?;
        if let Some(run) = self.manifest.runs.last_mut() {
            run.added += documents.len();
            run.latest = now();
        }
        self.take_effect(&stale)
    }

    /// Writes a segment and names it in the manifest, which is not yet written.
    fn write_segment(
        &mut self,
        documents: &[Analysed],
        known: Vec<StoredDocument>,
    ) -> Result<(), GraphError> {
        let name = format!("s{:06}", self.manifest.next_segment);
        self.manifest.next_segment += 1;
        segment::write(&self.dir.join("segments"), &name, documents)?;
        self.manifest.segments.push(Segment {
            name,
            documents: known,
        });
        Ok(())
    }

    pub(super) fn drop_documents(&mut self, doomed: &BTreeSet<String>) -> Result<(), GraphError> {
        let stale = self.rewrite_without(doomed)?;
        if stale.is_empty() {
            Ok(())
        } else {
            self.take_effect(&stale)
        }
    }

    /// Replaces the segments that hold any of `doomed`; the names of those that no longer count are handed back.
    fn rewrite_without(&mut self, doomed: &BTreeSet<String>) -> Result<Vec<String>, GraphError> {
        let (touched, kept): (Vec<Segment>, Vec<Segment>) =
            std::mem::take(&mut self.manifest.segments)
                .into_iter()
                .partition(|segment| segment.documents.iter().any(|d| doomed.contains(&d.id)));
        self.manifest.segments = kept;
        for segment in &touched {
            let keep = |id: &String| !doomed.contains(id);
            let known: Vec<_> = segment
                .documents
                .iter()
                .filter(|d| keep(&d.id))
                .cloned()
                .collect();
            if !known.is_empty() {
                let mut documents = segment::read(&self.segment_dir(&segment.name))?;
                documents.retain(|document| keep(&document.text.id));
                self.write_segment(&documents, known)?;
            }
        }
        Ok(touched.into_iter().map(|segment| segment.name).collect())
    }

    /// Puts small segments together when there are many.
    pub(super) fn compact(&mut self) -> Result<(), GraphError> {
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

    fn put_together(
        &mut self,
        mut group: Vec<Segment>,
        stale: &mut Vec<String>,
    ) -> Result<(), GraphError> {
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
