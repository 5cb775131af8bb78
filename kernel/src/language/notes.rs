//! What earlier cells have left behind: items that are compiled again with each cell, and variables by their types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::source::{Key, Source};

/// Everything that later cells can use.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) items: Vec<OldItem>,
    pub(super) variables: BTreeMap<String, Variable>,
}

/// An item of an earlier cell.
#[derive(Debug, Clone)]
pub(super) struct OldItem {
    pub(super) key: Key,
    /// Its text.
    pub(super) text: Arc<str>,
    /// Where loops begin in the text.
    pub(super) loops: Vec<usize>,
}

/// A variable that the process holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Variable {
    /// Its type, as a cell can write it.
    pub(super) kind: String,
    pub(super) mutable: bool,
    /// What the process said of its value: a short text, for a frame its columns.
    pub(super) about: Value,
    /// Where its value is kept against a crash.
    pub(super) kept: Option<Kept>,
}

/// A value in a file that the process can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The name of its type, for the process.
    pub(super) key: String,
    pub(super) path: PathBuf,
}

impl Notes {
    /// Takes over the items of a cell that has been compiled; returns the variables that are lost because their type
    /// was defined anew.
    pub(super) fn take_items(&mut self, source: &Source) -> Vec<String> {
        let mut redefined = BTreeSet::new();
        for item in &source.items {
            let text: Arc<str> = source.text[item.place.clone()].into();
            let loops = source
                .loops
                .iter()
                .filter(|at| item.place.contains(at))
                .map(|at| at - item.place.start)
                .collect();
            let changed = self.replace(&item.key, &text);
            if let (true, Key::Type(name)) = (changed, &item.key) {
                redefined.insert(name.clone());
            }
            self.add(&item.key, text, loops);
        }
        self.drop_variables_of(redefined)
    }

    /// Removes what cannot stand beside an item with the key `new`; says whether an item of another text went.
    fn replace(&mut self, new: &Key, text: &str) -> bool {
        let mut changed = false;
        self.items.retain(|old| {
            let goes = old.key.yields_to(new);
            changed |= goes && *old.text != *text;
            !goes
        });
        changed
    }

    /// Adds an item; of a `use` each name becomes an item of its own, so that it can be replaced alone.
    fn add(&mut self, key: &Key, text: Arc<str>, loops: Vec<usize>) {
        let Key::Use(leaves) = key else {
            let key = key.clone();
            return self.items.push(OldItem { key, text, loops });
        };
        self.items.extend(leaves.iter().map(|leaf| OldItem {
            key: Key::Use(vec![leaf.clone()]),
            text: leaf.1.as_str().into(),
            loops: Vec::new(),
        }));
    }

    fn drop_variables_of(&mut self, mut redefined: BTreeSet<String>) -> Vec<String> {
        if redefined.is_empty() {
            return Vec::new();
        }
        // A type that holds a redefined one is another type now, too.
        loop {
            let more: Vec<String> = self
                .items
                .iter()
                .filter_map(|item| match &item.key {
                    Key::Type(name) if !redefined.contains(name) => Some((name, &item.text)),
                    _ => None,
                })
                .filter(|(_, text)| redefined.iter().any(|old| mentions(text, old)))
                .map(|(name, _)| name.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            redefined.extend(more);
        }
        let lost: Vec<String> = self
            .variables
            .iter()
            .filter(|(_, variable)| redefined.iter().any(|name| mentions(&variable.kind, name)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &lost {
            self.variables.remove(name);
        }
        lost
    }

    /// The items that stay when those of `source` come.
    pub(super) fn items_beside<'a>(
        &'a self,
        source: &'a Source,
    ) -> impl Iterator<Item = &'a OldItem> {
        self.items
            .iter()
            .filter(|old| !source.items.iter().any(|new| old.key.yields_to(&new.key)))
    }

    /// The variables that `source` uses, in order of their names.
    pub(super) fn used_by<'a>(
        &'a self,
        source: &'a Source,
    ) -> impl Iterator<Item = (&'a str, &'a Variable)> {
        self.variables
            .iter()
            .filter(|(name, _)| source.words.contains(*name))
            .map(|(name, variable)| (name.as_str(), variable))
    }
}

/// Whether `word` occurs in `text` as a whole word.
pub(super) fn mentions(text: &str, word: &str) -> bool {
    let part = |c: char| c == '_' || c.is_alphanumeric();
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// A type as people write it: without the paths before its names.
pub(super) fn short(kind: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let mut rest = kind.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '_' || c.is_alphanumeric() {
            word.push(c);
        } else if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            word.clear();
        } else {
            out.push_str(&word);
            word.clear();
            out.push(c);
        }
    }
    out + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_short_for_people() {
        let long = "std::collections::HashMap<std::string::String, mlk8s_prelude::cell::DataFrame>";
        assert_eq!(short(long), "HashMap<String, DataFrame>");
        assert_eq!(short("fn(i32) -> std::vec::Vec<u8>"), "fn(i32) -> Vec<u8>");
    }

    #[test]
    fn a_redefined_type_takes_its_variables_with_it() {
        let mut notes = Notes::default();
        notes.take_items(&Source::parse(
            "struct A { x: i32 }\nstruct B { a: A }\nstruct C;",
        ));
        for (name, kind) in [
            ("a", "A"),
            ("b", "std::vec::Vec<B>"),
            ("c", "C"),
            ("n", "i32"),
        ] {
            let kind = kind.to_owned();
            notes.variables.insert(
                name.to_owned(),
                Variable {
                    kind,
                    ..Variable::default()
                },
            );
        }
        assert_eq!(
            notes.take_items(&Source::parse("struct A { x: i32 }")),
            Vec::<String>::new()
        );
        assert_eq!(
            notes.take_items(&Source::parse("struct A { x: u8 }")),
            ["a", "b"]
        );
        assert_eq!(notes.variables.keys().collect::<Vec<_>>(), ["c", "n"]);
        assert_eq!(notes.items.len(), 3);
    }
}
