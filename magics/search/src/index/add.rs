//! How items come into an index and go out of it: all or nothing, in one commit.

use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value as Json};
use tantivy::{IndexWriter, TantivyDocument, Term};

use super::check::{check_items, name_fields};
use super::upkeep::{MANY, commit, suffix, writer};
use super::{Commit, Index};
use crate::error::{SearchError, at, words as failed};
use crate::item::{Item, Value, digest};
use crate::vectors::{self, Segment};
use crate::watch::Watch;

/// A vector whose cosine with the stored one is at least this has not changed: models differ by that much between batches.
const SAME: f32 = 0.9999;
/// Items between two reports.
const REPORT: usize = 512;

/// Vectors of items, row by row; of any length but zero.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    /// n×dims values.
    pub values: &'a [f32],
    /// Dimensions of a vector.
    pub dims: usize,
}

/// What adding did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Items with an id that was not there.
    pub n_new: usize,
    /// Items that took the place of one with their id.
    pub n_replaced: usize,
    /// Items that were there as they are.
    pub n_unchanged: usize,
}

/// An item that is to be written.
struct Fresh<'a> {
    item: &'a Item,
    /// Place among what was given.
    at: usize,
    json: Vec<u8>,
    digest: u64,
    replaces: bool,
}

impl Index {
    /// Places of the items that [`Index::add`] would not skip: only these need vectors, if any do (`with_vectors`).
    pub fn changed(&self, items: &[Item], with_vectors: bool) -> Result<Vec<usize>, SearchError> {
        let known = self.known(items)?;
        let changed = items
            .iter()
            .zip(known)
            .enumerate()
            .filter(|(_, (_, (row, same)))| {
                let has_vector = row.is_some_and(|row| self.snapshot.vector(row).is_some());
                !same || with_vectors && !has_vector
            });
        Ok(changed.map(|(at, _)| at).collect())
    }

    /// Adds items, or replaces those with the same id, in one commit; `vectors` has one for each.
    ///
    /// An item that is there unchanged costs nothing; without `vectors` it keeps the one it has. Takes the writer's lock for
    /// the call. A stop before the commit changes nothing.
    pub fn add(
        &mut self,
        items: &[Item],
        vectors: Option<Vectors<'_>>,
        watch: &dyn Watch,
    ) -> Result<Added, SearchError> {
        let _lock = self.begin_writing()?;
        check_items(items, vectors.is_some())?;
        let norms = vectors
            .map(|vectors| self.check_vectors(vectors, items.len()))
            .transpose()?;
        let unit = |at: usize, out: &mut [f32]| {
            if let (Some(vectors), Some(norms)) = (vectors, &norms) {
                let vector = &vectors.values[at * vectors.dims..(at + 1) * vectors.dims];
                out.iter_mut()
                    .zip(vector)
                    .for_each(|(out, v)| *out = v / norms[at]);
            }
        };
        let fresh = self.fresh(items, vectors.map(|v| v.dims), &unit)?;
        let n_replaced = fresh.iter().filter(|fresh| fresh.replaces).count();
        let added = Added {
            n_new: fresh.len() - n_replaced,
            n_replaced,
            n_unchanged: items.len() - fresh.len(),
        };
        if fresh.is_empty() {
            return Ok(added);
        }
        let mut state = self.snapshot.commit.clone();
        let first_row = state.n_rows;
        state.n_rows = u32::try_from(fresh.len())
            .ok()
            .and_then(|n| first_row.checked_add(n))
            .ok_or_else(|| SearchError::Damaged {
                path: self.dir.clone(),
                what: "its rows are used up; build it anew".to_owned(),
            })?;
        name_fields(&mut state.fields, fresh.iter().map(|fresh| fresh.item))?;
        let mut writer = writer(&self.dir, &self.words)?;
        self.write_items(&writer, &state, &fresh, watch)?;
        if let Some(vectors) = vectors {
            state.dims = Some(vectors.dims);
            let rows: Vec<u32> = (first_row..state.n_rows).collect();
            self.write_vectors(&mut state, &rows, &|i, out| unit(fresh[i].at, out))?;
        }
        if watch.stopped() {
            return Err(SearchError::Stopped);
        }
        commit(&self.dir, &mut writer, &state)?;
        watch.step(fresh.len(), fresh.len(), "items");
        self.end_writing(writer)?;
        Ok(added)
    }

    /// Removes items; says how many of the ids there were.
    pub fn remove(&mut self, ids: &[&str]) -> Result<usize, SearchError> {
        let _lock = self.begin_writing()?;
        let mut doomed = Vec::new();
        for &id in ids {
            if let Some(row) = self
                .snapshot
                .find(&self.columns, id)
                .map_err(failed(&self.dir))?
            {
                doomed.push((row, id));
            }
        }
        doomed.sort_unstable();
        doomed.dedup();
        if doomed.is_empty() {
            return Ok(0);
        }
        let mut writer = writer(&self.dir, &self.words)?;
        for (_, id) in &doomed {
            writer.delete_term(Term::from_field_text(self.columns.id, id));
        }
        let state = self.snapshot.commit.clone();
        commit(&self.dir, &mut writer, &state)?;
        self.end_writing(writer)?;
        Ok(doomed.len())
    }

    /// Row of the item with the same id, and whether it is the same.
    fn known(&self, items: &[Item]) -> Result<Vec<(Option<u32>, bool)>, SearchError> {
        let known = |item: &Item| -> tantivy::Result<(Option<u32>, bool)> {
            let Some(row) = self.snapshot.find(&self.columns, &item.id)? else {
                return Ok((None, false));
            };
            let digest = digest(&serde_json::to_vec(item).unwrap_or_default());
            Ok((Some(row), self.snapshot.digest(row)? == Some(digest)))
        };
        let known: Result<Vec<_>, _> = items.par_iter().map(known).collect();
        known.map_err(failed(&self.dir))
    }

    /// The items that are not there as they are.
    fn fresh<'a>(
        &self,
        items: &'a [Item],
        dims: Option<usize>,
        unit: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Result<Vec<Fresh<'a>>, SearchError> {
        let known = self.known(items)?;
        let fresh = items
            .par_iter()
            .enumerate()
            .zip(known)
            .map(|((at, item), (row, same))| {
                let stored = row.and_then(|row| self.snapshot.vector(row));
                let same_vector = match (dims, stored) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(dims), Some(stored)) => {
                        let mut vector = vec![0.0; dims];
                        unit(at, &mut vector);
                        vector.iter().zip(stored).map(|(a, b)| a * b).sum::<f32>() >= SAME
                    }
                };
                if same && same_vector {
                    return Ok(None);
                }
                let json = serde_json::to_vec(item).map_err(|e| at_serde(&self.dir, e))?;
                Ok(Some(Fresh {
                    item,
                    at,
                    digest: digest(&json),
                    json,
                    replaces: row.is_some(),
                }))
            });
        let fresh: Result<Vec<Option<Fresh>>, SearchError> = fresh.collect();
        Ok(fresh?.into_iter().flatten().collect())
    }

    fn write_items(
        &self,
        writer: &IndexWriter,
        commit: &Commit,
        fresh: &[Fresh],
        watch: &dyn Watch,
    ) -> Result<(), SearchError> {
        let first_row = commit.n_rows as usize - fresh.len();
        for (i, fresh) in fresh.iter().enumerate() {
            if i % REPORT == 0 {
                if watch.stopped() {
                    return Err(SearchError::Stopped);
                }
                watch.step(i, commit.n_rows as usize - first_row, "items");
            }
            if fresh.replaces {
                writer.delete_term(Term::from_field_text(self.columns.id, &fresh.item.id));
            }
            let document = self.document(commit, fresh, (first_row + i) as u64);
            writer.add_document(document).map_err(failed(&self.dir))?;
        }
        Ok(())
    }

    fn document(&self, commit: &Commit, fresh: &Fresh, row: u64) -> TantivyDocument {
        let (columns, item) = (&self.columns, fresh.item);
        let mut document = TantivyDocument::new();
        document.add_text(columns.id, &item.id);
        document.add_u64(columns.row, row);
        document.add_u64(columns.digest, fresh.digest);
        // Two values, so that no phrase runs from the title into the text.
        document.add_text(columns.words, &item.title);
        document.add_text(columns.words, &item.text);
        document.add_text(columns.title, &item.title);
        document.add_text(columns.source, &item.source);
        let mut fields = Map::new();
        for (place, (name, _)) in commit.fields.iter().enumerate() {
            let value = match item.fields.get(name) {
                Some(Value::Text(text)) => Json::from(text.as_str()),
                Some(Value::Number(number)) if number.is_finite() => Json::from(*number),
                Some(Value::Date(date)) => Json::from(date.0),
                Some(Value::Bool(truth)) => Json::from(*truth),
                _ => continue,
            };
            fields.insert(format!("f{place}"), value);
        }
        document.add_object(
            columns.fields,
            fields
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        );
        document.add_bytes(columns.item, &fresh.json);
        document
    }

    /// Writes new vectors, together with those of small files at the end when there are many; the commit names the result.
    fn write_vectors(
        &self,
        commit: &mut Commit,
        rows: &[u32],
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Result<(), SearchError> {
        let Some(dims) = commit.dims else {
            return Ok(());
        };
        let mut sizes: Vec<usize> = self.snapshot.segments.iter().map(Segment::len).collect();
        sizes.push(rows.len());
        // A file with a graph stays until all is put in order: the graph would be lost.
        let start = suffix(&sizes).max(self.snapshot.graph.n_kept());
        let absorbed: &[Segment] = if sizes.len() - start >= MANY {
            commit.segments.truncate(start);
            &self.snapshot.segments[start..]
        } else {
            &[]
        };
        let (old_rows, places) = self.snapshot.living(absorbed);
        let all: Vec<u32> = old_rows.iter().chain(rows).copied().collect();
        let name = commit.next_file("vec");
        vectors::write(
            &Commit::path(&self.dir, &name),
            dims,
            &all,
            &|i, out| match places.get(i) {
                Some(&(segment, position)) => {
                    out.copy_from_slice(absorbed[segment].vector(position));
                }
                None => fill(i - places.len(), out),
            },
        )?;
        commit.segments.push(name);
        Ok(())
    }
}

fn at_serde(dir: &Path, error: serde_json::Error) -> SearchError {
    at(dir)(error.into())
}
