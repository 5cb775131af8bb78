//! Centroids on the card, and what belongs to them: labels, sums, the move to the means.

use std::rc::Rc;

use super::engine::{Argument, Engine, Launch, Memory, Place};
use super::error::CudaError;
use super::hopper;
use crate::options::Metric;

/// Centroids that the tensor-core kernels read at a time; their halves are padded to this.
const TILE: usize = 128;

/// The form of the centroids in which the tensor cores read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reduced {
    /// Not at all.
    No,
    /// Rounded to TF32, in 4 bytes.
    Tf32,
    /// bf16.
    Bf16,
    /// In tiles of 128, in bf16 (`half`) or in f16, with so many lines of 64 columns: for Hopper.
    Tiles { half: bool, lines: usize },
}

/// `k` centroids with `width` numbers each, and the state of an iteration.
pub(super) struct Model {
    engine: Rc<dyn Engine>,
    pub(super) k: usize,
    pub(super) width: usize,
    n_rows: usize,
    reduced: Reduced,
    sphere: bool,
    /// The centroids that rows are compared with.
    pub(super) current: Memory,
    /// Their means, once moved.
    next: Memory,
    /// ‖c‖²/2.
    pub(super) halves: Memory,
    /// The largest spread of a centroid, f32.
    pub(super) widest: Memory,
    copy: Option<Memory>,
    /// Label of each row, and those of the pass before.
    pub(super) labels: Memory,
    kept: Memory,
    /// `‖c‖²/2 − x·c` of each row and its centroid; from tensor cores as exact as these.
    pub(super) scores: Memory,
    /// Rows of a chunk that need a second look, and their number.
    pub(super) unsure: Memory,
    pub(super) n_unsure: Memory,
    /// f64, k × width.
    pub(super) sums: Memory,
    /// Sum of weights of each cluster, f64.
    pub(super) mass: Memory,
    /// Rows of each cluster, u64.
    pub(super) sizes: Memory,
    shifts: Memory,
    costs: Memory,
    totals: Memory,
    moved: Memory,
}

/// What a pass over all rows has found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Totals {
    /// Sum of weights of each cluster.
    pub(super) mass: Vec<f64>,
    /// Rows of each cluster.
    pub(super) sizes: Vec<u64>,
    /// Rows whose label is not that of the pass before.
    pub(super) moved: u64,
}

impl Model {
    /// Takes memory for `k` centroids; `chunk` rows are assigned at a time.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        (n_rows, chunk): (usize, usize),
        (k, width): (usize, usize),
        reduced: Reduced,
        metric: Metric,
    ) -> Result<Model, CudaError> {
        let copy = match reduced {
            Reduced::No => None,
            Reduced::Tf32 => Some(Memory::of::<u32>(engine, k * width)?),
            Reduced::Bf16 => Some(Memory::of::<u16>(engine, k * width)?),
            Reduced::Tiles { lines, .. } => Some(Memory::of::<u16>(
                engine,
                k.next_multiple_of(TILE) * lines * hopper::LINE,
            )?),
        };
        let model = Model {
            k,
            width,
            n_rows,
            reduced,
            sphere: metric == Metric::Cosine,
            current: Memory::of::<f32>(engine, k * width)?,
            next: Memory::of::<f32>(engine, k * width)?,
            halves: Memory::of::<f32>(engine, k.next_multiple_of(TILE))?,
            widest: Memory::of::<f32>(engine, 1)?,
            copy,
            labels: Memory::of::<u32>(engine, n_rows)?,
            kept: Memory::of::<u32>(engine, n_rows)?,
            scores: Memory::of::<f32>(engine, n_rows)?,
            unsure: Memory::of::<u32>(engine, chunk.min(n_rows))?,
            n_unsure: Memory::of::<u32>(engine, 1)?,
            sums: Memory::of::<f64>(engine, k * width)?,
            mass: Memory::of::<f64>(engine, k)?,
            sizes: Memory::of::<u64>(engine, k)?,
            shifts: Memory::of::<f64>(engine, k)?,
            costs: Memory::of::<f64>(engine, k)?,
            totals: Memory::of::<f64>(engine, 2)?,
            moved: Memory::of::<u64>(engine, 1)?,
            engine: engine.clone(),
        };
        model.kept.fill(0xff)?;
        Ok(model)
    }

    /// The centroids as the tensor cores read them; where there is no such copy, as they are.
    pub(super) fn reduced(&self) -> Place {
        self.copy
            .as_ref()
            .map_or(self.current.place(), Memory::place)
    }

    /// Makes the current centroids ready for comparison.
    pub(super) fn ready(&self) -> Result<(), CudaError> {
        self.widest.fill(0)?;
        let padded = self.k.next_multiple_of(TILE);
        let copy = |kind| {
            if self.reduced == kind {
                self.reduced()
            } else {
                Place::NONE
            }
        };
        let arguments: [Argument; 8] = [
            self.current.place().into(),
            (self.k as u32).into(),
            (padded as u32).into(),
            (self.width as u32).into(),
            self.halves.place().into(),
            self.widest.place().into(),
            copy(Reduced::Tf32).into(),
            copy(Reduced::Bf16).into(),
        ];
        self.engine.launch(
            Launch::of("ready_centroids", padded.div_ceil(8), 256),
            &arguments,
        )?;
        if let Reduced::Tiles { half, lines } = self.reduced {
            self.tile(half, lines)?;
        }
        Ok(())
    }

    /// Makes the tiles that Hopper's kernel reads; `widest` is there.
    fn tile(&self, half: bool, lines: usize) -> Result<(), CudaError> {
        let pieces = self.k.next_multiple_of(TILE) * lines * hopper::LINE_PIECES;
        let arguments: [Argument; 7] = [
            self.current.place().into(),
            self.widest.place().into(),
            (self.k as u32).into(),
            (self.width as u32).into(),
            (lines as u32).into(),
            (pieces as u64).into(),
            self.reduced().into(),
        ];
        let kernel = if half {
            "tile_centroids_bf16"
        } else {
            "tile_centroids_f16"
        };
        self.engine
            .launch(Launch::of(kernel, pieces.div_ceil(256), 256), &arguments)
    }

    /// Forgets the sums of the pass before.
    pub(super) fn clear_sums(&self) -> Result<(), CudaError> {
        self.sums.fill(0)?;
        self.mass.fill(0)?;
        self.sizes.fill(0)
    }

    /// Ends a pass: counts the rows that moved, keeps the labels, reads the sizes.
    pub(super) fn end_pass(&self) -> Result<Totals, CudaError> {
        self.moved.fill(0)?;
        let arguments: [Argument; 4] = [
            self.labels.place().into(),
            self.kept.place().into(),
            (self.n_rows as u32).into(),
            self.moved.place().into(),
        ];
        self.engine.launch(
            Launch::of("compare_labels", self.n_rows.div_ceil(2048).min(4096), 256),
            &arguments,
        )?;
        Ok(Totals {
            mass: self.mass.read(0, self.k)?,
            sizes: self.sizes.read(0, self.k)?,
            moved: self.moved.read::<u64>(0, 1)?[0],
        })
    }

    /// Computes the next centroids from the sums; gives the inertia at the current ones, less Σ w‖x‖², and the squared
    /// shift.
    pub(super) fn propose(&self) -> Result<(f64, f64), CudaError> {
        let arguments: [Argument; 8] = [
            self.sums.place().into(),
            self.mass.place().into(),
            self.current.place().into(),
            (self.width as u32).into(),
            u32::from(self.sphere).into(),
            self.next.place().into(),
            self.shifts.place().into(),
            self.costs.place().into(),
        ];
        self.engine
            .launch(Launch::of("move_centroids", self.k, 128), &arguments)?;
        sum_columns(
            &self.engine,
            self.costs.place(),
            self.k,
            1,
            self.totals.at::<f64>(0),
        )?;
        sum_columns(
            &self.engine,
            self.shifts.place(),
            self.k,
            1,
            self.totals.at::<f64>(1),
        )?;
        let totals = self.totals.read::<f64>(0, 2)?;
        Ok((totals[0], totals[1]))
    }

    /// Puts a row in the place of a next centroid.
    pub(super) fn reseed(&self, cluster: usize, centroid: &[f32]) -> Result<(), CudaError> {
        self.engine.write(
            self.next.at::<f32>(cluster * self.width),
            bytemuck::cast_slice(centroid),
        )
    }

    /// Lets the next centroids be the current ones.
    pub(super) fn advance(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
    }

    /// Sets the current centroids from rows of `columns` numbers.
    pub(super) fn set(&self, centroids: &[f32], columns: usize) -> Result<(), CudaError> {
        self.current.write(&padded(centroids, columns, self.width))
    }

    /// The current centroids, or those after [`Model::propose`], as rows of `columns` numbers.
    pub(super) fn centroids(&self, columns: usize) -> Result<Vec<f32>, CudaError> {
        unpadded(&self.current, self.k, columns, self.width)
    }

    /// As [`Model::centroids`], of the next ones.
    pub(super) fn next_centroids(&self, columns: usize) -> Result<Vec<f32>, CudaError> {
        unpadded(&self.next, self.k, columns, self.width)
    }

    /// Where the labels of the last whole pass stand, from a row on.
    pub(super) fn kept_place(&self, row: usize) -> Place {
        self.kept.at::<u32>(row)
    }

    /// Labels of the last whole pass.
    pub(super) fn kept_labels(&self) -> Result<Vec<u32>, CudaError> {
        self.kept.read(0, self.n_rows)
    }
}

/// Adds `n` × `columns` numbers (f64) by a fixed tree, column by column.
pub(super) fn sum_columns(
    engine: &Rc<dyn Engine>,
    values: Place,
    n: usize,
    columns: usize,
    sums: Place,
) -> Result<(), CudaError> {
    let arguments: [Argument; 4] = [
        values.into(),
        (n as u32).into(),
        (columns as u32).into(),
        sums.into(),
    ];
    engine.launch(Launch::of("sum_columns", columns, 256), &arguments)
}

/// Rows of `columns` numbers with zeros behind each, up to `width`.
pub(super) fn padded(values: &[f32], columns: usize, width: usize) -> Vec<f32> {
    let mut wide = vec![0.0; values.len() / columns * width];
    for (wide, values) in wide
        .chunks_exact_mut(width)
        .zip(values.chunks_exact(columns))
    {
        wide[..columns].copy_from_slice(values);
    }
    wide
}

fn unpadded(
    memory: &Memory,
    n_rows: usize,
    columns: usize,
    width: usize,
) -> Result<Vec<f32>, CudaError> {
    let wide: Vec<f32> = memory.read(0, n_rows * width)?;
    Ok(wide
        .chunks_exact(width)
        .flat_map(|row| &row[..columns])
        .copied()
        .collect())
}
