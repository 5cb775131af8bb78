//! Models that run inside this program: text and image encoders on the processor, without padding, one worker a core.
//!
//! [`Encoder::load`] reads a model directory and [`Encoder::encode`] turns texts into rows of numbers. Below them, `compute`
//! holds the arithmetic (matrix products, attention, normalisation), which knows nothing of models or files.

mod compute;
mod embedding;
mod error;
mod thumbnail;
mod watch;

pub use embedding::{Embeddings, Encoder, EncoderInfo, Family, Pooling};
pub use error::EngineError;
pub use thumbnail::thumbnail;
pub use watch::{Unwatched, Watch};
