//! How an index is put in order: removed items leave the disk, small files become large ones.

use super::{Commit, Index, size, upkeep};
use crate::error::{SearchError, words as failed};
use crate::vectors::{self, Recall, Segment};
use crate::watch::Watch;

/// What putting in order did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Vectors of removed or replaced items that went.
    pub n_dropped: usize,
    /// What share of the nearest vectors is found from now on; none if all of them are looked at.
    pub recall: Option<Recall>,
    /// Size on disk before.
    pub n_bytes_before: u64,
    /// Size on disk after.
    pub n_bytes_after: u64,
}

impl Index {
    /// Drops what was removed, merges all segments, and makes the graph of many vectors or brings it up to date.
    ///
    /// Results of searches stay the same but for what a graph misses, see [`Recall`]. A graph takes about a third of a
    /// millisecond of one core a new vector. A stop changes nothing.
    pub fn compact(&mut self, watch: &dyn Watch) -> Result<Compacted, SearchError> {
        let _lock = self.begin_writing()?;
        let n_bytes_before = size(&self.dir);
        let mut commit = self.snapshot.commit.clone();
        let n_dropped = self.compact_vectors(&mut commit, watch)?;
        self.compact_graph(&mut commit, watch)?;
        if watch.stopped() {
            return Err(SearchError::Stopped);
        }
        let mut writer = upkeep::writer(&self.dir, &self.words)?;
        if commit != self.snapshot.commit {
            upkeep::commit(&self.dir, &mut writer, &commit)?;
            self.reload()?;
        }
        let readers = self.snapshot.searcher.segment_readers();
        if readers.len() > 1 || readers.iter().any(tantivy::SegmentReader::has_deletes) {
            self.merge_words(&mut writer, 0)?;
        }
        writer.wait_merging_threads().map_err(failed(&self.dir))?;
        self.reload()?;
        self.sweep()?;
        Ok(Compacted {
            n_dropped,
            recall: self.snapshot.graph.recall(),
            n_bytes_before,
            n_bytes_after: size(&self.dir),
        })
    }

    /// Writes living vectors into one file; says how many others there were.
    fn compact_vectors(
        &self,
        commit: &mut Commit,
        watch: &dyn Watch,
    ) -> Result<usize, SearchError> {
        let segments = &self.snapshot.segments;
        let n: usize = segments.iter().map(Segment::len).sum();
        let (rows, places) = self.snapshot.living(segments);
        let n_dropped = n - rows.len();
        if segments.len() > 1 || n_dropped > 0 {
            commit.segments.clear();
            if !rows.is_empty() {
                watch.step(0, rows.len(), "vectors");
                let name = commit.next_file("vec");
                vectors::write(
                    &Commit::path(&self.dir, &name),
                    segments[0].dims(),
                    &rows,
                    &|i, out| {
                        let (segment, position) = places[i];
                        out.copy_from_slice(segments[segment].vector(position));
                    },
                )?;
                commit.segments.push(name);
            }
        }
        Ok(n_dropped)
    }
}
