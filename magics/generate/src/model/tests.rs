//! The decoder against candle-transformers on tiny random models, and damaged files.

mod damage;
mod families;
mod loading;
mod quantised;
pub(super) mod ragged;
pub(super) mod tiny;
