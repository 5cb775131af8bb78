//! Knowledge graphs from documents: a store that survives a kill, entities, communities, guided retrieval, layout.
//!
//! Documents go in through [`Store::add`], are kept as Parquet segments, and come out as an [`Index`] that holds the
//! graph and answers questions with evidence. Same documents, same graph, whatever happened in between.

pub mod community;
mod entity;
mod error;
pub mod export;
mod extract;
mod index;
mod knowledge;
pub mod layout;
pub mod picture;
mod retrieve;
#[cfg(test)]
mod sample;
pub mod statement;
mod store;
pub mod words;

pub use error::GraphError;
pub use index::{Index, Stats};
pub use retrieve::{
    Answer, AskOptions, CitedTriple, Evidence, EvidenceSentence, Linked, Near, PassageText,
};
pub use store::{BuildReport, Run, Stated, Store, StoredDocument};
