//! What surrounds every change: the lock, the commit, merging of small segments and sweeping of leftovers.

use std::collections::BTreeMap;
use std::path::Path;

use tantivy::IndexWriter;

use super::commit::VECTORS;
use super::{Commit, Index, lock};
use crate::error::{SearchError, at, words as failed};

/// How long the lock of an earlier writer is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
/// Memory for words before they are flushed; more gives fewer segments.
const WORDS_MEMORY: usize = 128 << 20;
/// Small segments at the end are put together when there are so many.
pub(super) const MANY: usize = 4;

impl Index {
    /// Takes the lock, goes to the last commit and sweeps away what a killed writer left.
    pub(super) fn begin_writing(&mut self) -> Result<lock::WriterLock, SearchError> {
        let lock = lock::lock(&self.dir)?;
        self.reload()?;
        self.sweep()?;
        Ok(lock)
    }

    /// Puts small segments of words together, and goes to what was committed.
    pub(super) fn end_writing(&mut self, mut writer: IndexWriter) -> Result<(), SearchError> {
        self.reload()?;
        let sizes: Vec<usize> = self.in_order().iter().map(|&(_, n)| n).collect();
        let start = suffix(&sizes);
        if sizes.len() - start >= MANY {
            self.merge_words(&mut writer, start)?;
        }
        writer.wait_merging_threads().map_err(failed(&self.dir))?;
        self.reload()?;
        self.sweep()
    }

    /// Segments of words in the order of their rows: place among the searcher's and number of documents.
    fn in_order(&self) -> Vec<(usize, usize)> {
        let mut order: Vec<(u32, usize, usize)> = self
            .snapshot
            .rows
            .iter()
            .enumerate()
            .map(|(place, rows)| (rows.first().copied().unwrap_or(0), place, rows.len()))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, place, n)| (place, n)).collect()
    }

    /// Merges the segments of words from `start` on, in the order of their rows, which the merged one keeps.
    pub(super) fn merge_words(
        &mut self,
        writer: &mut IndexWriter,
        start: usize,
    ) -> Result<(), SearchError> {
        let readers = self.snapshot.searcher.segment_readers();
        let ids: Vec<_> = self.in_order()[start..]
            .iter()
            .map(|&(place, _)| readers[place].segment_id())
            .collect();
        writer.merge(&ids).wait().map_err(failed(&self.dir))?;
        self.reload()?;
        Ok(())
    }

    /// Deletes files of segments that the last commit does not name.
    ///
    /// The word index would sweep its own, but after a kill it first trips over the list of deletions that it finds there.
    pub(super) fn sweep(&self) -> Result<(), SearchError> {
        let segments = &self.snapshot.meta.segments;
        let living: BTreeMap<String, Option<u64>> = segments
            .iter()
            .map(|segment| (segment.id().uuid_string(), segment.delete_opstamp()))
            .collect();
        let doomed_words = |name: &str| {
            let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
            let of_segment = stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit());
            of_segment
                && match (living.get(stem), rest.strip_suffix(".del")) {
                    (None, _) => true,
                    (Some(stamp), Some(found)) => {
                        stamp.is_none_or(|stamp| stamp.to_string() != found)
                    }
                    (Some(_), None) => false,
                }
        };
        delete(&self.dir, doomed_words)?;
        delete(&self.dir.join(VECTORS), |name| {
            !self.snapshot.commit.names(name)
        })
    }
}

/// Start of the run of small segments at the end: each is at most twice as large as all after it.
///
/// Putting such runs together keeps the number of segments logarithmic, and writes an item a logarithmic number of times.
pub(super) fn suffix(sizes: &[usize]) -> usize {
    let mut total = 0;
    for (i, &size) in sizes.iter().enumerate().rev() {
        if total > 0 && size > 2 * total {
            return i + 1;
        }
        total += size;
    }
    0
}

/// Deletes files of a folder by their names.
fn delete(folder: &Path, doomed: impl Fn(&str) -> bool) -> Result<(), SearchError> {
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if entry.file_name().to_str().is_some_and(&doomed) {
            std::fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

/// A writer of words that merges only when it is told: one thread, so that documents keep their order.
pub(super) fn writer(dir: &Path, words: &tantivy::Index) -> Result<IndexWriter, SearchError> {
    let begun = std::time::Instant::now();
    let writer: IndexWriter = loop {
        match words.writer_with_num_threads(1, WORDS_MEMORY) {
            // Ours is the only writer; a process that is just being started from here holds the last one's lock until its
            // program begins.
            Err(tantivy::TantivyError::LockFailure(..)) if begun.elapsed() < PATIENCE => {
                std::thread::yield_now();
            }
            writer => break writer.map_err(failed(dir))?,
        }
    };
    writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
    Ok(writer)
}

/// Makes everything count that was written, atomically.
pub(super) fn commit(
    dir: &Path,
    writer: &mut IndexWriter,
    commit: &Commit,
) -> Result<(), SearchError> {
    let folder = dir.join(VECTORS);
    // The names of new files must be on the disk before a commit names them.
    std::fs::File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(&folder))?;
    let payload = serde_json::to_string(commit).map_err(|e| at(dir)(e.into()))?;
    let mut prepared = writer.prepare_commit().map_err(failed(dir))?;
    prepared.set_payload(&payload);
    prepared.commit().map_err(failed(dir))?;
    Ok(())
}
