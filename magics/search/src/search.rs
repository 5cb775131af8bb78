//! How a query is answered: filter, words, vectors, fusion, passages.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::{SearchError, words as failed};
use crate::filter::{evaluate, parse};
use crate::fuse::{Fused, fuse};
use crate::index::{By, Index, no_direction, norm};
use crate::passage::passage;
use crate::query::{Hit, Mode, Query, Results, Rocchio};
use crate::vectors::{Bits, Scan, Scored};
use crate::words::{Asked, ranked};

/// Places that each list contributes to a fusion, at least.
const LEAST_DEPTH: usize = 100;

impl Index {
    /// Answers a query against the state that was opened or loaded last.
    pub fn search(&self, query: &Query) -> Result<Results, SearchError> {
        let start = Instant::now();
        let asked = Asked::read(&query.text, self.settings().language);
        let mode = self.mode(query, &asked)?;
        let mut notes = Vec::new();
        let mask = self.mask(&query.filter)?;
        let mask = mask.as_ref().unwrap_or(&self.snapshot.alive);
        let boosts = self.boosts(query, mask, &mut notes)?;
        let wanted = query.offset.saturating_add(query.top);
        // Marks may push down as many as there are.
        let depth = match mode {
            Mode::Hybrid => wanted.saturating_mul(2).max(LEAST_DEPTH),
            _ => wanted,
        };
        let depth = depth
            .saturating_add(boosts.len())
            .min(self.snapshot.alive.count())
            .max(1);
        let words = match mode {
            Mode::Vectors => Vec::new(),
            _ => self.by_words(&asked, mask, depth)?,
        };
        let (vectors, recall) = match (&query.vector, mode) {
            (Some(vector), Mode::Vectors | Mode::Hybrid) => {
                let vector = self.shifted(vector, query.rocchio.as_ref(), &mut notes)?;
                let by = if query.exact {
                    By::Scan(Scan::Codes)
                } else {
                    By::Graph
                };
                self.by_vectors(&vector, mask, depth, by, &mut notes)
            }
            _ => (Vec::new(), None),
        };
        let fused = fuse(&words, &vectors, &boosts);
        let weights = self.weights(&asked)?;
        let page = fused.iter().skip(query.offset).take(query.top);
        let hits: Result<Vec<Hit>, _> = page
            .map(|fused| self.hit(fused, mode, &asked, &weights))
            .collect();
        Ok(Results {
            hits: hits?,
            mode,
            n_items: self.snapshot.alive.count(),
            n_searched: mask.count(),
            recall,
            elapsed: start.elapsed(),
            notes,
        })
    }

    /// Reads a filter against the fields of this index, without searching.
    pub fn check_filter(&self, filter: &str) -> Result<(), SearchError> {
        if !filter.trim().is_empty() {
            parse(filter, &self.snapshot.commit.fields)?;
        }
        Ok(())
    }

    /// What counts for this query, with everything there that it needs.
    fn mode(&self, query: &Query, asked: &Asked) -> Result<Mode, SearchError> {
        let indexed = self.snapshot.dims().is_some();
        let has_words = !asked.words.is_empty();
        let mode = match query.mode {
            Mode::Auto => match (has_words, query.vector.is_some() && (indexed || !has_words)) {
                (true, true) => Mode::Hybrid,
                (true, false) => Mode::Words,
                (false, true) => Mode::Vectors,
                (false, false) => return Err(SearchError::EmptyQuery),
            },
            mode => mode,
        };
        if mode != Mode::Vectors && !has_words {
            return Err(SearchError::NoWords {
                text: query.text.clone(),
            });
        }
        if mode != Mode::Words {
            let vector = query
                .vector
                .as_deref()
                .ok_or(SearchError::NoVectors { in_query: true })?;
            self.check_vector(vector)?;
        }
        Ok(mode)
    }

    /// Whether a vector can be compared with those of the index.
    fn check_vector(&self, vector: &[f32]) -> Result<(), SearchError> {
        let wanted = self
            .snapshot
            .dims()
            .ok_or(SearchError::NoVectors { in_query: false })?;
        if vector.len() != wanted {
            return Err(SearchError::Dims {
                found: vector.len(),
                wanted,
            });
        }
        let length = norm(vector);
        if length.is_finite() && length > 0.0 {
            Ok(())
        } else {
            Err(no_direction(0, vector))
        }
    }

    /// Rows that a filter lets through; none for all.
    fn mask(&self, filter: &str) -> Result<Option<Bits>, SearchError> {
        if filter.trim().is_empty() {
            return Ok(None);
        }
        let snapshot = &self.snapshot;
        let filter = parse(filter, &snapshot.commit.fields)?;
        let mask = evaluate(&filter, &snapshot.searcher, &snapshot.rows, &snapshot.alive);
        mask.map(Some).map_err(failed(&self.dir))
    }

    fn by_words(
        &self,
        asked: &Asked,
        mask: &Bits,
        depth: usize,
    ) -> Result<Vec<Scored>, SearchError> {
        let query = asked.query(&self.columns);
        let found = ranked(
            &self.snapshot.searcher,
            &*query,
            &self.snapshot.rows,
            mask,
            depth,
        );
        found.map_err(failed(&self.dir))
    }

    /// Ids and cosines of the `k` items nearest to a vector, nearest first, by looking at all vectors; reads no item.
    pub fn neighbours(
        &self,
        vector: &[f32],
        k: usize,
        scan: Scan,
    ) -> Result<Vec<(String, f32)>, SearchError> {
        self.check_vector(vector)?;
        let vector = self.shifted(vector, None, &mut Vec::new())?;
        let mask = &self.snapshot.alive;
        let (found, _) = self.by_vectors(&vector, mask, k, By::Scan(scan), &mut Vec::new());
        let named = found
            .into_iter()
            .take(k)
            .map(|scored| Ok((self.snapshot.id(scored.row)?, scored.score)));
        named
            .collect::<tantivy::Result<_>>()
            .map_err(failed(&self.dir))
    }

    /// The query vector in unit length, moved by marks.
    fn shifted(
        &self,
        vector: &[f32],
        rocchio: Option<&Rocchio>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<f32>, SearchError> {
        let unit = |vector: &[f32]| {
            let length = norm(vector);
            vector.iter().map(|v| v / length).collect::<Vec<f32>>()
        };
        let mut shifted = unit(vector);
        let Some(rocchio) = rocchio else {
            return Ok(shifted);
        };
        for (ids, weight) in [
            (&rocchio.good, rocchio.beta),
            (&rocchio.bad, -rocchio.gamma),
        ] {
            let mut marked: Vec<&[f32]> = Vec::new();
            for id in ids {
                let row = self
                    .snapshot
                    .find(&self.columns, id)
                    .map_err(failed(&self.dir))?;
                match row.and_then(|row| self.snapshot.vector(row)) {
                    Some(vector) => marked.push(vector),
                    None => notes.push(format!("`{id}` was marked and has no vector here")),
                }
            }
            let share = weight / marked.len().max(1) as f32;
            for vector in marked {
                shifted
                    .iter_mut()
                    .zip(vector)
                    .for_each(|(q, v)| *q += share * v);
            }
        }
        let length = norm(&shifted);
        if length > 1e-6 && length.is_finite() {
            return Ok(unit(&shifted));
        }
        notes.push("the marks cancel the query out, so they were left aside".to_owned());
        Ok(unit(vector))
    }

    /// Rows of boosted items that the filter lets through.
    fn boosts(
        &self,
        query: &Query,
        mask: &Bits,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(u32, f32)>, SearchError> {
        let mut boosts: BTreeMap<u32, f32> = BTreeMap::new();
        for (id, boost) in &query.boost {
            match self
                .snapshot
                .find(&self.columns, id)
                .map_err(failed(&self.dir))?
            {
                None => notes.push(format!("`{id}` was marked and is not here")),
                Some(row) if mask.get(row) && boost.is_finite() => {
                    *boosts.entry(row).or_default() += boost;
                }
                Some(_) => {}
            }
        }
        Ok(boosts.into_iter().collect())
    }

    /// What each word that is asked for weighs: its inverse document frequency as in BM25.
    fn weights(&self, asked: &Asked) -> Result<Vec<f32>, SearchError> {
        let searcher = &self.snapshot.searcher;
        let n: u64 = searcher
            .segment_readers()
            .iter()
            .map(|reader| u64::from(reader.max_doc()))
            .sum();
        let weight = |word: &String| {
            let term = tantivy::Term::from_field_text(self.columns.words, word);
            let n_with = searcher.doc_freq(&term)?.min(n);
            Ok(f32::ln_1p(
                ((n - n_with) as f32 + 0.5) / (n_with as f32 + 0.5),
            ))
        };
        let weights: tantivy::Result<Vec<f32>> = asked.words.iter().map(weight).collect();
        weights.map_err(failed(&self.dir))
    }

    fn hit(
        &self,
        fused: &Fused,
        mode: Mode,
        asked: &Asked,
        weights: &[f32],
    ) -> Result<Hit, SearchError> {
        let item = self.item(fused.row)?;
        let passage = passage(&item.text, asked, weights, self.settings().language);
        let score = match mode {
            Mode::Words => fused.words.map_or(0.0, |ranked| ranked.score),
            Mode::Vectors => fused.vectors.map_or(0.0, |ranked| ranked.score),
            _ => fused.reciprocal,
        };
        Ok(Hit {
            item,
            score,
            words: fused.words,
            vectors: fused.vectors,
            passage,
        })
    }
}
