//! The decoder on an NVIDIA GPU: products by cuBLAS through candle, everything between them by own kernels, a paged cache.
//!
//! The step is written against tensors of any device and a launcher of kernels. On a card that is the driver, with
//! kernels that NVRTC compiles when a model is loaded, for this card and for what this model needs. Tests launch the same
//! sources, built for the processor, so that the whole decoder is checked without a card.

mod attention;
mod decoder;
mod layer;
mod matrix;
mod plan;
mod reader;
mod source;
#[cfg(test)]
pub(super) mod tests;

#[cfg(feature = "cuda")]
use mlk8s_card::Card;

#[cfg(feature = "cuda")]
use super::Precision;
#[cfg(feature = "cuda")]
use super::description::Description;
#[cfg(feature = "cuda")]
use super::weights::Source;
#[cfg(feature = "cuda")]
use crate::error::GenerateError;
pub(super) use decoder::Decoder;

/// Reads a model's weights onto the card of this number; `progress` is told the bytes done, and all bytes.
#[cfg(feature = "cuda")]
pub(super) fn load(
    number: usize,
    description: Description,
    source: &dyn Source,
    precision: Precision,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Decoder, GenerateError> {
    let program = Decoder::program(&description, precision)?;
    let card = Card::open(number, &program).map_err(GenerateError::of_card)?;
    let device = card.device();
    Decoder::new(
        description,
        source,
        precision,
        Box::new(card),
        &device,
        progress,
    )
}

/// What the GPU of this number is called, with its compute capability and memory; an error where there is none that can be
/// used.
#[cfg(feature = "cuda")]
pub fn gpu(number: usize) -> Result<String, GenerateError> {
    mlk8s_card::gpu(number).map_err(GenerateError::of_card)
}
