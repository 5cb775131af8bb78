//! Answers to questions on a card, as codes: one-hot rows that are never made.

use std::rc::Rc;

use super::data::{BLOCK, Data, Grouping, Spot};
use super::engine::{Argument, Engine, Launch, Memory, Place};
use super::error::CudaError;
use super::model::{Model, Reduced, sum_columns};
use super::plan::Plan;
use super::stream::{Chunk, Form, Stream};
use crate::options::Metric;
use crate::watch::Watch;

/// No answer.
const NONE: u32 = u32::MAX;
/// Blocks of kernels that stride over many elements.
const STRIDING: usize = 4096;

/// Coded rows on a card.
pub(super) struct Coded<'a> {
    engine: Rc<dyn Engine>,
    stream: Stream<'a>,
    /// Value ids, rows × questions.
    codes: &'a [u32],
    questions: usize,
    /// What a one-hot column holds, one for each value.
    scales: &'a [f32],
    chunk: usize,
    card_scales: Memory,
    squares: Memory,
    total_square: f64,
}

impl<'a> Coded<'a> {
    /// How rows of codes stand on the card.
    pub(super) fn form(questions: usize) -> Form {
        Form {
            columns: questions,
            sent: questions,
            width: questions,
            half: false,
            unit: false,
        }
    }

    /// Uploads rows; `None` when the user stopped it.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        (codes, questions): (&'a [u32], usize),
        scales: &'a [f32],
        plan: Plan,
        watch: &dyn Watch,
    ) -> Result<Option<Coded<'a>>, CudaError> {
        let Some(stream) = Stream::new(engine, codes, Coded::form(questions), plan, watch)? else {
            return Ok(None);
        };
        let n_rows = stream.n_rows();
        let mut table = Coded {
            stream,
            codes,
            questions,
            scales,
            chunk: plan.rows().min(n_rows),
            card_scales: Memory::holding(engine, scales)?,
            squares: Memory::of::<f32>(engine, n_rows)?,
            total_square: 0.0,
            engine: engine.clone(),
        };
        let partial = Memory::of::<f64>(engine, n_rows.div_ceil(BLOCK))?;
        if !table
            .stream
            .pass(watch, &mut |chunk| table.measure(chunk, &partial))?
        {
            return Ok(None);
        }
        let total = Memory::of::<f64>(engine, 1)?;
        sum_columns(
            engine,
            partial.place(),
            n_rows.div_ceil(BLOCK),
            1,
            total.place(),
        )?;
        table.total_square = total.read::<f64>(0, 1)?[0];
        Ok(Some(table))
    }

    fn measure(&self, chunk: Chunk, partial: &Memory) -> Result<(), CudaError> {
        let arguments: [Argument; 6] = [
            chunk.place.into(),
            self.card_scales.place().into(),
            (chunk.rows as u32).into(),
            (self.questions as u32).into(),
            self.squares.at::<f32>(chunk.first).into(),
            partial.at::<f64>(chunk.first / BLOCK).into(),
        ];
        self.engine.launch(
            Launch::of("measure_codes", chunk.rows.div_ceil(BLOCK), 256),
            &arguments,
        )
    }

    fn codes_of(&self, row: usize) -> &[u32] {
        &self.codes[row * self.questions..(row + 1) * self.questions]
    }
}

impl Data for Coded<'_> {
    fn engine(&self) -> &Rc<dyn Engine> {
        &self.engine
    }

    fn stream(&self) -> &Stream<'_> {
        &self.stream
    }

    fn chunk(&self) -> usize {
        self.chunk
    }

    fn columns(&self) -> usize {
        self.scales.len()
    }

    fn width(&self) -> usize {
        self.scales.len()
    }

    fn metric(&self) -> Metric {
        Metric::L2
    }

    fn reduced(&self) -> Reduced {
        Reduced::No
    }

    fn weight(&self, _row: usize) -> f64 {
        1.0
    }

    fn weights(&self) -> Place {
        Place::NONE
    }

    fn squares(&self) -> &Memory {
        &self.squares
    }

    fn total_square(&self) -> f64 {
        self.total_square
    }

    fn variance(&self, watch: &dyn Watch) -> Result<Option<f64>, CudaError> {
        let mut counts = vec![0_u64; self.scales.len()];
        for (number, codes) in self.codes.chunks(1 << 20).enumerate() {
            if number % 16 == 0 && watch.stopped() {
                return Ok(None);
            }
            codes
                .iter()
                .filter(|&&code| code != NONE)
                .for_each(|&code| counts[code as usize] += 1);
        }
        let n_rows = self.stream.n_rows() as f64;
        let columns = counts.iter().zip(self.scales).map(|(&count, &scale)| {
            let share = count as f64 / n_rows;
            f64::from(scale).powi(2) * share * (1.0 - share)
        });
        Ok(Some(columns.sum::<f64>() / self.scales.len() as f64))
    }

    fn row(&self, row: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.scales.len()];
        for &code in self.codes_of(row).iter().filter(|&&code| code != NONE) {
            values[code as usize] = self.scales[code as usize];
        }
        values
    }

    fn trials(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter()
            .flat_map(|&row| self.codes_of(row as usize))
            .copied()
            .collect()
    }

    fn weigh(
        &self,
        chunk: Chunk,
        trials: Place,
        count: usize,
        spot: Spot,
    ) -> Result<(), CudaError> {
        let arguments: [Argument; 9] = [
            chunk.place.into(),
            self.card_scales.place().into(),
            trials.into(),
            (count as u32).into(),
            (chunk.rows as u32).into(),
            (self.questions as u32).into(),
            u32::from(spot.keep).into(),
            spot.closest.offset(chunk.first * 4).into(),
            spot.potentials
                .offset(chunk.first / BLOCK * count * 8)
                .into(),
        ];
        self.engine.launch(
            Launch::of("weigh_codes", chunk.rows.div_ceil(BLOCK), 256),
            &arguments,
        )
    }

    fn grouping(&self, k: usize, _adds: bool) -> Result<Box<dyn Grouping + '_>, CudaError> {
        Ok(Box::new(CodedGrouping {
            coded: self,
            table: Memory::of::<f32>(&self.engine, k * self.scales.len())?,
            counts: Memory::of::<u32>(&self.engine, k * self.scales.len())?,
        }))
    }

    /// The scores are sums in f32 that nothing was rounded for: the inertia from the counts is as exact.
    fn exact_inertia(&self, _model: &Model, _watch: &dyn Watch) -> Result<Option<f64>, CudaError> {
        Ok(None)
    }

    fn candidates(&self) -> bool {
        false
    }
}

struct CodedGrouping<'d> {
    coded: &'d Coded<'d>,
    /// The centroids' transpose times the scales.
    table: Memory,
    /// Answers by cluster and value.
    counts: Memory,
}

impl Grouping for CodedGrouping<'_> {
    fn begin(&self, model: &Model) -> Result<(), CudaError> {
        model.ready()?;
        model.clear_sums()?;
        self.counts.fill(0)?;
        let arguments: [Argument; 5] = [
            model.current.place().into(),
            self.coded.card_scales.place().into(),
            (model.k as u32).into(),
            (model.width as u32).into(),
            self.table.place().into(),
        ];
        let blocks = (model.k * model.width).div_ceil(256).min(STRIDING);
        self.coded
            .engine
            .launch(Launch::of("table_of_centroids", blocks, 256), &arguments)
    }

    fn assign(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError> {
        let line = model.k.next_power_of_two().min(256);
        let arguments: [Argument; 9] = [
            chunk.place.into(),
            self.table.place().into(),
            model.halves.place().into(),
            (chunk.rows as u32).into(),
            (self.coded.questions as u32).into(),
            (model.k as u32).into(),
            (line as u32).into(),
            model.labels.at::<u32>(chunk.first).into(),
            model.scores.at::<f32>(chunk.first).into(),
        ];
        let blocks = chunk.rows.div_ceil(256 / line * 8);
        self.coded
            .engine
            .launch(Launch::of("assign_codes", blocks, 256), &arguments)
    }

    fn add(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError> {
        let arguments: [Argument; 7] = [
            chunk.place.into(),
            model.labels.at::<u32>(chunk.first).into(),
            (chunk.rows as u32).into(),
            (self.coded.questions as u32).into(),
            (model.width as u32).into(),
            self.counts.place().into(),
            model.sizes.place().into(),
        ];
        let blocks = (chunk.rows * self.coded.questions)
            .div_ceil(1024)
            .min(STRIDING);
        self.coded
            .engine
            .launch(Launch::of("count_codes", blocks, 256), &arguments)
    }

    fn end(&self, model: &Model) -> Result<(), CudaError> {
        let arguments: [Argument; 7] = [
            self.counts.place().into(),
            model.sizes.place().into(),
            self.coded.card_scales.place().into(),
            (model.k as u32).into(),
            (model.width as u32).into(),
            model.sums.place().into(),
            model.mass.place().into(),
        ];
        let blocks = (model.k * model.width).div_ceil(256).min(STRIDING);
        self.coded
            .engine
            .launch(Launch::of("sums_of_counts", blocks, 256), &arguments)
    }
}
