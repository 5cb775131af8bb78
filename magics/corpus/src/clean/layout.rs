//! Rules about lines, hyphens, paragraphs and blanks.

use std::collections::HashMap;

use super::{Draft, removal};
use crate::sentence::starts_item;
use crate::span::Edit;

/// First parts that keep their hyphen when nothing in the document says otherwise.
const KEEP: &[&str] = &[
    "well", "self", "non", "state", "two", "three", "four", "high", "low", "long", "short", "real",
    "open", "large", "small", "cross", "end", "multi", "semi", "pre", "post", "co", "so", "data",
    "time", "user", "on", "off", "ill", "half", "first", "second", "third", "one", "full", "fine",
    "left", "right", "single", "double", "work",
];

/// A word cut by a hyphen at the end of a line is put together.
///
/// The hyphen stays where the document writes the word with one elsewhere (`data-driven`), or where what follows is a
/// name or a number; the words of the document decide before a short list of usual first parts does.
pub(super) fn hyphens(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut words: Option<HashMap<String, usize>> = None;
    let mut edits = Vec::new();
    for (at, _) in text.match_indices('\n') {
        let line = text[..at].trim_end_matches([' ', '\t']);
        let Some(stem) = line.strip_suffix(['-', '\u{2010}']) else {
            continue;
        };
        let rest_start =
            at + 1 + (text[at + 1..].len() - text[at + 1..].trim_start_matches([' ', '\t']).len());
        let rest = &text[rest_start..];
        let first = last_word(stem);
        let second = &rest[..rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len())];
        let cut = first.ends_with(char::is_alphabetic) && !second.is_empty();
        if !cut {
            continue;
        }
        let words = words.get_or_insert_with(|| word_counts(text));
        let known = |word: String| words.get(&word.to_lowercase()).copied().unwrap_or(0);
        let (joined, hyphenated) = (
            known(format!("{first}{second}")),
            known(format!("{first}-{second}")),
        );
        let keep = match (joined, hyphenated) {
            (joined, hyphenated) if second.starts_with(char::is_uppercase) => joined <= hyphenated,
            _ if rest[second.len()..].starts_with('-') => true,
            (0, 0) => KEEP.contains(&first.to_lowercase().as_str()) || first.contains('-'),
            (joined, hyphenated) => hyphenated > joined,
        };
        let from = if keep { line.len() } else { stem.len() };
        edits.push(removal(from..rest_start));
    }
    edits
}

/// The letters and hyphens at the end of a text.
fn last_word(text: &str) -> &str {
    let start = text
        .rfind(|c: char| !(c.is_alphabetic() || c == '-'))
        .map_or(0, |at| {
            at + text[at..].chars().next().map_or(1, char::len_utf8)
        });
    &text[start..]
}

/// How often each word stands inside a line.
fn word_counts(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text.split(|c: char| !(c.is_alphabetic() || c == '-')) {
        if !word.is_empty() && word.len() < 64 && !word.starts_with('-') && !word.ends_with('-') {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
    counts
}

/// A line feed inside a paragraph becomes a blank, unless a list item starts there.
pub(super) fn lines(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = Vec::new();
    for (at, _) in text.match_indices('\n') {
        let after = text[at + 1..].trim_start_matches([' ', '\t']);
        let before = text[..at].trim_end_matches([' ', '\t']);
        let inside = !before.is_empty()
            && !before.ends_with('\n')
            && !after.is_empty()
            && !after.starts_with('\n');
        if inside && !starts_item(after) {
            edits.push(Edit {
                range: at..at + 1,
                with: " ".to_owned(),
            });
        }
    }
    edits
}

/// `Abstract—`, `Abstract.`, `Summary:` where the text follows on the same line.
pub(super) fn run_in_labels(draft: &Draft) -> Vec<Edit> {
    const LABELS: &[&str] = &["Abstract", "ABSTRACT", "Summary", "SUMMARY"];
    let text = draft.text();
    let mut edits = Vec::new();
    for (at, _) in std::iter::once((0, "")).chain(text.match_indices("\n\n")) {
        let start = at + text[at..].len() - text[at..].trim_start().len();
        let Some(label) = LABELS
            .iter()
            .find(|label| text[start..].starts_with(**label))
        else {
            continue;
        };
        let sign = &text[start + label.len()..];
        let rest = sign.trim_start_matches(['—', '–', '-', '.', ':', ' ']);
        let is_new = edits
            .last()
            .is_none_or(|last: &Edit| last.range.end <= start);
        if is_new
            && rest.len() < sign.trim_start_matches(' ').len()
            && rest.starts_with(char::is_uppercase)
        {
            edits.push(removal(start..text.len() - rest.len()));
        }
    }
    edits
}

/// Lines without any letter or digit: rules, ornaments, stray signs.
pub(super) fn ornaments(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        if !content.trim().is_empty() && !content.chars().any(char::is_alphanumeric) {
            edits.push(removal(at..at + content.len()));
        }
        at += line.len();
    }
    edits
}

/// Runs of blanks become one blank, one line feed or one empty line; none is left at the ends or before a stop.
pub(super) fn blanks(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(char::is_whitespace).map(|found| at + found) {
        let end = text[start..]
            .find(|c: char| !c.is_whitespace())
            .map_or(text.len(), |len| start + len);
        let stop = text[end..].starts_with(['.', ',', ';'])
            && !text[end + 1..].starts_with(char::is_alphanumeric);
        let with = match text[start..end].matches('\n').count() {
            _ if start == 0 || end == text.len() => "",
            0 if stop => "",
            0 => " ",
            1 => "\n",
            _ => "\n\n",
        };
        if &text[start..end] != with {
            edits.push(Edit {
                range: start..end,
                with: with.to_owned(),
            });
        }
        at = end;
    }
    edits
}
