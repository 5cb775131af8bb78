//! What an index is made with and keeps for its life.

use serde::{Deserialize, Serialize};

use crate::vectors::GATES;

/// Chosen when an index is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How words are compared.
    pub language: Language,
    /// What made the vectors: kept for the caller, who should search with the same.
    pub model: String,
    /// How the nearest vectors are found.
    #[serde(default)]
    pub nearest: Nearest,
}

/// How the nearest vectors are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nearest {
    /// By looking at all, and from 200,000 vectors on along a graph.
    #[default]
    Auto,
    /// By looking at all: nothing is missed.
    Exact,
    /// Along a graph (HNSW) as soon as there are more vectors than its highest layer has room for: 4,096.
    Hnsw,
}

/// Vectors from which [`Nearest::Auto`] has a graph: looking at all of them takes some milliseconds on one core.
const MANY: usize = 200_000;

impl Nearest {
    /// Whether `n` vectors should have a graph.
    pub(crate) fn wants_graph(self, n: usize) -> bool {
        match self {
            Self::Exact => false,
            Self::Auto => n >= MANY,
            Self::Hnsw => n > GATES,
        }
    }
}

/// How words are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// By their English stems.
    #[default]
    English,
    /// As they are, but for case and accents.
    Plain,
}
