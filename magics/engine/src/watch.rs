//! How a caller follows long work and stops it.

/// Follows long work; implementations are called from several threads.
pub trait Watch: Sync {
    /// Tells that `done` of `total` pieces are finished, each being one of `what`.
    fn step(&self, done: usize, total: usize, what: &str);
    /// True once the work should stop.
    fn cancelled(&self) -> bool;
}

/// A watch that looks away: no progress, never cancelled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn step(&self, _done: usize, _total: usize, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}
