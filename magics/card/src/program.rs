//! The kernels of a model, as a text.

/// What all kernels share, the first part of every program.
pub const BASE: (&str, &str) = ("base.cu", include_str!("kernels/base.cu"));

/// Kernels of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// CUDA C.
    pub text: String,
    /// The names of its kernels.
    pub kernels: Vec<String>,
    /// One that wants more shared memory than others, and how much.
    pub large: Option<Large>,
}

/// A kernel with much shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    /// Its name.
    pub kernel: String,
    /// Bytes of dynamic shared memory.
    pub shared: usize,
}

impl Program {
    /// A program of named parts, in the order in which they build on each other; `#line` keeps the messages of the
    /// compiler true.
    pub fn new(parts: &[(&str, &str)], kernels: Vec<String>, large: Option<Large>) -> Self {
        let parts: Vec<String> = parts
            .iter()
            .map(|(name, text)| format!("#line 1 \"{name}\"\n{text}"))
            .collect();
        Self {
            text: parts.join("\n"),
            kernels,
            large,
        }
    }
}
