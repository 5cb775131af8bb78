//! Why a cell failed, in the words and the form that frontends show: rustc's report with the place in the cell.

use std::fmt::Write as _;

use evcxr::{CompilationError, Error};
use mlk8s_catalog::session::Import;

/// A failed cell.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Sort of failure.
    pub(crate) ename: String,
    /// What failed, in one line.
    pub(crate) evalue: String,
    /// The whole report, a line each, with ANSI colours.
    pub(crate) traceback: Vec<String>,
}

const RED: &str = "\u{1b}[1;31m";
const BLUE: &str = "\u{1b}[1;34m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

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
        }
    }

    /// The thread that runs cells has ended.
    pub(super) fn gone() -> Failure {
        Failure::new(
            "KernelError",
            "Rust cells are no longer available",
            "restart the kernel",
        )
    }

    /// evcxr could not be started.
    pub(super) fn start(why: &str) -> Failure {
        let what = format!("Rust cells cannot run: {}", why.trim());
        let hint = "they need `rustc` and `cargo` (https://rustup.rs) and a C linker; magics work without them";
        Failure::new("ToolchainError", &what, hint)
    }

    /// The cell panicked with `message`.
    pub(super) fn panicked(message: &str) -> Failure {
        let hint = "variables that this cell took are lost if they were moved, all others are kept";
        Failure::new("Panic", message, hint)
    }

    /// The cell left early by `?`; the error is on stderr already.
    pub(super) fn left() -> Failure {
        let hint = "variables of earlier cells are kept; those that this cell defines do not exist";
        Failure::new(
            "Error",
            "the cell ended early with an error passed on by `?`",
            hint,
        )
    }

    /// The user stopped the cell; `cause` is how evcxr saw it.
    pub(super) fn interrupted(cause: Option<&Failure>) -> Failure {
        let mut failure = Failure::new("Interrupted", "the cell was stopped", "");
        let lost = cause.filter(|failure| failure.ename == "Crash");
        failure.traceback.push(match lost {
            Some(_) => "  its process had to be ended: variables of Rust cells are lost, \
                        results of magics are there again"
                .to_owned(),
            None => "  it was still being compiled: all variables are kept".to_owned(),
        });
        failure
    }

    /// What evcxr reports, for the cell `code`.
    pub(super) fn of(error: &Error, code: &str) -> Failure {
        match error {
            Error::CompilationErrors(errors) => compilation(errors, code),
            Error::SubprocessTerminated(why) => Failure::new("Crash", why.trim(), ""),
            Error::TypeRedefinedVariablesLost(names) => {
                let what = format!(
                    "variables whose type was redefined are lost: {}",
                    names.join(", ")
                );
                Failure::new("TypeRedefined", &what, "")
            }
            Error::Message(message) => message_failure(message),
        }
    }

    /// Says what survived the crash of the process that ran the cell.
    pub(super) fn after_crash(mut self, back: &[Import], restored: bool) -> Failure {
        let names: Vec<_> = back
            .iter()
            .map(|import| format!("`{}`", import.name))
            .collect();
        let kept = if restored && !names.is_empty() {
            format!("{} are there again, ", names.join(", "))
        } else {
            String::new()
        };
        let what = "the process that runs Rust cells ended and was started again: ";
        self.traceback.push(format!(
            "  {what}{kept}variables of Rust cells are lost, functions and types are kept"
        ));
        self
    }
}

fn message_failure(message: &str) -> Failure {
    let mut lines = message.trim().lines();
    let first = lines.next().unwrap_or("unknown failure");
    let mut failure = Failure::new("CompileError", first, "");
    failure.traceback.extend(lines.map(str::to_owned));
    failure
}

/// One report of all errors, each as rustc shows it but with lines counted in the cell.
fn compilation(errors: &[CompilationError], code: &str) -> Failure {
    let lines: Vec<&str> = code.lines().collect();
    let mut report = String::new();
    for error in errors {
        describe(error, &lines, &mut report);
    }
    let evalue = errors
        .first()
        .map_or_else(String::new, CompilationError::message);
    Failure {
        ename: "CompileError".to_owned(),
        evalue,
        traceback: report.lines().map(str::to_owned).collect(),
    }
}

fn describe(error: &CompilationError, lines: &[&str], report: &mut String) {
    let code = error
        .code()
        .map(|code| format!("[{code}]"))
        .unwrap_or_default();
    let colour = if error.level() == "warning" {
        "\u{1b}[1;33m"
    } else {
        RED
    };
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(
        report,
        "{colour}{}{code}{PLAIN}{BOLD}: {}{PLAIN}",
        error.level(),
        error.message()
    );
    let mut placed = false;
    for spanned in error.spanned_messages() {
        let Some(span) = spanned.span else { continue };
        if !placed {
            let _ = writeln!(
                report,
                " {BLUE}-->{PLAIN} cell:{}:{}",
                span.start_line, span.start_column
            );
            placed = true;
        }
        let text = lines
            .get(span.start_line.saturating_sub(1))
            .copied()
            .unwrap_or("");
        let from = span.start_column.saturating_sub(1);
        let to = if span.end_line == span.start_line {
            span.end_column.saturating_sub(1)
        } else {
            text.chars().count()
        };
        let mark = if spanned.is_primary { "^" } else { "-" };
        let colour = if spanned.is_primary { RED } else { BLUE };
        let number = span.start_line.to_string();
        let margin = " ".repeat(number.len());
        let _ = writeln!(report, "{margin} {BLUE}|{PLAIN}");
        let _ = writeln!(report, "{BLUE}{number} |{PLAIN} {text}");
        let marks = mark.repeat(to.saturating_sub(from).max(1));
        let _ = writeln!(
            report,
            "{margin} {BLUE}|{PLAIN} {}{colour}{marks} {}{PLAIN}",
            " ".repeat(from),
            spanned.label
        );
    }
    if !placed && !error.rendered().is_empty() {
        report.push_str(error.rendered().trim_end());
        report.push('\n');
    }
    for help in error.help() {
        let _ = writeln!(report, "  {BLUE}={PLAIN} {BOLD}help{PLAIN}: {help}");
    }
    if let Some(hint) = error.evcxr_extra_hint() {
        let _ = writeln!(report, "  {BLUE}={PLAIN} {BOLD}note{PLAIN}: {hint}");
    }
    report.push('\n');
}
