//! How an engine tells how far it is, and learns that it should stop.

use crate::fit::Iteration;

/// Takes reports; called from the thread that started the work.
pub trait Watch: Sync {
    /// Whether the user wants to stop; asked at least ten times a second.
    fn stopped(&self) -> bool;
    /// One iteration of k-means has ended.
    fn iteration(&self, iteration: &Iteration);
    /// `done` of `total` steps of something else; `what` names it.
    fn step(&self, done: usize, total: usize, what: &str);
}

/// Throws reports away and never stops.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Watch for Silent {
    fn stopped(&self) -> bool {
        false
    }
    fn iteration(&self, _iteration: &Iteration) {}
    fn step(&self, _done: usize, _total: usize, _what: &str) {}
}
