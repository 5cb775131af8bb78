//! The formats: which one a file has, and one reader for each.

mod html;
mod json;
mod markdown;
mod pdf;
mod text;

use std::ops::Range;
use std::path::Path;

use crate::clean::Role;
use crate::document::{Kind, Reason};
use crate::read::ReadOptions;
use crate::watch::Watch;

/// What a reader makes of a file, before cleaning.
#[derive(Debug)]
pub(crate) struct Extracted {
    pub(crate) kind: Kind,
    pub(crate) title: Option<String>,
    pub(crate) n_pages: Option<u32>,
    pub(crate) original: String,
    pub(crate) marks: Vec<(Range<usize>, Role)>,
    pub(crate) remarks: Vec<String>,
}

impl Extracted {
    pub(crate) fn plain(
        kind: Kind,
        title: Option<String>,
        original: String,
        remarks: Vec<String>,
    ) -> Self {
        Self {
            kind,
            title,
            n_pages: None,
            original,
            marks: Vec::new(),
            remarks,
        }
    }
}

/// Reads the bytes of a file: one record, or as many as a JSON file holds.
pub(crate) fn extract(
    path: &Path,
    bytes: &[u8],
    options: &ReadOptions,
    watch: &dyn Watch,
) -> Result<Vec<Extracted>, Reason> {
    let record = match kind(path, bytes) {
        Some(Kind::Json) => return json::read(bytes),
        Some(Kind::Pdf) => pdf::read(bytes, options, watch),
        Some(Kind::Html) => html::read(bytes),
        Some(Kind::Markdown) => markdown::read(bytes),
        Some(Kind::Text) => text::read(bytes),
        None => Err(Reason::Unsupported),
    };
    Ok(vec![record?])
}

/// The format by what the bytes say, else by what the name says.
fn kind(path: &Path, bytes: &[u8]) -> Option<Kind> {
    if bytes.trim_ascii_start().starts_with(b"%PDF-") {
        return Some(Kind::Pdf);
    }
    let extension = path
        .extension()
        .map(|it| it.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("pdf") => Some(Kind::Pdf),
        Some("html" | "htm" | "xhtml") => Some(Kind::Html),
        Some("md" | "markdown" | "mdown") => Some(Kind::Markdown),
        Some("txt" | "text" | "asc") => Some(Kind::Text),
        Some("json" | "jsonl" | "ndjson") => Some(Kind::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide_before_the_name() {
        let check = |name: &str, bytes: &[u8], wanted: Option<Kind>| {
            assert_eq!(kind(Path::new(name), bytes), wanted, "{name}");
        };
        check("paper", b"%PDF-1.7", Some(Kind::Pdf));
        check("paper.txt", b"\n%PDF-1.7", Some(Kind::Pdf));
        check("paper.PDF", b"hello", Some(Kind::Pdf));
        check("a.HTM", b"hello", Some(Kind::Html));
        check("a.jsonl", b"{}", Some(Kind::Json));
        check("make.py", b"print('%PDF-')", None);
        check("README", b"hello", None);
    }
}
