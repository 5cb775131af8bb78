//! What a running magic is given: the session, the cell's body, a way to be stopped and a way to report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::session::Session;
use crate::view::View;

/// One call of a magic.
pub struct Call<'a> {
    /// The values and settings of this session.
    pub session: &'a mut Session,
    /// What stands below the first line of a cell magic.
    pub body: Option<&'a str>,
    /// Says when the user wants to stop.
    pub cancel: Cancel,
    /// Takes reports of how far the work is.
    pub progress: &'a dyn Progress,
    /// Asks the user a question that is answered by yes or no; `None` when nobody can be asked.
    pub confirm: &'a dyn Fn(&str) -> Option<bool>,
    /// Whether somebody is there who waits, and is to hear soon of what cannot be reached.
    pub is_watched: bool,
    /// What a variable of Rust cells holds, as text, by its name.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The Arrow file of a variable of Rust cells that is a table, by its name; `None` when there is no such variable,
    /// an error when it is no table.
    pub frame: &'a dyn Fn(&str) -> Option<Result<PathBuf, String>>,
    /// Names of the variables of Rust cells that are frames.
    pub frames: &'a dyn Fn() -> Vec<String>,
}

impl Call<'_> {
    /// What an engine reports to, and asks whether to stop.
    pub(crate) fn watcher(&self) -> Watcher<'_> {
        Watcher {
            cancel: &self.cancel,
            progress: self.progress,
        }
    }
}

/// A flag that the interrupt of a frontend raises.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the flag is up.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Takes reports of how far a long work is; called from any thread, often, so it must be cheap.
pub trait Progress: Sync {
    /// `done` of `total` steps are finished; `what` names the latest.
    fn report(&self, done: usize, total: usize, what: &str);

    /// Shows `view` while the work goes on, in place of what was shown before; the result of the magic replaces it.
    fn live(&self, view: &View);
}

/// Throws reports away.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _done: usize, _total: usize, _what: &str) {}
    fn live(&self, _view: &View) {}
}

/// Lets an engine report to the notebook and ask whether to stop.
pub(crate) struct Watcher<'a> {
    pub(crate) cancel: &'a Cancel,
    pub(crate) progress: &'a dyn Progress,
}

impl mlk8s_search::Watch for Watcher<'_> {
    fn stopped(&self) -> bool {
        self.cancel.is_raised()
    }

    fn step(&self, done: usize, total: usize, what: &str) {
        self.progress.report(done, total, what);
    }
}

impl mlk8s_corpus::Watch for Watcher<'_> {
    fn step(&self, done: usize, total: usize, what: &str) {
        self.progress.report(done, total, what);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_raised()
    }
}
