//! Filters: which items count, by their fields.
//!
//! ```text
//! year >= 2020 and (source ~ "arxiv" or not kind = "image") and lang in ("en", "de") and published exists
//! ```
//! `~` finds a text inside a text, whatever the case; `!=` and `!~` are the opposites of `=` and `~`, so they hold for items
//! without the field, and all other comparisons do not. A date that names a day or a year stands for all of it.

mod evaluate;
mod parse;
mod token;

pub(crate) use evaluate::evaluate;
pub(crate) use parse::parse;

use crate::item::Kind;

/// A filter that fits the fields of an index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Test(Column, Test),
}

/// A column of the word index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name there.
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Exists,
    /// A number, or seconds, between two, both included.
    Between(f64, f64),
    Truth(bool),
    /// This text, whatever its case; it is in small letters.
    Is(String),
    /// A text between two in the order of bytes; the truth values say whether the ends are included.
    Text {
        from: Option<(String, bool)>,
        to: Option<(String, bool)>,
    },
    /// A text that contains this one; it is in small letters.
    Contains(String),
}

/// Columns that every index has, beside its fields.
pub(crate) const BUILT_IN: [&str; 3] = ["id", "title", "source"];

#[cfg(test)]
mod tests;
