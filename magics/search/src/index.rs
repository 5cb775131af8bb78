//! An index: a directory of items, their words and their vectors, grown step by step.
//!
//! ```text
//! meta.json, *.idx, *.store …   words and items (tantivy); meta.json is the commit point and names the vectors that count
//! vectors/000001.vec            vectors, written once
//! vectors/000002.hnsw           graph of one of those files, if there are many vectors
//! writer.lock                   held while a process writes
//! ```
//! A kill at any moment leaves the state of the last commit.

mod add;
mod check;
mod commit;
mod compact;
mod graph;
mod lock;
mod snapshot;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tantivy::directory::MmapDirectory;
use tantivy::schema::Value as _;
use tantivy::{IndexSettings, TantivyDocument};

use crate::error::{SearchError, at, words as failed};
use crate::item::{Item, Kind};
use crate::settings::Settings;
use crate::vectors::{Recall, Segment};
use crate::words::{Columns, register};
pub use add::{Added, Vectors};
pub(crate) use check::{no_direction, norm};
pub(crate) use commit::Commit;
use commit::{FORMAT, VECTORS};
pub use compact::Compacted;
pub(crate) use graph::By;
pub(crate) use snapshot::Snapshot;

/// Items on disk that can be searched; see the file's description for what is where.
pub struct Index {
    pub(crate) dir: PathBuf,
    pub(crate) columns: Columns,
    pub(crate) words: tantivy::Index,
    pub(crate) snapshot: Snapshot,
}

/// What an index holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Items.
    pub n_items: usize,
    /// Items with a vector.
    pub n_vectors: usize,
    /// Dimensions of the vectors; none before the first.
    pub dims: Option<usize>,
    /// What share of the nearest vectors is found; none if all of them are looked at.
    pub recall: Option<Recall>,
    /// Size on disk.
    pub n_bytes: u64,
    /// Fields and their kinds.
    pub fields: BTreeMap<String, Kind>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("dir", &self.dir)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Makes an index in `dir`, which is made if it does not exist; an index that is there already is an error.
    pub fn create(dir: &Path, settings: Settings) -> Result<Self, SearchError> {
        std::fs::create_dir_all(dir.join(VECTORS)).map_err(at(dir))?;
        let lock = lock::lock(dir)?;
        if Self::is_index(dir) {
            return Err(SearchError::Exists {
                path: dir.to_owned(),
            });
        }
        let columns = Columns::new();
        let directory = MmapDirectory::open(dir).map_err(|e| failed(dir)(e.into()))?;
        let words =
            tantivy::Index::create(directory, columns.schema.clone(), IndexSettings::default())
                .map_err(failed(dir))?;
        register(&words, settings.language);
        let commit = Commit {
            format: FORMAT,
            settings,
            ..Commit::default()
        };
        let mut writer = upkeep::writer(dir, &words)?;
        upkeep::commit(dir, &mut writer, &commit)?;
        drop((writer, lock));
        Self::open(dir)
    }

    /// Opens the index in `dir` at its last commit; takes no lock, and a writer may go on meanwhile.
    pub fn open(dir: &Path) -> Result<Self, SearchError> {
        if !Self::is_index(dir) {
            return Err(SearchError::NotIndex {
                path: dir.to_owned(),
            });
        }
        let words = tantivy::Index::open_in_dir(dir).map_err(failed(dir))?;
        let columns = Columns::new();
        if words.schema() != columns.schema {
            return Err(SearchError::Damaged {
                path: dir.join("meta.json"),
                what: "its columns are not those of a search index".to_owned(),
            });
        }
        let snapshot = Snapshot::load(dir, &words)?;
        register(&words, snapshot.commit.settings.language);
        Ok(Self {
            dir: dir.to_owned(),
            columns,
            words,
            snapshot,
        })
    }

    /// Whether there is an index in `dir`, whole or not.
    pub fn is_index(dir: &Path) -> bool {
        // A kill inside `create` leaves a meta.json without payload: no index yet, and `create` may begin again.
        std::fs::read_to_string(dir.join("meta.json"))
            .is_ok_and(|meta| meta.contains("\"payload\""))
    }

    /// Goes to the last commit; says whether there was a newer one.
    pub fn reload(&mut self) -> Result<bool, SearchError> {
        let metas = self.words.load_metas().map_err(failed(&self.dir))?;
        if snapshot::same(&metas, &self.snapshot.meta) {
            return Ok(false);
        }
        self.snapshot = Snapshot::load(&self.dir, &self.words)?;
        // Another index may have taken the place of this one.
        register(&self.words, self.snapshot.commit.settings.language);
        Ok(true)
    }

    /// Where the index is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the index was made with.
    pub fn settings(&self) -> &Settings {
        &self.snapshot.commit.settings
    }

    /// What the index holds.
    pub fn stats(&self) -> Stats {
        let snapshot = &self.snapshot;
        Stats {
            n_items: snapshot.alive.count(),
            n_vectors: snapshot.n_vectors(),
            dims: snapshot.commit.dims,
            recall: snapshot.graph.recall(),
            n_bytes: size(&self.dir),
            fields: snapshot.commit.fields.iter().cloned().collect(),
        }
    }

    /// The item with this id.
    pub fn get(&self, id: &str) -> Result<Option<Item>, SearchError> {
        let found = self
            .snapshot
            .find(&self.columns, id)
            .map_err(failed(&self.dir))?;
        found.map(|row| self.item(row)).transpose()
    }

    /// The vector of the item with this id, of unit length; none where it has none, or there is no such item.
    pub fn vector(&self, id: &str) -> Result<Option<&[f32]>, SearchError> {
        let row = self
            .snapshot
            .find(&self.columns, id)
            .map_err(failed(&self.dir))?;
        Ok(row.and_then(|row| self.snapshot.vector(row)))
    }

    /// The ids of all items, in order.
    pub fn ids(&self) -> Result<Vec<String>, SearchError> {
        let rows = 0..self.snapshot.commit.n_rows;
        let alive = rows.filter(|&row| self.snapshot.alive.get(row));
        let ids: Result<Vec<String>, _> = alive.map(|row| self.snapshot.id(row)).collect();
        let mut ids = ids.map_err(failed(&self.dir))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// The item of a row that is alive.
    pub(crate) fn item(&self, row: u32) -> Result<Item, SearchError> {
        let damaged = |what: &str| SearchError::Damaged {
            path: self.dir.clone(),
            what: format!("item {row} {what}"),
        };
        let address = self
            .snapshot
            .address(row)
            .ok_or_else(|| damaged("is missing"))?;
        let document: TantivyDocument = self
            .snapshot
            .searcher
            .doc(address)
            .map_err(failed(&self.dir))?;
        let stored = document
            .get_first(self.columns.item)
            .and_then(|value| value.as_bytes());
        let bytes = stored.ok_or_else(|| damaged("is not stored"))?;
        serde_json::from_slice(bytes).map_err(|e| damaged(&format!("cannot be read: {e}")))
    }

    /// Reads every file and compares it with its checksum; the error names the first that is damaged.
    pub fn verify(&self) -> Result<(), SearchError> {
        let damaged = self.words.validate_checksum().map_err(failed(&self.dir))?;
        if let Some(path) = damaged.into_iter().min() {
            return Err(SearchError::Damaged {
                path: self.dir.join(path),
                what: "its checksum does not fit".to_owned(),
            });
        }
        self.snapshot
            .segments
            .iter()
            .try_for_each(Segment::verify)?;
        self.verify_graph()
    }
}

/// Bytes of all files of a folder and the folders in it; what vanishes meanwhile counts nothing.
fn size(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
pub(crate) mod tests;
