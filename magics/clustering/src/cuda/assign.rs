//! The nearest centroid of dense rows: fused on the tensor cores, in a way of their own on Hopper's, fused in f32, or by
//! matrix products.

use super::data::{BLOCK, Data, Grouping};
use super::dense::Dense;
use super::engine::{Argument, Launch, Memory, Numbers, Place, Product};
use super::error::CudaError;
use super::hopper;
use super::model::Model;
use super::sorted::Sorted;
use super::source::TENSOR_SHARED;
use super::stream::Chunk;
use super::tiled::Tiled;

/// From so many columns on, a product and its argmin move less memory than they compute, and fusing gains nothing; from
/// the model `8 bytes · 790 TFLOP/s = 2 · columns · 4.3 TB/s`.
const FUSED_COLUMNS: usize = 735;
/// The same for f32 without tensor cores, which compute far slower.
const FUSED_COLUMNS_F32: usize = 64;
/// Bytes of products at a time: they stay in the card's L2 cache.
const PRODUCTS: usize = 32 << 20;
/// A second centroid that is nearer than this times both spreads gets the row a second look in f32. Rounding a number to
/// `b` bits moves it by at most u = 2⁻ᵇ⁻¹ of itself, a sum of rounded products by at most u/√3 times the product of the
/// spreads in the standard deviation (each rounding being uniform), the difference of two sums by √2 of that. Three
/// standard deviations, for both factors rounded to TF32 (3.5 u), for one factor rounded to bf16 (2.5 u).
const TOLERANCE_TF32: f32 = 3.5 / 2048.0;
const TOLERANCE_BF16: f32 = 2.5 / 512.0;
/// What the additions in f32 add to that for each column, whatever their order: each moves a sum of up to
/// √columns · spread · spread by 2⁻²⁴ of itself.
const TOLERANCE_COLUMN: f32 = 1.0 / 4_194_304.0;
/// Blocks that go through a list of rows at most: a few for each multiprocessor of the largest cards.
const LIST_BLOCKS: usize = 1024;

/// Memory and launches that group dense rows.
pub(super) struct DenseGrouping<'d> {
    dense: &'d Dense<'d>,
    /// Room for products, and the rows of which it holds them, where assignment is not fused.
    products: Option<(Memory, usize)>,
    sorted: Option<Sorted>,
}

impl<'d> DenseGrouping<'d> {
    /// Takes the memory for `k` clusters; that for sums too, if it `adds`.
    pub(super) fn new(
        dense: &'d Dense<'d>,
        k: usize,
        adds: bool,
    ) -> Result<DenseGrouping<'d>, CudaError> {
        let engine = dense.engine();
        let fused = if dense.numbers == Numbers::F32 {
            FUSED_COLUMNS_F32
        } else {
            FUSED_COLUMNS
        };
        let at_once = (PRODUCTS / (k * 4)).clamp(BLOCK, dense.chunk().max(BLOCK));
        let products = (dense.columns() >= fused && dense.tiled.is_none())
            .then(|| Memory::of::<f32>(engine, at_once * k))
            .transpose()?;
        Ok(DenseGrouping {
            dense,
            products: products.map(|products| (products, at_once)),
            sorted: adds
                .then(|| Sorted::new(engine, dense.chunk(), k, dense.width()))
                .transpose()?,
        })
    }
}

impl Grouping for DenseGrouping<'_> {
    fn begin(&self, model: &Model) -> Result<(), CudaError> {
        model.ready()?;
        model.clear_sums()
    }

    fn assign(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError> {
        let (labels, scores) = (
            model.labels.at::<u32>(chunk.first),
            model.scores.at::<f32>(chunk.first),
        );
        let all = (Place::NONE, Place::NONE);
        if let Some((products, at_once)) = &self.products {
            self.by_products(model, chunk, (products, *at_once), (labels, scores))?;
        } else if self.dense.numbers == Numbers::F32 {
            return self.in_full(model, chunk, all, (labels, scores));
        } else if let Some(tiled) = &self.dense.tiled {
            self.on_hopper(model, chunk, tiled, (labels, scores))?;
        } else {
            self.by_tensor_cores(model, chunk, (labels, scores))?;
        }
        self.in_full(
            model,
            chunk,
            (model.unsure.place(), model.n_unsure.place()),
            (labels, scores),
        )
    }

    fn add(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError> {
        let kernel = self.dense.pick("sum_spans_f32", "sum_spans_bf16");
        match &self.sorted {
            Some(sorted) => sorted.add(model, chunk, self.dense.weights(), kernel),
            None => Ok(()),
        }
    }

    fn end(&self, _model: &Model) -> Result<(), CudaError> {
        Ok(())
    }
}

impl DenseGrouping<'_> {
    /// Fused, in f32: the rows of a list, or all.
    fn in_full(
        &self,
        model: &Model,
        chunk: Chunk,
        list: (Place, Place),
        to: (Place, Place),
    ) -> Result<(), CudaError> {
        let arguments: [Argument; 10] = [
            chunk.place.into(),
            model.current.place().into(),
            model.halves.place().into(),
            list.0.into(),
            list.1.into(),
            (chunk.rows as u32).into(),
            (model.k as u32).into(),
            (model.width as u32).into(),
            to.0.into(),
            to.1.into(),
        ];
        // The blocks find the length of a list on the card, and those that have nothing to do end at once.
        let most = if list.0 == Place::NONE {
            usize::MAX
        } else {
            LIST_BLOCKS
        };
        let blocks = chunk.rows.div_ceil(128).min(most);
        let launch = Launch::of(self.dense.pick("assign_f32", "assign_bf16"), blocks, 256);
        self.dense.engine().launch(launch, &arguments)
    }

    fn by_tensor_cores(
        &self,
        model: &Model,
        chunk: Chunk,
        to: (Place, Place),
    ) -> Result<(), CudaError> {
        model.n_unsure.fill(0)?;
        let arguments: [Argument; 13] = [
            chunk.place.into(),
            model.reduced().into(),
            model.halves.place().into(),
            self.dense.spreads.at::<f32>(chunk.first).into(),
            model.widest.place().into(),
            self.tolerance().into(),
            (chunk.rows as u32).into(),
            (model.k as u32).into(),
            (model.width as u32).into(),
            to.0.into(),
            to.1.into(),
            model.unsure.place().into(),
            model.n_unsure.place().into(),
        ];
        let launch = Launch {
            shared: TENSOR_SHARED,
            ..Launch::of(
                self.dense.pick("assign_tensor_f32", "assign_tensor_bf16"),
                chunk.rows.div_ceil(128),
                256,
            )
        };
        self.dense.engine().launch(launch, &arguments)
    }

    fn on_hopper(
        &self,
        model: &Model,
        chunk: Chunk,
        tiled: &Tiled,
        to: (Place, Place),
    ) -> Result<(), CudaError> {
        model.n_unsure.fill(0)?;
        let block = &tiled.block;
        let arguments: [Argument; 14] = [
            tiled.place(chunk).into(),
            model.reduced().into(),
            model.halves.place().into(),
            self.dense.spreads.at::<f32>(chunk.first).into(),
            model.widest.place().into(),
            self.tolerance().into(),
            (chunk.rows as u32).into(),
            (block.lines as u32).into(),
            (model.k.div_ceil(hopper::TILE) as u32).into(),
            (block.ring as u32).into(),
            to.0.into(),
            to.1.into(),
            model.unsure.place().into(),
            model.n_unsure.place().into(),
        ];
        let engine = self.dense.engine();
        let kernel = block.kernel(self.dense.form.half);
        let blocks = block.blocks(chunk.rows, engine.multiprocessors());
        let launch = Launch {
            shared: block.shared,
            ..Launch::of(kernel, blocks, block.threads())
        };
        engine.launch(launch, &arguments)
    }

    fn by_products(
        &self,
        model: &Model,
        chunk: Chunk,
        (products, at_once): (&Memory, usize),
        to: (Place, Place),
    ) -> Result<(), CudaError> {
        model.n_unsure.fill(0)?;
        for first in (0..chunk.rows).step_by(at_once) {
            let n_rows = at_once.min(chunk.rows - first);
            self.dense.engine().product(&Product {
                rows: chunk.place.offset(first * self.dense.form.bytes()),
                centroids: model.reduced(),
                products: products.place(),
                n_rows,
                k: model.k,
                ld: model.width,
                numbers: self.dense.numbers,
            })?;
            let arguments: [Argument; 12] = [
                products.place().into(),
                model.halves.place().into(),
                self.dense.spreads.at::<f32>(chunk.first).into(),
                model.widest.place().into(),
                self.tolerance().into(),
                (first as u32).into(),
                (n_rows as u32).into(),
                (model.k as u32).into(),
                to.0.into(),
                to.1.into(),
                model.unsure.place().into(),
                model.n_unsure.place().into(),
            ];
            self.dense.engine().launch(
                Launch::of("argmin_products", n_rows.div_ceil(8), 256),
                &arguments,
            )?;
        }
        Ok(())
    }

    fn tolerance(&self) -> f32 {
        let rounding = match self.dense.numbers {
            Numbers::F32 => 0.0,
            Numbers::Tf32 => TOLERANCE_TF32,
            Numbers::Bf16 => TOLERANCE_BF16,
        };
        rounding + TOLERANCE_COLUMN * self.dense.columns() as f32
    }
}
