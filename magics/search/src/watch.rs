//! How long work tells how far it is, and learns that it should stop.

/// Takes reports; called from the thread that started the work.
pub trait Watch: Sync {
    /// Whether the user wants to stop; asked several times a second.
    fn stopped(&self) -> bool;
    /// `done` of `total` steps; `what` names them.
    fn step(&self, done: usize, total: usize, what: &str);
}

/// Throws reports away and never stops.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Watch for Silent {
    fn stopped(&self) -> bool {
        false
    }
    fn step(&self, _done: usize, _total: usize, _what: &str) {}
}
