//! Cleaning: a declared list of rules, applied in order, each counted and each possible to switch off by name.

mod characters;
mod layout;
mod marked;
mod references;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::span::{Edit, SpanMap};

/// One cleaning rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The name by which it is listed and switched off.
    pub name: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    /// Finds what to replace: ascending, not overlapping. Linear in the text.
    pub apply: fn(&Draft) -> Vec<Edit>,
}

/// The rules in the order in which they are applied.
pub const RULES: &[Rule] = &[
    Rule {
        name: "control_characters",
        about: "NUL and other control characters are removed",
        apply: characters::control,
    },
    Rule {
        name: "line_ends",
        about: "every line end is written as one line feed",
        apply: characters::line_ends,
    },
    Rule {
        name: "invisible",
        about: "zero-width characters and soft hyphens are removed",
        apply: characters::invisible,
    },
    Rule {
        name: "ligatures",
        about: "ligatures such as `ﬃ` are written as letters",
        apply: characters::ligatures,
    },
    Rule {
        name: "quotes",
        about: "curly quotation marks and apostrophes are written as straight ones",
        apply: characters::quotes,
    },
    Rule {
        name: "running_heads",
        about: "lines that come back at the head or foot of the pages are removed",
        apply: marked::running_heads,
    },
    Rule {
        name: "page_numbers",
        about: "page numbers are removed",
        apply: marked::page_numbers,
    },
    Rule {
        name: "boilerplate",
        about: "navigation, banners, footers and lists of links of web pages are removed",
        apply: marked::boilerplate,
    },
    Rule {
        name: "authors",
        about: "names and addresses under the title are removed",
        apply: marked::authors,
    },
    Rule {
        name: "references",
        about: "the list of references is removed",
        apply: references::list,
    },
    Rule {
        name: "cells",
        about: "the insides of tables and figures are removed; captions stay",
        apply: marked::cells,
    },
    Rule {
        name: "formulas",
        about: "displayed formulas are removed",
        apply: marked::formulas,
    },
    Rule {
        name: "code",
        about: "listings of programs are removed",
        apply: marked::code,
    },
    Rule {
        name: "note_marks",
        about: "raised numbers and signs that point to notes are removed",
        apply: marked::note_marks,
    },
    Rule {
        name: "hyphens",
        about: "words cut at the end of a line are put together",
        apply: layout::hyphens,
    },
    Rule {
        name: "citations",
        about: "pointers to references by number, such as `[3, 4]`, are removed",
        apply: references::numbers,
    },
    Rule {
        name: "author_year",
        about: "pointers to references by name and year, such as `(Lee, 2020)`, are removed",
        apply: references::names_and_years,
    },
    Rule {
        name: "links",
        about: "addresses of pages, DOIs and e-mail addresses are removed",
        apply: references::links,
    },
    Rule {
        name: "run_in_labels",
        about: "a label that runs into its paragraph, such as `Abstract—`, is removed",
        apply: layout::run_in_labels,
    },
    Rule {
        name: "ornaments",
        about: "lines without a letter or digit are removed",
        apply: layout::ornaments,
    },
    Rule {
        name: "lines",
        about: "the lines of a paragraph are joined",
        apply: layout::lines,
    },
    Rule {
        name: "blanks",
        about: "runs of blanks become one, paragraphs are set off by one empty line",
        apply: layout::blanks,
    },
];

/// What one rule did to one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleaningStep {
    /// Name of the rule.
    pub rule: String,
    /// Places it changed.
    pub count: usize,
    /// Characters taken out.
    pub removed: usize,
    /// Characters put in.
    pub added: usize,
    /// The first place: what stood there and what stands there now.
    pub sample: Option<(String, String)>,
}

/// What a stretch of an extracted text is, where the reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A line that comes back at the head or foot of the pages.
    RunningHead,
    /// A page number.
    PageNumber,
    /// Names, affiliations and addresses under the title.
    Authors,
    /// The caption of a figure or a table.
    Caption,
    /// A heading.
    Heading,
    /// Numbers and words inside a figure or a table.
    Cells,
    /// A displayed formula.
    Formula,
    /// A footnote.
    Footnote,
    /// The raised number or sign that points to a footnote or a reference.
    NoteMark,
    /// A listing of a program.
    Code,
    /// What a web page has around its text.
    Boilerplate,
}

/// A text on its way from extracted to clean.
#[derive(Debug, Clone)]
pub struct Draft {
    text: String,
    spans: SpanMap,
    marks: Vec<(Range<usize>, Role)>,
}

impl Draft {
    /// Starts from an extracted text and what the reader knows about stretches of it.
    pub fn new(original: &str, marks: Vec<(Range<usize>, Role)>) -> Self {
        Self {
            text: original.to_owned(),
            spans: SpanMap::identity(original.len()),
            marks,
        }
    }

    /// The text as it stands now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where stretches of a role are in the text as it stands now, ascending.
    pub fn marked(&self, role: Role) -> impl Iterator<Item = Range<usize>> + '_ {
        self.marks
            .iter()
            .filter(move |(range, it)| *it == role && !range.is_empty())
            .map(|(range, _)| range.clone())
    }

    /// Applies the rules that are not skipped and tells what each one did.
    pub(crate) fn clean(mut self, skip: &BTreeSet<String>) -> (String, SpanMap, Vec<CleaningStep>) {
        let mut steps = Vec::new();
        for rule in RULES.iter().filter(|rule| !skip.contains(rule.name)) {
            let edits = (rule.apply)(&self);
            steps.push(self.step(rule, &edits));
            self.edit(&edits);
        }
        (self.text, self.spans, steps)
    }

    fn step(&self, rule: &Rule, edits: &[Edit]) -> CleaningStep {
        let chars = |text: &str| text.chars().count();
        CleaningStep {
            rule: rule.name.to_owned(),
            count: edits.len(),
            removed: edits
                .iter()
                .map(|edit| chars(&self.text[edit.range.clone()]))
                .sum(),
            added: edits.iter().map(|edit| chars(&edit.with)).sum(),
            sample: edits.first().map(|edit| {
                (
                    shortened(&self.text[edit.range.clone()]),
                    shortened(&edit.with),
                )
            }),
        }
    }

    fn edit(&mut self, edits: &[Edit]) {
        if edits.is_empty() {
            return;
        }
        self.spans = self.spans.edited(edits);
        self.move_marks(edits);
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for edit in edits {
            text.push_str(&self.text[at..edit.range.start]);
            text.push_str(&edit.with);
            at = edit.range.end;
        }
        text.push_str(&self.text[at..]);
        self.text = text;
    }

    fn move_marks(&mut self, edits: &[Edit]) {
        let mut shifts = Vec::with_capacity(edits.len());
        let (mut removed, mut added) = (0, 0);
        for edit in edits {
            shifts.push((edit.range.clone(), removed, added, edit.with.len()));
            removed += edit.range.len();
            added += edit.with.len();
        }
        let moved = |at: usize, is_end: bool| {
            let index = shifts.partition_point(|(range, ..)| range.start < at);
            let Some((range, before, plus, len)) = index.checked_sub(1).map(|i| &shifts[i]) else {
                return at;
            };
            if at >= range.end {
                at - before - range.len() + plus + len
            } else {
                range.start - before + plus + if is_end { *len } else { 0 }
            }
        };
        for (range, _) in &mut self.marks {
            *range =
                moved(range.start, false)..moved(range.end, true).max(moved(range.start, false));
        }
    }
}

/// At most 60 characters of a text, for samples.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// An edit that removes a range.
fn removal(range: Range<usize>) -> Edit {
    Edit {
        range,
        with: String::new(),
    }
}

#[cfg(test)]
mod tests;
