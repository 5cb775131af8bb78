//! Own kernels on an NVIDIA GPU: compiled by NVRTC when a model is loaded, launched beside candle's operations.
//!
//! Whoever has kernels writes against [`Launcher`]. On a card that is the driver. In tests it is [`Shim`], which runs the
//! same sources, built for the processor, so that everything but the card itself is checked without one.

#[cfg(feature = "cuda")]
mod card;
#[cfg(feature = "cuda")]
mod compile;
mod error;
mod launch;
#[cfg(feature = "rehearsal")]
mod nvrtc;
#[cfg(feature = "cuda")]
mod pinned;
mod program;
#[cfg(feature = "rehearsal")]
mod shim;

#[cfg(feature = "cuda")]
pub use card::{Card, gpu};
pub use error::CardError;
pub use launch::{Argument, Launch, Launcher, room};
#[cfg(feature = "rehearsal")]
pub use nvrtc::{compiled_for_cards, resources};
pub use program::{BASE, Large, Program};
#[cfg(feature = "rehearsal")]
pub use shim::{Kernels, Shim, Sources};
