//! Rules about single characters.

use unicode_normalization::UnicodeNormalization;

use super::{Draft, removal};
use crate::span::Edit;

/// Control characters other than tab and line ends.
pub(super) fn control(draft: &Draft) -> Vec<Edit> {
    runs(draft.text(), |c| {
        c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{b}' | '\u{85}')
    })
}

/// Carriage returns, form feeds and the Unicode separators become line feeds.
pub(super) fn line_ends(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut end = at + c.len_utf8();
        let with = match c {
            '\r' => {
                if chars.next_if(|(_, next)| *next == '\n').is_some() {
                    end += 1;
                }
                "\n"
            }
            '\u{b}' | '\u{85}' | '\u{2028}' => "\n",
            '\u{c}' | '\u{2029}' => "\n\n",
            _ => continue,
        };
        edits.push(Edit {
            range: at..end,
            with: with.to_owned(),
        });
    }
    edits
}

/// Characters that take no room: soft hyphens, zero-width blanks and joiners, byte-order and direction marks.
pub(super) fn invisible(draft: &Draft) -> Vec<Edit> {
    runs(
        draft.text(),
        |c| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'),
    )
}

/// Latin ligatures and full-width forms, by Unicode's compatibility decomposition (NFKC).
pub(super) fn ligatures(draft: &Draft) -> Vec<Edit> {
    let compatible = |c: char| matches!(c, '\u{fb00}'..='\u{fb06}' | '\u{132}' | '\u{133}' | '\u{ff01}'..='\u{ff5e}');
    let found = draft.text().char_indices().filter(|(_, c)| compatible(*c));
    found
        .map(|(at, c)| Edit {
            range: at..at + c.len_utf8(),
            with: std::iter::once(c).nfkc().collect(),
        })
        .collect()
}

/// Curly quotation marks and apostrophes.
pub(super) fn quotes(draft: &Draft) -> Vec<Edit> {
    let straight = |c: char| match c {
        '“' | '”' | '„' | '‟' => Some("\""),
        '‘' | '’' | '‚' | '‛' => Some("'"),
        _ => None,
    };
    let found = draft
        .text()
        .char_indices()
        .filter_map(|(at, c)| Some((at..at + c.len_utf8(), straight(c)?)));
    found
        .map(|(range, with)| Edit {
            range,
            with: with.to_owned(),
        })
        .collect()
}

/// Removes every run of characters that `unwanted` picks out.
fn runs(text: &str, unwanted: impl Fn(char) -> bool) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| unwanted(*c)) {
        let end = at + c.len_utf8();
        match edits.last_mut() {
            Some(last) if last.range.end == at => last.range.end = end,
            _ => edits.push(removal(at..end)),
        }
    }
    edits
}
