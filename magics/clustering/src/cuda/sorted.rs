//! Sums of clusters without atomics: rows sorted by label, summed in spans of 256.

use std::rc::Rc;

use super::engine::{Argument, Engine, Launch, Memory, Place};
use super::error::CudaError;
use super::model::Model;
use super::stream::Chunk;

/// Rows of a span.
const SPAN: usize = 256;
/// Numbers that one block of the running sum takes.
const SCAN: usize = 2048;
/// Counters (labels × segments) at most.
const COUNTERS: usize = 1 << 26;
/// Rows of a segment at least: one warp walks through them.
const SEGMENT: usize = 512;

/// Room for sorting the labels of a chunk, and for the sums of its spans.
pub(super) struct Sorted {
    engine: Rc<dyn Engine>,
    k: usize,
    width: usize,
    segments: usize,
    /// Rows of a segment.
    length: usize,
    spans: usize,
    counts: Memory,
    order: Memory,
    first_spans: Memory,
    partial: Memory,
    partial_mass: Memory,
    /// Totals of the blocks of the running sums, level by level.
    levels: Vec<(usize, Memory)>,
}

impl Sorted {
    /// Takes the memory for chunks of `chunk` rows.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        chunk: usize,
        k: usize,
        width: usize,
    ) -> Result<Sorted, CudaError> {
        let wanted = chunk.div_ceil(SEGMENT).min(COUNTERS / k).max(1);
        let length = chunk.div_ceil(wanted).next_multiple_of(32);
        let segments = chunk.div_ceil(length);
        let spans = chunk.div_ceil(SPAN) + k.min(chunk);
        let mut levels = Vec::new();
        let mut count = (k * segments).max(k + 1);
        while levels.is_empty() || count > 1 {
            count = count.div_ceil(SCAN);
            levels.push((count, Memory::of::<u32>(engine, count)?));
        }
        Ok(Sorted {
            k,
            width,
            segments,
            length,
            spans,
            counts: Memory::of::<u32>(engine, k * segments)?,
            order: Memory::of::<u32>(engine, chunk)?,
            first_spans: Memory::of::<u32>(engine, k + 1)?,
            partial: Memory::of::<f64>(engine, spans * width)?,
            partial_mass: Memory::of::<f64>(engine, spans)?,
            levels,
            engine: engine.clone(),
        })
    }

    /// Adds the rows of a chunk, times their weights, to the sums of their clusters. `kernel` is `sum_spans_…` for the
    /// form of the rows; `weights` are those of all rows, or [`Place::NONE`].
    pub(super) fn add(
        &self,
        model: &Model,
        chunk: Chunk,
        weights: Place,
        kernel: &'static str,
    ) -> Result<(), CudaError> {
        let labels = model.labels.at::<u32>(chunk.first);
        self.sort(labels, chunk.rows)?;
        self.count_spans(model)?;
        let weights = if weights == Place::NONE {
            weights
        } else {
            weights.offset(chunk.first * 4)
        };
        let arguments: [Argument; 10] = [
            chunk.place.into(),
            weights.into(),
            self.order.place().into(),
            self.counts.place().into(),
            (self.segments as u32).into(),
            self.first_spans.place().into(),
            (self.k as u32).into(),
            (self.width as u32).into(),
            self.partial.place().into(),
            self.partial_mass.place().into(),
        ];
        let spans = (chunk.rows.div_ceil(SPAN) + self.k.min(chunk.rows)).min(self.spans);
        self.engine
            .launch(Launch::of(kernel, spans, 128), &arguments)?;
        let arguments: [Argument; 6] = [
            self.partial.place().into(),
            self.partial_mass.place().into(),
            self.first_spans.place().into(),
            (self.width as u32).into(),
            model.sums.place().into(),
            model.mass.place().into(),
        ];
        self.engine
            .launch(Launch::of("fold_spans", self.k, 128), &arguments)
    }

    /// A stable counting sort; afterwards `counts` holds the end of each label's rows of each segment.
    fn sort(&self, labels: Place, rows: usize) -> Result<(), CudaError> {
        self.counts.fill(0)?;
        let head: [Argument; 5] = [
            labels.into(),
            (rows as u32).into(),
            (self.segments as u32).into(),
            (self.length as u32).into(),
            self.counts.place().into(),
        ];
        let blocks = self.segments.div_ceil(4);
        self.engine
            .launch(Launch::of("count_labels", blocks, 128), &head)?;
        self.scan(self.counts.place(), self.k * self.segments, 0)?;
        let mut arguments = head.to_vec();
        arguments.push(self.order.place().into());
        self.engine
            .launch(Launch::of("place_rows", blocks, 128), &arguments)
    }

    fn count_spans(&self, model: &Model) -> Result<(), CudaError> {
        let arguments: [Argument; 5] = [
            self.counts.place().into(),
            (self.segments as u32).into(),
            (self.k as u32).into(),
            self.first_spans.place().into(),
            model.sizes.place().into(),
        ];
        self.engine.launch(
            Launch::of("count_spans", (self.k + 1).div_ceil(256), 256),
            &arguments,
        )?;
        self.scan(self.first_spans.place(), self.k + 1, 0)
    }

    /// Replaces numbers by the sums of those before them.
    fn scan(&self, values: Place, count: usize, level: usize) -> Result<(), CudaError> {
        let blocks = count.div_ceil(SCAN);
        let totals = self.levels[level].1.place();
        let arguments: [Argument; 3] = [values.into(), (count as u64).into(), totals.into()];
        self.engine
            .launch(Launch::of("scan_blocks", blocks, 256), &arguments)?;
        if blocks > 1 {
            self.scan(totals, blocks, level + 1)?;
            self.engine
                .launch(Launch::of("add_totals", blocks, 256), &arguments)?;
        }
        Ok(())
    }
}
