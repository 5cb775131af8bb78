//! Encoders on a GPU.

use super::{Encoder, Model};
#[cfg(feature = "cuda")]
use crate::compute::open_card;
use crate::compute::{GpuKernels, Place};
use crate::error::EngineError;

impl Encoder {
    /// The same encoder, on the GPU of this number; an error where there is none that can be used.
    ///
    /// Its rows differ from those of the processor, and may in the last bits from one batch to another: products there
    /// round their factors to 10 bits behind the point, which leaves cosines of 0.9999 and more to what the processor gives.
    pub fn on_gpu(self, number: usize) -> Result<Self, EngineError> {
        self.on_gpu_by(number, GpuKernels::default())
    }

    /// As [`Self::on_gpu`], by these kernels.
    pub fn on_gpu_by(self, number: usize, kernels: GpuKernels) -> Result<Self, EngineError> {
        let placed = Place::open(number, kernels).and_then(|place| self.moved(&place));
        placed.map_err(|error| no_gpu(number, &error))
    }

    /// Gives memory of its GPU back that is kept for the next batch; for when none is expected soon. Other processes miss it
    /// until then, up to 1 GiB.
    pub fn give_back(&self) {
        self.model.layers().give_back();
    }

    /// The same encoder, with its layers elsewhere.
    pub(super) fn moved(mut self, place: &Place) -> candle_core::Result<Self> {
        match &mut self.model {
            Model::Text(model) => model.move_to(place)?,
            Model::Clip(clip) => clip.move_to(place)?,
        }
        self.info.n_bytes = self.model.n_bytes() as u64;
        Ok(self)
    }

    /// How products are computed: `f32`, or `tf32` where their factors are rounded to that.
    pub fn precision(&self) -> &'static str {
        match self.model.layers().tower() {
            Some(tower) if !tower.is_exact() => "tf32",
            _ => "f32",
        }
    }
}

/// Opens the GPU of this number and leaves it; an error where there is none that can be used.
#[cfg(feature = "cuda")]
pub fn try_gpu(number: usize) -> Result<(), EngineError> {
    let opened = open_card(number).and_then(|device| device.synchronize());
    opened.map_err(|error| no_gpu(number, &error))
}

fn no_gpu(number: usize, error: &candle_core::Error) -> EngineError {
    let what = error.to_string();
    EngineError::NoGpu {
        number,
        // Without the trace of calls.
        what: what.lines().next().unwrap_or_default().to_owned(),
    }
}
