//! Why a cell failed, in the words and the form that frontends show.

use serde_json::Value;

pub(super) use crate::display::error::{BLUE, PLAIN, RED};

/// A failed cell.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Sort of failure.
    pub(crate) ename: String,
    /// What failed, in one line.
    pub(crate) evalue: String,
    /// The whole report, a line each, with ANSI colours.
    pub(crate) traceback: Vec<String>,
    /// The compiler's errors as data.
    pub(super) errors: Vec<Value>,
}

/// As readable as [`RED`] on what JupyterLab lays errors on, in both themes.
pub(super) const GREEN: &str = "\u{1b}[1;38;5;64m";
pub(super) const YELLOW: &str = "\u{1b}[1;33m";
/// In the colour of the page, which is always readable.
pub(super) const BOLD: &str = "\u{1b}[1m";

impl Failure {
    /// A failure of sort `ename` with a one-line report.
    pub(crate) fn new(ename: &str, evalue: &str, hint: &str) -> Failure {
        let mut traceback = vec![format!("{RED}{ename}{PLAIN}{BOLD}: {evalue}{PLAIN}")];
        if !hint.is_empty() {
            traceback.push(format!("  {BLUE}hint{PLAIN}: {hint}"));
        }
        Failure {
            ename: ename.to_owned(),
            evalue: evalue.to_owned(),
            traceback,
            errors: Vec::new(),
        }
    }

    /// A failure with the report `traceback`.
    pub(crate) fn with_report(ename: String, evalue: String, traceback: Vec<String>) -> Failure {
        Failure {
            ename,
            evalue,
            traceback,
            errors: Vec::new(),
        }
    }

    /// Cells cannot run at all.
    pub(super) fn start(why: &str) -> Failure {
        let what = format!("Rust cells cannot run: {}", why.trim());
        let hint = "they need `rustc` and a C linker (https://rustup.rs) and the prelude that was built with this \
                    kernel (`cargo build` in its checkout, or `cargo devbox dist` for other machines); magics work without them";
        Failure::new("ToolchainError", &what, hint)
    }

    /// The cell panicked with `message` at `place`, a line and a column of it.
    pub(super) fn panicked(message: &str, place: Option<(usize, usize, String)>) -> Failure {
        let mut failure = Failure::new("Panic", message.lines().next().unwrap_or("no message"), "");
        failure
            .traceback
            .extend(message.lines().skip(1).map(str::to_owned));
        if let Some((line, column, text)) = place {
            failure
                .traceback
                .push(format!(" {BLUE}-->{PLAIN} cell:{line}:{column}"));
            failure
                .traceback
                .push(format!("{BLUE}{line:>3} |{PLAIN} {text}"));
        }
        failure
    }

    /// The cell left early by `?`.
    pub(super) fn left(message: &str) -> Failure {
        let hint = "the cell ended here by `?`; variables of earlier cells are kept";
        let mut failure = Failure::new(
            "Error",
            message.lines().next().unwrap_or("an error without words"),
            "",
        );
        failure
            .traceback
            .extend(message.lines().skip(1).map(str::to_owned));
        failure
            .traceback
            .push(format!("  {BLUE}note{PLAIN}: {hint}"));
        failure
    }

    /// The user stopped the cell; `rung` says what had to be done for it.
    pub(super) fn interrupted(rung: &str) -> Failure {
        let mut failure = Failure::new("Interrupted", "the cell was stopped", "");
        failure.traceback.push(format!("  {rung}"));
        failure
    }

    /// The process ended while the cell ran.
    pub(super) fn crashed(cause: &str) -> Failure {
        let what = format!("the process that runs Rust cells ended: {cause}");
        Failure::new("Crash", &what, "")
    }

    /// The cell asked and nobody can answer.
    pub(super) fn refused() -> Failure {
        Failure::new(
            "InputRefused",
            "the cell asked for input, and this frontend cannot be asked",
            "give the value in the cell, or run the notebook where somebody can type",
        )
    }

    /// Adds a line to the report.
    pub(super) fn also(mut self, line: &str) -> Failure {
        if !line.is_empty() {
            self.traceback.push(format!("  {line}"));
        }
        self
    }
}
