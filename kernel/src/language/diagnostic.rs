//! What rustc says of a cell, read from its JSON (rustc book, "JSON output").

use serde::Deserialize;

/// An error, a warning, or a remark on one.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Diagnostic {
    pub(super) message: String,
    #[serde(default)]
    pub(super) code: Option<Code>,
    pub(super) level: String,
    #[serde(default)]
    pub(super) spans: Vec<Span>,
    #[serde(default)]
    pub(super) children: Vec<Diagnostic>,
}

/// The number of an error, `E0382`, or the name of a lint.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Code {
    pub(super) code: String,
}

/// A place in the text that rustc was given.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Span {
    pub(super) file_name: String,
    pub(super) byte_start: usize,
    pub(super) byte_end: usize,
    pub(super) is_primary: bool,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) suggested_replacement: Option<String>,
    /// The macro that the place was expanded from.
    #[serde(default)]
    pub(super) expansion: Option<Box<Expansion>>,
}

/// Where a macro was called.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Expansion {
    pub(super) span: Span,
}

impl Diagnostic {
    /// Reads a line of rustc's output, if it is one.
    pub(super) fn read(line: &str) -> Option<Diagnostic> {
        serde_json::from_str(line).ok()
    }

    /// Whether it keeps the cell from running.
    pub(super) fn is_error(&self) -> bool {
        self.level.starts_with("error")
    }

    /// Its number.
    pub(super) fn number(&self) -> &str {
        self.code.as_ref().map_or("", |code| &code.code)
    }

    /// Its places in the crate of the cell, the main ones first, and those of its remarks.
    pub(super) fn places(&self) -> impl Iterator<Item = &Span> {
        let own = self.spans.iter().filter(|span| span.is_primary);
        let rest = self.spans.iter().filter(|span| !span.is_primary);
        own.chain(rest)
            .chain(self.children.iter().flat_map(|child| &child.spans))
    }
}

impl Span {
    /// The place in the crate of the cell: where the outermost macro was called, when it lies in a macro's own text.
    pub(super) fn outermost(&self, file: &str) -> Option<&Span> {
        let mut span = self;
        loop {
            if span.file_name == file {
                return Some(span);
            }
            span = &span.expansion.as_ref()?.span;
        }
    }
}
