//! Rules about lines, paragraphs and blanks.

use super::Draft;
use crate::sentence::starts_item;
use crate::span::Edit;

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

/// Runs of blanks become one blank, one line feed or one empty line; none is left at the ends.
pub(super) fn blanks(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(char::is_whitespace).map(|found| at + found) {
        let end = text[start..]
            .find(|c: char| !c.is_whitespace())
            .map_or(text.len(), |len| start + len);
        let with = match text[start..end].matches('\n').count() {
            _ if start == 0 || end == text.len() => "",
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
