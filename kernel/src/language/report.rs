//! rustc's diagnostics → a report as rustc would make it of the cell alone: its lines, carets, helps, and as data.

use std::fmt::Write as _;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::compose::{Composed, Origin};
use super::diagnostic::{Diagnostic, Span};
use super::failure::{BLUE, BOLD, Failure, GREEN, PLAIN, RED, YELLOW};
use super::notes;

/// Lines that a report of one error shows of a place that goes over many.
const LINES: usize = 6;

/// Makes reports of what rustc says of one cell.
pub(super) struct Reporter<'a> {
    pub(super) composed: &'a Composed,
    /// The file that rustc was given.
    pub(super) file: &'a str,
    /// What is known of names that are missing: why each is gone.
    pub(super) gone: &'a dyn Fn(&str) -> Option<String>,
}

/// A stretch of a source, with what rustc says of it.
struct Marked {
    origin: Origin,
    length: usize,
    label: String,
    is_primary: bool,
}

impl Reporter<'_> {
    /// The failure that `diagnostics` make, which hold an error.
    pub(super) fn failure(&self, diagnostics: &[Diagnostic]) -> Failure {
        let errors: Vec<&Diagnostic> = diagnostics
            .iter()
            .filter(|one| Self::is_worth_telling(one))
            .collect();
        let mut report = String::new();
        for error in &errors {
            self.describe(error, &mut report);
        }
        let evalue = errors
            .first()
            .map_or("the cell cannot be compiled", |error| &error.message);
        let mut failure = Failure::new("CompileError", evalue, "");
        failure.traceback = report.lines().map(str::to_owned).collect();
        failure.errors = errors.iter().map(|error| self.as_data(error)).collect();
        failure
    }

    /// The warnings among `diagnostics` about what the user typed in this cell, as one text; `None` when there are
    /// none.
    pub(super) fn warnings(&self, diagnostics: &[Diagnostic]) -> Option<(usize, String)> {
        let worth: Vec<&Diagnostic> = diagnostics
            .iter()
            .filter(|one| {
                one.level == "warning" && self.marked(one).iter().any(|mark| mark.origin.is_cell)
            })
            .collect();
        let mut report = String::new();
        for warning in &worth {
            self.describe(warning, &mut report);
        }
        (!worth.is_empty()).then_some((worth.len(), report))
    }

    fn is_worth_telling(one: &Diagnostic) -> bool {
        one.is_error() && !one.message.starts_with("aborting due to")
    }

    fn marked(&self, one: &Diagnostic) -> Vec<Marked> {
        let mut all: Vec<Marked> = one
            .spans
            .iter()
            .filter_map(|span| self.mark(span))
            .collect();
        all.sort_by_key(|mark| !mark.is_primary);
        all
    }

    fn mark(&self, span: &Span) -> Option<Marked> {
        let outer = span.outermost(self.file)?;
        let origin = self.composed.origin(outer.byte_start)?;
        let end = self.composed.origin(outer.byte_end);
        let length = end
            .filter(|end| end.text == origin.text && end.at > origin.at)
            .map_or(1, |end| end.at - origin.at);
        Some(Marked {
            origin,
            length,
            label: span.label.clone().unwrap_or_default(),
            is_primary: span.is_primary,
        })
    }

    fn describe(&self, one: &Diagnostic, report: &mut String) {
        let number = one.number();
        let code = if number.is_empty() {
            String::new()
        } else {
            format!("[{number}]")
        };
        let colour = if one.is_error() { RED } else { YELLOW };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            report,
            "{colour}{}{code}{PLAIN}{BOLD}: {}{PLAIN}",
            one.level, one.message
        );
        let marks = self.marked(one);
        if let Some(first) = marks.first() {
            let (line, column) = line_and_column(&first.origin);
            let place = if first.origin.is_cell {
                "cell"
            } else {
                "an earlier cell"
            };
            let _ = writeln!(report, " {BLUE}-->{PLAIN} {place}:{line}:{column}");
        }
        for mark in &marks {
            show(mark, colour, report);
        }
        if marks.is_empty() {
            self.describe_elsewhere(one, report);
        }
        for child in &one.children {
            self.help(child, report);
        }
        for hint in self.hints(one) {
            let _ = writeln!(report, "  {BLUE}={PLAIN} {BOLD}hint{PLAIN}: {hint}");
        }
        report.push('\n');
    }

    /// An error in what the kernel wrote around the cell is about a variable that crosses.
    fn describe_elsewhere(&self, one: &Diagnostic, report: &mut String) {
        let place = one
            .places()
            .find_map(|span| span.outermost(self.file))
            .map(|span| span.byte_start);
        let named = place.and_then(|at| {
            self.composed
                .kept_at(at)
                .map(|(name, _)| name)
                .or_else(|| self.composed.taken_at(at))
        });
        if let Some(name) = named {
            let _ = writeln!(
                report,
                "  {BLUE}={PLAIN} {BOLD}note{PLAIN}: this is about the variable `{name}`"
            );
        }
    }

    fn help(&self, child: &Diagnostic, report: &mut String) {
        let _ = writeln!(
            report,
            "  {BLUE}={PLAIN} {BOLD}{}{PLAIN}: {}",
            child.level,
            child.message.replace('\n', "\n          ")
        );
        let Some(span) = child
            .spans
            .iter()
            .find(|span| span.suggested_replacement.is_some())
        else {
            return;
        };
        let (Some(origin), Some(better)) = (
            self.composed.origin(span.byte_start),
            &span.suggested_replacement,
        ) else {
            return;
        };
        let end = origin.at + (span.byte_end - span.byte_start);
        if let (Some(before), Some(after)) = (origin.text.get(..origin.at), origin.text.get(end..))
        {
            let fixed = format!("{before}{better}{after}");
            let (line, _) = line_and_column(&origin);
            if let Some(text) = fixed.lines().nth(line - 1) {
                let _ = writeln!(report, "{GREEN}{line:>3} |{PLAIN} {BOLD}{text}{PLAIN}");
            }
        }
    }

    fn hints(&self, one: &Diagnostic) -> Vec<String> {
        let mut hints = Vec::new();
        if one.number() == "E0425"
            && let Some(name) = one.message.split('`').nth(1)
            && let Some(why) = (self.gone)(name)
        {
            hints.push(why);
        }
        if one.number() == "E0432" || one.number() == "E0433" {
            let name = one.message.split('`').nth(1).unwrap_or_default();
            if one.message.contains("unresolved") && !name.contains("::") {
                hints.push(format!(
                    "`:dep {name}` at the top of a cell brings in a crate"
                ));
            }
        }
        if one.number() == "E0514" || one.message.contains("incompatible version of rustc") {
            hints.push(
                "the prelude was built by another Rust: `cargo devbox install` builds it anew"
                    .to_owned(),
            );
        }
        hints
    }

    fn as_data(&self, one: &Diagnostic) -> Value {
        let places: Vec<Value> = self
            .marked(one)
            .iter()
            .map(|mark| {
                let (line, column) = line_and_column(&mark.origin);
                json!({ "line": line, "column": column, "label": mark.label, "in_cell": mark.origin.is_cell })
            })
            .collect();
        let helps: Vec<&str> = one
            .children
            .iter()
            .map(|child| child.message.as_str())
            .collect();
        json!({ "level": one.level, "code": one.number(), "message": one.message, "places": places, "helps": helps })
    }
}

/// Line and column, in characters from 1.
fn line_and_column(origin: &Origin) -> (usize, usize) {
    let before = origin.text.get(..origin.at).unwrap_or(&origin.text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// The lines of a place with marks below the part that is meant.
fn show(mark: &Marked, colour: &str, report: &mut String) {
    let text = &*mark.origin.text;
    let end = text.floor_char_boundary((mark.origin.at + mark.length).min(text.len()));
    let (first, _) = line_and_column(&mark.origin);
    let (sign, colour) = if mark.is_primary {
        ("^", colour)
    } else {
        ("-", BLUE)
    };
    let margin = " ".repeat(first.to_string().len().max(2));
    let _ = writeln!(report, "{margin} {BLUE}|{PLAIN}");
    let mut begin = text[..mark.origin.at].rfind('\n').map_or(0, |at| at + 1);
    for shown in 0.. {
        let stop = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let line = &text[begin..stop];
        let (from, to) = (mark.origin.at.max(begin), end.min(stop).max(begin));
        let number = first + shown;
        let width = margin.len();
        let _ = writeln!(report, "{BLUE}{number:>width$} |{PLAIN} {line}");
        let is_last = end <= stop || shown + 1 == LINES;
        if from <= to {
            let indent = text[begin..from].width();
            let marks = sign.repeat(text[from..to].width().max(1));
            let label = if is_last { mark.label.trim_end() } else { "" };
            // Words are in the colour of the page: no red or blue reads well on the red of an error.
            let label = if label.is_empty() {
                String::new()
            } else {
                format!(" {BOLD}{label}{PLAIN}")
            };
            let _ = writeln!(
                report,
                "{margin} {BLUE}|{PLAIN} {}{colour}{marks}{PLAIN}{label}",
                " ".repeat(indent)
            );
        }
        if is_last {
            return;
        }
        begin = stop + 1;
    }
}

/// What to say of variables that could not be kept.
pub(super) fn unkept(names: &[(String, Option<String>)]) -> String {
    let mut lines = String::new();
    for (name, kind) in names {
        let _ = match kind {
            Some(kind) if kind.contains("{closure") => writeln!(
                lines,
                "`{name}` is not there in later cells: its type has no name; a `fn`, or a `Box<dyn Fn(…) -> …>` stays"
            ),
            Some(kind) => writeln!(
                lines,
                "`{name}` is not there in later cells: its type has no name that could be written: `{}`",
                notes::short(kind)
            ),
            None => writeln!(
                lines,
                "`{name}` is not there in later cells: it borrows from something that ends with this one"
            ),
        };
    }
    lines
}
