//! A server for one model: OpenAI's API over the engine that writes text, or over an encoder of texts.
//!
//! [`Server`] holds what requests share, [`router`] is the table of endpoints, [`listen`] the connections below it; [`serve`] is the life of
//! a whole process around them.

mod answer;
mod body;
mod call;
mod door;
mod encoder;
mod endpoint;
mod error;
mod fields;
mod keys;
mod life;
mod listen;
mod load;
mod log;
mod logprobs;
mod memory;
mod meters;
mod options;
mod place;
mod refusal;
mod report;
mod serve;
mod served;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod writing;

pub use encoder::SharedEncoder;
pub use endpoint::router;
pub use error::WorkerError;
pub use keys::Keys;
pub use listen::listen;
pub use serve::serve;
pub use served::{Served, Vectors};
pub use settings::{Place, Settings};
pub use state::{Limits, Server};
