//! What an index is made with and keeps for its life.

use serde::{Deserialize, Serialize};

/// Chosen when an index is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How words are compared.
    pub language: Language,
    /// What made the vectors: kept for the caller, who should search with the same.
    pub model: String,
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
