//! All rows in 16 bits, in the order in which the kernel for Hopper reads them.

use std::rc::Rc;

use super::data::Data;
use super::dense::Dense;
use super::engine::{Argument, Engine, Launch, Memory, Numbers, Place};
use super::error::CudaError;
use super::hopper::Block;
use super::stream::{Chunk, Form};

/// All rows in 16 bits.
pub(super) struct Tiled {
    pub(super) block: Block,
    memory: Memory,
}

impl Tiled {
    /// Takes the memory; `None` where the kernel is not there, or does not take such rows.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        (form, numbers): (Form, Numbers),
        n_rows: usize,
    ) -> Result<Option<Tiled>, CudaError> {
        let able = engine.has_hopper() && numbers != Numbers::F32;
        let Some(block) = able.then(|| Block::new(form.columns)).flatten() else {
            return Ok(None);
        };
        Ok(Some(Tiled {
            memory: Memory::of::<[u32; 4]>(engine, block.room(n_rows))?,
            block,
        }))
    }

    /// Where those of a chunk are: chunks start at multiples of 256 rows.
    pub(super) fn place(&self, chunk: Chunk) -> Place {
        self.memory.at::<[u32; 4]>(self.block.pieces(chunk.first))
    }

    /// Makes those of a chunk, whose spreads are known.
    pub(super) fn make(&self, dense: &Dense<'_>, chunk: Chunk) -> Result<(), CudaError> {
        let pieces = self.block.pieces(chunk.rows);
        let arguments: [Argument; 7] = [
            chunk.place.into(),
            dense.spreads.at::<f32>(chunk.first).into(),
            (chunk.rows as u32).into(),
            (dense.form.width as u32).into(),
            (self.block.lines as u32).into(),
            (pieces as u64).into(),
            self.place(chunk).into(),
        ];
        let kernel = dense.pick("tile_rows_f32", "tile_rows_bf16");
        dense
            .engine()
            .launch(Launch::of(kernel, pieces.div_ceil(256), 256), &arguments)
    }
}
