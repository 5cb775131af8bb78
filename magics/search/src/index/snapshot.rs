//! One state of an index, opened for reading.

use std::path::Path;

use tantivy::index::{IndexMeta, SegmentMeta};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocSet, ReloadPolicy, Searcher, TERMINATED, Term};

use super::Commit;
use super::graph::GraphState;
use crate::error::{SearchError, words as failed};
use crate::vectors::{Bits, Segment};
use crate::words::{Columns, DIGEST_COLUMN, ROW_COLUMN};

/// Times that a state is read anew because a writer replaced it meanwhile.
const TRIES: usize = 20;

/// What was committed last when it was loaded.
pub(crate) struct Snapshot {
    pub(crate) commit: Commit,
    /// What the word index says about this state.
    pub(crate) meta: IndexMeta,
    pub(crate) searcher: Searcher,
    /// Row of each document, ascending, per segment of the word index.
    pub(crate) rows: Vec<Vec<u32>>,
    /// Rows that are not removed.
    pub(crate) alive: Bits,
    pub(crate) segments: Vec<Segment>,
    pub(crate) graph: GraphState,
}

impl Snapshot {
    /// Loads the last commit.
    pub(crate) fn load(dir: &Path, words: &tantivy::Index) -> Result<Self, SearchError> {
        let mut tried = 0;
        loop {
            let before = words.load_metas().map_err(failed(dir))?;
            let loaded = Self::load_once(dir, words, before.clone());
            let after = words.load_metas().map_err(failed(dir))?;
            tried += 1;
            // Files of an older state may be swept away while it is being loaded.
            if same(&before, &after) || tried == TRIES {
                return loaded;
            }
        }
    }

    fn load_once(dir: &Path, words: &tantivy::Index, meta: IndexMeta) -> Result<Self, SearchError> {
        let commit = Commit::read(dir, meta.payload.as_deref())?;
        let reader = words
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into();
        let reader: tantivy::IndexReader = reader.map_err(failed(dir))?;
        let searcher = reader.searcher();
        let mut alive = Bits::none(commit.n_rows as usize);
        let mut rows = Vec::new();
        for segment in searcher.segment_readers() {
            let column = segment.fast_fields().u64(ROW_COLUMN).map_err(failed(dir))?;
            let of_documents: Vec<u32> = (0..segment.max_doc())
                .map(|doc| column.first(doc).unwrap_or(0) as u32)
                .collect();
            let fits = of_documents.is_sorted()
                && of_documents.last().is_none_or(|&row| row < commit.n_rows);
            if !fits {
                return Err(SearchError::Damaged {
                    path: dir.join(format!("{}.fast", segment.segment_id().uuid_string())),
                    what: "its rows are not in order".to_owned(),
                });
            }
            segment
                .doc_ids_alive()
                .for_each(|doc| alive.set(of_documents[doc as usize]));
            rows.push(of_documents);
        }
        let segments: Result<Vec<Segment>, _> = commit
            .segments
            .iter()
            .map(|name| Segment::open(&Commit::path(dir, name)))
            .collect();
        let segments = segments?;
        Ok(Self {
            meta,
            searcher,
            rows,
            alive,
            graph: GraphState::open(dir, &commit, &segments),
            segments,
            commit,
        })
    }

    /// Vectors of items that are not removed.
    pub(crate) fn n_vectors(&self) -> usize {
        let alive = |segment: &Segment| {
            segment
                .rows()
                .iter()
                .filter(|&&row| self.alive.get(row))
                .count()
        };
        self.segments.iter().map(alive).sum()
    }

    /// Where the document of a row is.
    pub(crate) fn address(&self, row: u32) -> Option<DocAddress> {
        self.rows.iter().zip(0..).find_map(|(rows, segment)| {
            let doc = rows.binary_search(&row).ok()?;
            Some(DocAddress::new(segment, doc as u32))
        })
    }

    /// Row of the item with this id.
    pub(crate) fn find(&self, columns: &Columns, id: &str) -> tantivy::Result<Option<u32>> {
        let term = Term::from_field_text(columns.id, id);
        for (reader, rows) in self.searcher.segment_readers().iter().zip(&self.rows) {
            let index = reader.inverted_index(columns.id)?;
            let Some(mut documents) = index.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            while documents.doc() != TERMINATED {
                if !reader.is_deleted(documents.doc()) {
                    return Ok(rows.get(documents.doc() as usize).copied());
                }
                documents.advance();
            }
        }
        Ok(None)
    }

    /// Rows of the living vectors of some segments, ascending, and where each is: segment and position.
    pub(crate) fn living(&self, segments: &[Segment]) -> (Vec<u32>, Vec<(usize, usize)>) {
        let mut rows = Vec::new();
        let mut places = Vec::new();
        for (place, segment) in segments.iter().enumerate() {
            for (position, &row) in segment.rows().iter().enumerate() {
                if self.alive.get(row) {
                    rows.push(row);
                    places.push((place, position));
                }
            }
        }
        (rows, places)
    }

    /// What tells whether the item of a row has changed.
    pub(crate) fn digest(&self, row: u32) -> tantivy::Result<Option<u64>> {
        let Some(address) = self.address(row) else {
            return Ok(None);
        };
        let fields = self
            .searcher
            .segment_reader(address.segment_ord)
            .fast_fields();
        Ok(fields.u64(DIGEST_COLUMN)?.first(address.doc_id))
    }

    /// Dimensions of the vectors, if there are any vectors.
    pub(crate) fn dims(&self) -> Option<usize> {
        self.segments.first().map(Segment::dims)
    }

    /// Id of the item of a row.
    pub(crate) fn id(&self, row: u32) -> tantivy::Result<String> {
        let mut id = String::new();
        if let Some(address) = self.address(row) {
            let fields = self
                .searcher
                .segment_reader(address.segment_ord)
                .fast_fields();
            if let Some(column) = fields.str("id")? {
                let term = column.ords().first(address.doc_id).unwrap_or_default();
                column.ord_to_str(term, &mut id)?;
            }
        }
        Ok(id)
    }

    /// The vector of a row, of unit length.
    pub(crate) fn vector(&self, row: u32) -> Option<&[f32]> {
        self.segments.iter().find_map(|segment| {
            let position = segment.rows().binary_search(&row).ok()?;
            Some(segment.vector(position))
        })
    }
}

/// Whether two are the same state.
///
/// A commit without documents has the stamp of the one before, and a merge leaves all but the segments as it was.
pub(super) fn same(a: &IndexMeta, b: &IndexMeta) -> bool {
    let ids = |meta: &IndexMeta| {
        meta.segments
            .iter()
            .map(SegmentMeta::id)
            .collect::<Vec<_>>()
    };
    a.opstamp == b.opstamp && a.payload == b.payload && ids(a) == ids(b)
}
