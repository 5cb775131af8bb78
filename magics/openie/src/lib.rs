//! Open information extraction without a model server: words, word classes, noun phrases and clauses become triples.
//!
//! Everything here is a pure function of one sentence: no files, no clock, no randomness.

mod analyse;
mod argument;
mod chunk;
mod clause;
mod confidence;
mod extent;
mod features;
mod mention;
mod model;
mod nominal;
mod range_coder;
mod repair;
mod sentence;
mod speech;
mod subject;
mod tag;
mod tagger;
mod tokenize;
pub mod training;
mod verb;

pub use analyse::{Analysis, Clause, Mention, Triple, analyse, analyse_tokens};
pub use confidence::{N_SIGNS, Origin, Signs};
pub use model::ModelError;
pub use tag::Tag;
pub use tagger::Tagger;
pub use tokenize::tokenize;
