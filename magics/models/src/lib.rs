//! Where a model is and what it is: names, caches, downloads, what the headers of its files say, and what it needs.
//!
//! Nothing here computes with a model, and nothing reads the environment: settings come in as [`Places`].

mod cache;
mod card;
mod configuration;
mod download;
mod error;
mod family;
mod fetch;
mod files;
mod ggml;
mod gguf;
mod http;
mod hub;
mod installed;
#[cfg(test)]
mod loopback;
mod memory;
mod need;
mod places;
mod reference;
mod s3;
mod safetensors;
mod signature;

pub use card::{Card, Kind, Pooling};
pub use error::ModelsError;
pub use fetch::{Progress, fetch};
pub use files::{Files, ModelFile};
pub use installed::{Installed, installed};
pub use memory::{free_disk, free_memory};
pub use need::{Device, Fit, Need, Plan, Precision, Suggestion, fits};
pub use places::{Bucket, Patience, Places, Secret};
pub use reference::Reference;
