//! Rules about the literature: the list at the end, and the pointers to it in the text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Draft, Role, removal};
use crate::span::Edit;

/// Names of a list of references.
const NAMES: &[&str] = &[
    "references",
    "bibliography",
    "literature cited",
    "works cited",
    "literature",
    "references and notes",
    "reference list",
];
/// Names of what may follow such a list and is text again.
const AFTER: &[&str] = &[
    "appendix",
    "appendices",
    "supplementary",
    "supplemental",
    "acknowledg",
    "biograph",
    "author contributions",
    "annex",
];
/// A heading is not longer than this.
const MAX_HEADING: usize = 100;

/// The list of references, from its heading to the next heading that is no part of it.
///
/// A part of that name whose paragraphs do not look like references (a chapter about bibliographies) stays.
pub(super) fn list(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let headings: Vec<Range<usize>> = draft.marked(Role::Heading).collect();
    let mut edits: Vec<Edit> = Vec::new();
    let mut open = None;
    let mut end = |open: &mut Option<List>, at: usize| {
        let list = open
            .take()
            .filter(|list| list.n_alike * 5 >= list.n_paragraphs * 2 && list.n_paragraphs > 0);
        edits.extend(list.map(|list| removal(list.start..at)));
    };
    for paragraph in paragraphs(text) {
        let content = &text[paragraph.clone()];
        let name = plain(content);
        let is_list = NAMES.contains(&name.as_str());
        let is_heading = headings
            .binary_search_by(|heading| heading.start.cmp(&paragraph.start))
            .is_ok();
        if is_list || is_heading || AFTER.iter().any(|after| name.starts_with(after)) {
            end(&mut open, paragraph.start);
        }
        if is_list {
            open = Some(List {
                start: paragraph.start,
                n_paragraphs: 0,
                n_alike: 0,
            });
        } else if let Some(list) = &mut open {
            list.n_paragraphs += 1;
            list.n_alike += usize::from(is_reference(content));
        }
    }
    end(&mut open, text.len());
    edits
}

/// A list of references while it is read.
struct List {
    start: usize,
    n_paragraphs: usize,
    /// Paragraphs that look like references.
    n_alike: usize,
}

/// A label in brackets at the start, or a year.
fn is_reference(text: &str) -> bool {
    let labelled = text.starts_with('[') && text.find(']').is_some_and(|end| end < 20);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    labelled
        || numbers.any(|number| number.len() == 4 && matches!(&number[..2], "18" | "19" | "20"))
}

/// Paragraphs: what stands between empty lines.
fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    text.split("\n\n").filter_map(move |part| {
        let start = at;
        at += part.len() + 2;
        let lead = part.len() - part.trim_start().len();
        let trimmed = part.trim();
        (!trimmed.is_empty()).then(|| start + lead..start + lead + trimmed.len())
    })
}

/// A heading without its number, in small letters; nothing for what is too long for a heading.
fn plain(text: &str) -> String {
    if text.len() > MAX_HEADING {
        return String::new();
    }
    let text = text.trim_start_matches(['#', ' ']);
    let name = text.trim_start_matches(|c: char| {
        c.is_ascii_digit() || matches!(c, '.' | 'I' | 'V' | 'X' | ' ')
    });
    let name = if name.len() == text.len() || text.len() - name.len() > 6 {
        text
    } else {
        name
    };
    let name = if name.starts_with(|c: char| c.is_lowercase()) {
        text
    } else {
        name
    };
    name.trim_end_matches([':', '.']).to_lowercase()
}

/// `[12]`, `[1, 3–5]`, `[3]–[5]`.
static NUMBERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"[ \t\n]?\[\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*\](?:\s?[,–-]\s?\[\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*\])*").ok()
});

/// `(Smith, 2020)`, `(Smith et al., 2019; Lee and Kim, 2021a)`.
static NAMES_AND_YEARS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let one = r"(?:(?:see|cf\.|e\.g\.,?)\s)?\p{Lu}[\p{L}’'-]+(?:(?:,\s|\s(?:and|&)\s|,\s(?:and|&)\s)\p{Lu}[\p{L}’'-]+)*(?:\set\sal\.?)?,?\s\(?(?:1[89]|20)\d\d[a-z]?\)?";
    Regex::new(&format!(r"[ \t\n]?\({one}(?:;\s{one})*\)")).ok()
});

/// Pointers by number; a number in brackets that starts a paragraph is an item of a list and stays.
pub(super) fn numbers(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let inside = |edit: &Edit| {
        !text[..edit.range.start]
            .trim_end_matches([' ', '\t'])
            .ends_with('\n')
            && edit.range.start > 0
            && !text[edit.range.clone()].starts_with('\n')
    };
    found(&NUMBERS, text).into_iter().filter(inside).collect()
}

/// Pointers by name and year.
pub(super) fn names_and_years(draft: &Draft) -> Vec<Edit> {
    found(&NAMES_AND_YEARS, draft.text())
}

/// Addresses of pages, DOIs and e-mail addresses.
static LINKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let address = r#"(?:https?://|ftp://|(?-u:\b)www\.)[^\s<>]*[^\s<>.,;:!?)\]}'"]"#;
    let doi = r"(?-u:\b)doi:\s?10\.[0-9]{4,}/[^\s<>]*[^\s<>.,;:)\]]";
    let mail = r"(?-u:\b)[A-Za-z0-9_.+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+";
    Regex::new(&format!("{address}|{doi}|{mail}")).ok()
});

/// Links, with the brackets around them if nothing else is in these.
pub(super) fn links(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = found(&LINKS, text);
    for edit in &mut edits {
        let bracketed = text[..edit.range.start].ends_with(['(', '<'])
            && text[edit.range.end..].starts_with([')', '>']);
        if bracketed {
            edit.range = edit.range.start - 1..edit.range.end + 1;
        }
    }
    edits
}

fn found(pattern: &LazyLock<Option<Regex>>, text: &str) -> Vec<Edit> {
    pattern
        .iter()
        .flat_map(|pattern| pattern.find_iter(text))
        .map(|found| removal(found.range()))
        .collect()
}
