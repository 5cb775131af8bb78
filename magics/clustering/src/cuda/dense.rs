//! Dense rows on a card.

use std::rc::Rc;

use super::Precision;
use super::assign::DenseGrouping;
use super::data::{BLOCK, Data, Grouping, Spot};
use super::engine::{Argument, Engine, Launch, Memory, Numbers, Place};
use super::error::CudaError;
use super::model::{Model, Reduced, sum_columns};
use super::plan::Plan;
use super::stream::{Chunk, Form, Stream};
use super::tiled::Tiled;
use crate::options::Metric;
use crate::watch::Watch;

/// Dense rows on a card.
pub(super) struct Dense<'a> {
    engine: Rc<dyn Engine>,
    stream: Stream<'a>,
    values: &'a [f32],
    host_weights: Option<&'a [f32]>,
    pub(super) form: Form,
    chunk: usize,
    metric: Metric,
    pub(super) numbers: Numbers,
    /// The rows for Hopper's kernel, where it takes them.
    pub(super) tiled: Option<Tiled>,
    weights: Option<Memory>,
    squares: Memory,
    /// ⁴√Σx⁴ of all rows, f32.
    pub(super) spreads: Memory,
    /// One f64 for each block of rows.
    partial: Memory,
    total_square: f64,
}

impl<'a> Dense<'a> {
    /// How rows of `columns` numbers stand on the card.
    pub(super) fn form(columns: usize, metric: Metric, precision: Precision) -> Form {
        let half = precision == Precision::Bf16;
        Form {
            columns,
            sent: columns.next_multiple_of(4),
            width: columns.next_multiple_of(if half { 8 } else { 4 }),
            half,
            unit: metric == Metric::Cosine,
        }
    }

    /// Uploads rows; `None` when the user stopped it.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        (values, weights): (&'a [f32], Option<&'a [f32]>),
        form: Form,
        (metric, precision): (Metric, Precision),
        plan: Plan,
        watch: &dyn Watch,
    ) -> Result<Option<Dense<'a>>, CudaError> {
        let Some(stream) = Stream::new(engine, bytemuck::cast_slice(values), form, plan, watch)?
        else {
            return Ok(None);
        };
        let n_rows = stream.n_rows();
        let numbers = match precision {
            Precision::Bf16 => Numbers::Bf16,
            Precision::Tf32 if engine.has_tensor_cores() => Numbers::Tf32,
            _ => Numbers::F32,
        };
        let mut dense = Dense {
            stream,
            values,
            host_weights: weights,
            form,
            chunk: plan.rows().min(n_rows),
            metric,
            numbers,
            tiled: if plan.tiled {
                Tiled::new(engine, (form, numbers), n_rows)?
            } else {
                None
            },
            weights: weights
                .map(|weights| Memory::holding(engine, weights))
                .transpose()?,
            squares: Memory::of::<f32>(engine, n_rows)?,
            spreads: Memory::of::<f32>(engine, n_rows)?,
            partial: Memory::of::<f64>(engine, n_rows.div_ceil(BLOCK))?,
            total_square: 0.0,
            engine: engine.clone(),
        };
        let ready = &mut |chunk| {
            dense.measure(chunk)?;
            match &dense.tiled {
                Some(tiled) => tiled.make(&dense, chunk),
                None => Ok(()),
            }
        };
        if !dense.stream.pass(watch, ready)? {
            return Ok(None);
        }
        dense.total_square = dense.sum_partial()?;
        Ok(Some(dense))
    }

    fn measure(&self, chunk: Chunk) -> Result<(), CudaError> {
        let arguments: [Argument; 7] = [
            chunk.place.into(),
            self.weights_of(chunk).into(),
            (chunk.rows as u32).into(),
            (self.form.width as u32).into(),
            self.squares.at::<f32>(chunk.first).into(),
            self.spreads.at::<f32>(chunk.first).into(),
            self.partial.at::<f64>(chunk.first / BLOCK).into(),
        ];
        let kernel = self.pick("measure_f32", "measure_bf16");
        self.engine.launch(
            Launch::of(kernel, chunk.rows.div_ceil(BLOCK), 256),
            &arguments,
        )
    }

    fn sum_partial(&self) -> Result<f64, CudaError> {
        let total = Memory::of::<f64>(&self.engine, 1)?;
        sum_columns(
            &self.engine,
            self.partial.place(),
            self.stream.n_rows().div_ceil(BLOCK),
            1,
            total.place(),
        )?;
        Ok(total.read::<f64>(0, 1)?[0])
    }

    /// The name of a kernel for the form of the rows.
    pub(super) fn pick(&self, full: &'static str, half: &'static str) -> &'static str {
        if self.form.half { half } else { full }
    }

    fn weights_of(&self, chunk: Chunk) -> Place {
        self.weights
            .as_ref()
            .map_or(Place::NONE, |weights| weights.at::<f32>(chunk.first))
    }

    /// Sums and sums of squares of the columns of a chunk are added to `sums`.
    fn moments(
        &self,
        chunk: Chunk,
        room: &(Memory, Memory),
        sums: &mut [f64],
    ) -> Result<(), CudaError> {
        let (width, parts) = (self.form.width, chunk.rows.div_ceil(1024));
        let arguments: [Argument; 5] = [
            chunk.place.into(),
            self.weights_of(chunk).into(),
            (chunk.rows as u32).into(),
            (width as u32).into(),
            room.0.place().into(),
        ];
        let launch = Launch {
            grid: (width.div_ceil(128) as u32, parts as u32),
            ..Launch::of(self.pick("moments_f32", "moments_bf16"), 1, 128)
        };
        self.engine.launch(launch, &arguments)?;
        sum_columns(
            &self.engine,
            room.0.place(),
            parts,
            2 * width,
            room.1.place(),
        )?;
        for (sum, more) in sums.iter_mut().zip(room.1.read::<f64>(0, 2 * width)?) {
            *sum += more;
        }
        Ok(())
    }
}

impl Data for Dense<'_> {
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
        self.form.columns
    }

    fn width(&self) -> usize {
        self.form.width
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn reduced(&self) -> Reduced {
        if let Some(tiled) = &self.tiled {
            return Reduced::Tiles {
                half: self.form.half,
                lines: tiled.block.lines,
            };
        }
        match self.numbers {
            Numbers::F32 => Reduced::No,
            Numbers::Tf32 => Reduced::Tf32,
            Numbers::Bf16 => Reduced::Bf16,
        }
    }

    fn weight(&self, row: usize) -> f64 {
        self.host_weights
            .map_or(1.0, |weights| f64::from(weights[row]))
    }

    fn weights(&self) -> Place {
        self.weights.as_ref().map_or(Place::NONE, Memory::place)
    }

    fn squares(&self) -> &Memory {
        &self.squares
    }

    fn total_square(&self) -> f64 {
        self.total_square
    }

    fn variance(&self, watch: &dyn Watch) -> Result<Option<f64>, CudaError> {
        let width = self.form.width;
        let room = (
            Memory::of::<f64>(&self.engine, self.chunk.div_ceil(1024) * 2 * width)?,
            Memory::of::<f64>(&self.engine, 2 * width)?,
        );
        let mut sums = vec![0.0; 2 * width];
        if !self
            .stream
            .pass(watch, &mut |chunk| self.moments(chunk, &room, &mut sums))?
        {
            return Ok(None);
        }
        let mass: f64 = (0..self.stream.n_rows()).map(|row| self.weight(row)).sum();
        let (first, second) = sums.split_at(width);
        let columns = first
            .iter()
            .zip(second)
            .map(|(sum, square)| (square / mass - (sum / mass).powi(2)).max(0.0));
        Ok(Some(columns.sum::<f64>() / self.form.columns as f64))
    }

    fn row(&self, row: usize) -> Vec<f32> {
        let columns = self.form.columns;
        let mut values = self.values[row * columns..(row + 1) * columns].to_vec();
        if self.form.unit {
            super::normalise(&mut values);
        }
        if self.form.half {
            for value in &mut values {
                *value = half(*value);
            }
        }
        values
    }

    fn trials(&self, rows: &[u32]) -> Vec<u32> {
        let mut trials = vec![0; rows.len() * self.form.width];
        for (trial, &row) in trials.chunks_exact_mut(self.form.width).zip(rows) {
            trial
                .iter_mut()
                .zip(self.row(row as usize))
                .for_each(|(bits, value)| *bits = value.to_bits());
        }
        trials
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
            self.weights_of(chunk).into(),
            trials.into(),
            (count as u32).into(),
            (chunk.rows as u32).into(),
            (self.form.width as u32).into(),
            u32::from(spot.keep).into(),
            spot.closest.offset(chunk.first * 4).into(),
            spot.potentials
                .offset(chunk.first / BLOCK * count * 8)
                .into(),
        ];
        let kernel = self.pick("weigh_f32", "weigh_bf16");
        self.engine.launch(
            Launch::of(kernel, chunk.rows.div_ceil(BLOCK), 256),
            &arguments,
        )
    }

    fn grouping(&self, k: usize, adds: bool) -> Result<Box<dyn Grouping + '_>, CudaError> {
        Ok(Box::new(DenseGrouping::new(self, k, adds)?))
    }

    fn exact_inertia(&self, model: &Model, watch: &dyn Watch) -> Result<Option<f64>, CudaError> {
        let whole = self.stream.pass(watch, &mut |chunk| {
            let arguments: [Argument; 7] = [
                chunk.place.into(),
                self.weights_of(chunk).into(),
                model.kept_place(chunk.first).into(),
                model.current.place().into(),
                (chunk.rows as u32).into(),
                (self.form.width as u32).into(),
                self.partial.at::<f64>(chunk.first / BLOCK).into(),
            ];
            let kernel = self.pick("inertia_f32", "inertia_bf16");
            self.engine.launch(
                Launch::of(kernel, chunk.rows.div_ceil(BLOCK), 256),
                &arguments,
            )
        })?;
        if whole {
            self.sum_partial().map(Some)
        } else {
            Ok(None)
        }
    }

    fn candidates(&self) -> bool {
        true
    }
}

/// The nearest bf16, ties to even.
fn half(value: f32) -> f32 {
    let bits = value.to_bits();
    f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
}
