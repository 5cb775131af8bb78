//! Decoding with language models for many readers at once: paged cache, continuous batching, two classes of requests.
//!
//! An [`Engine`] owns one model (anything that is [`Forward`]) on a thread of its own. Requests come in through
//! [`Engine::submit`] and their tokens go out through [`Events`], interactive ones before batch ones. There is no HTTP and
//! no asynchronous runtime in here.

mod engine;
mod error;
mod forward;
mod grammar;
mod model;
mod pages;
mod request;
mod sample;
mod schedule;
mod text;
#[cfg(test)]
mod toy;

pub use engine::{Engine, EngineSettings, Events, Metrics, Outcomes, StepTime};
pub use error::{GenerateError, Refused};
pub use forward::{Batch, Forward, PAGE, Part, Shape};
#[cfg(feature = "cuda")]
pub use model::gpu;
pub use model::{Device, Instructions, LoadSettings, Loaded, Precision, Summary, load};
pub use request::{
    Class, Constraint, Done, Event, FinishReason, Piece, Pooling, Request, Sampling, TokenLogprob,
};
pub use text::{Special, Text};
