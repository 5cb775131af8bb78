//! The arithmetic of encoders on packed rows of `f32`: products, attention, normalisation, activations.
//!
//! Every function is written once over [`pulp::Simd`] and compiled for AVX-512, AVX2 with FMA, and plain code; the choice
//! is made at run time. Closures over vectors are marked `inline(always)`, too: one that stays a function of its own is
//! compiled for the plainest processor and calls a function for each instruction. No sum depends on how rows are grouped,
//! so a row has the same bits in any batch. On a GPU whole towers run in own kernels (`fused`), or layers as candle's
//! operations (`tensors`).

mod activation;
mod attention;
mod card;
mod fused;
mod layers;
mod linear;
mod norm;
mod place;
mod rope;
mod stack;
mod tensors;
#[cfg(test)]
mod tests;
mod tile;

pub(crate) use activation::Activation;
pub(crate) use attention::{Heads, Sight};
#[cfg(feature = "cuda")]
pub(crate) use card::open as open_card;
#[cfg(test)]
pub(crate) use fused::rehearsal;
pub(crate) use fused::{Input, Parts, Wanted};
pub(crate) use layers::{Halt, Layers};
pub(crate) use linear::{Finish, Linear};
pub(crate) use norm::LayerNorm;
pub use place::GpuKernels;
pub(crate) use place::Place;
pub(crate) use rope::Rope;
pub(crate) use stack::{Layer, NormOrder, Scratch, Stack};
