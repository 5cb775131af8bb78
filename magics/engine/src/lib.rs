//! Encoders of texts and images: on the processor without padding, one worker a core, or on a GPU.
//!
//! [`Encoder::load`] reads a model directory and [`Encoder::encode`] turns texts into rows of numbers. Below them, `compute`
//! holds the arithmetic (matrix products, attention, normalisation), which knows nothing of models or files.

mod compute;
mod embedding;
mod error;
mod thumbnail;
mod watch;

pub use compute::GpuKernels;
#[cfg(feature = "cuda")]
pub use embedding::try_gpu;
pub use embedding::{Embeddings, Encoder, EncoderInfo, Family, Pooling};
pub use error::EngineError;
pub use thumbnail::thumbnail;
pub use watch::{Unwatched, Watch};
