//! The seam between the engine and a model: packed tokens in, logits out, keys and values kept in pages.

use crate::GenerateError;

/// Tokens in one page of the cache.
pub const PAGE: usize = 32;

/// What a model looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Entries of a row of logits.
    pub vocabulary: usize,
    /// Longest sequence in tokens.
    pub context: usize,
    /// Layers of the decoder.
    pub n_layers: usize,
    /// Bytes of keys and values of one token, over all layers.
    pub bytes_per_token: usize,
}

/// One sequence's part of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// First row in the packed tokens.
    pub start: usize,
    /// Rows of this step.
    pub len: usize,
    /// Tokens in the cache after this step, so that positions are `length - len .. length`.
    pub length: usize,
    /// Its pages in order, `length / PAGE` of them, rounded up.
    pub pages: Vec<u32>,
}

/// The work of one step: tokens of several sequences, packed without padding (prompt chunks and decode tokens mixed).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Tokens of all parts, one after the other.
    pub tokens: Vec<u32>,
    /// Whose tokens they are.
    pub parts: Vec<Part>,
    /// Rows of `tokens` whose logits are wanted, ascending.
    pub rows: Vec<usize>,
}

/// A decoder with a paged cache.
pub trait Forward: Send {
    /// The model's sizes.
    fn shape(&self) -> &Shape;

    /// Makes room for `n_pages` pages; called once, before the first step. What was there is lost.
    fn reserve(&mut self, n_pages: usize) -> Result<(), GenerateError>;

    /// Runs one step: writes keys and values of every token into its page, and gives logits, `rows.len()` × vocabulary,
    /// row-major.
    fn forward(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError>;

    /// Takes back logits that `forward` gave, when they are no longer needed. A model on a GPU puts the next ones in their
    /// place, as new memory costs more time than the copy.
    fn recycle(&mut self, logits: Vec<f32>) {
        drop(logits);
    }

    /// Runs one step for an embedding model: hidden states (after the last norm) of `rows` instead of logits,
    /// `rows.len()` × hidden, row-major.
    fn hidden(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError>;
}
