//! The best items by words among those that a filter lets through.

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::{Query, Weight};
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader};

use crate::vectors::{Bits, Scored, Top};

/// The `k` best of the rows in `mask` with their scores, best first; `rows` has the row of each document, per segment.
pub(crate) fn ranked(
    searcher: &Searcher,
    query: &dyn Query,
    rows: &[Vec<u32>],
    mask: &Bits,
    k: usize,
) -> tantivy::Result<Vec<Scored>> {
    let top = searcher.search(query, &Best { rows, mask, k })?;
    Ok(top.into_sorted())
}

/// Like tantivy's `TopDocs`, but ties go to the smaller row whatever the segments are, and a mask says which rows count.
struct Best<'a> {
    rows: &'a [Vec<u32>],
    mask: &'a Bits,
    k: usize,
}

/// tantivy wants a collector per segment; this one's work is done in `collect_segment`.
struct Found(Top);

impl SegmentCollector for Found {
    type Fruit = Top;
    fn collect(&mut self, doc: DocId, score: Score) {
        self.0.push(doc, score);
    }
    fn harvest(self) -> Top {
        self.0
    }
}

impl Collector for Best<'_> {
    type Fruit = Top;
    type Child = Found;

    fn for_segment(&self, _: SegmentOrdinal, _: &SegmentReader) -> tantivy::Result<Found> {
        Ok(Found(Top::new(self.k)))
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, tops: Vec<Top>) -> tantivy::Result<Top> {
        Ok(tops.into_iter().fold(Top::new(self.k), Top::merge))
    }

    /// Lets the scorer skip what cannot be among the best.
    ///
    /// Within a segment rows ascend with documents, so of equal scores the first to come is the one to keep.
    fn collect_segment(
        &self,
        weight: &dyn Weight,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<Top> {
        let mut top = Top::new(self.k);
        let Some(rows) = self.rows.get(segment as usize) else {
            return Ok(top);
        };
        weight.for_each_pruning(Score::MIN, reader, &mut |doc, score| {
            let row = rows[doc as usize];
            if self.mask.get(row) {
                top.push(row, score);
            }
            top.floor().max(Score::MIN)
        })?;
        Ok(top)
    }
}
