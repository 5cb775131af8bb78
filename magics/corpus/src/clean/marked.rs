//! Rules about what a reader has marked: furniture of pages, authors, tables, formulas, notes, boilerplate.

use super::{Draft, Role, removal};
use crate::span::Edit;

/// Running heads and stamps.
pub(super) fn running_heads(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::RunningHead)
}

/// Page numbers.
pub(super) fn page_numbers(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::PageNumber)
}

/// Names and addresses under the title.
pub(super) fn authors(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::Authors)
}

/// The insides of tables and figures.
pub(super) fn cells(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::Cells)
}

/// Displayed formulas; a paragraph around one goes on.
pub(super) fn formulas(draft: &Draft) -> Vec<Edit> {
    let text = draft.text();
    let mut edits = remove(draft, Role::Formula);
    for edit in &mut edits {
        let (before, after) = (&text[..edit.range.start], &text[edit.range.end..]);
        let inside = before.ends_with('\n')
            && !before.ends_with("\n\n")
            && after.starts_with('\n')
            && !after.starts_with("\n\n");
        if inside {
            edit.range.end += 1;
        }
    }
    edits
}

/// Raised numbers and signs that point to notes.
pub(super) fn note_marks(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::NoteMark)
}

/// Navigation, banners, footers and lists of links.
pub(super) fn boilerplate(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::Boilerplate)
}

/// Listings of programs.
pub(super) fn code(draft: &Draft) -> Vec<Edit> {
    remove(draft, Role::Code)
}

fn remove(draft: &Draft, role: Role) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for range in draft.marked(role) {
        match edits.last_mut() {
            Some(last) if range.start < last.range.end => {
                last.range.end = last.range.end.max(range.end);
            }
            _ => edits.push(removal(range)),
        }
    }
    edits
}
