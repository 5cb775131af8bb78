//! Items of a cell: what they are called, and which older ones they replace.

use std::collections::BTreeSet;
use std::ops::Range;

use ra_ap_syntax::ast::{self, HasName as _};
use ra_ap_syntax::{AstNode, SyntaxNode};

use super::place;

/// A function, a type, a `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::language) struct Item {
    pub(in crate::language) key: Key,
    pub(in crate::language) place: Range<usize>,
}

/// What an item is known by; a new one takes the place of older ones with which it cannot be together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::language) enum Key {
    /// A struct, an enum, a trait, a module: one of a name.
    Type(String),
    /// A function, a constant: one of a name.
    Value(String),
    /// A macro.
    Macro(String),
    /// A `use`: names that it brings, each with the shortest `use` that brings it.
    Use(Vec<(String, String)>),
    /// An `impl`: its head, and the names of what it implements.
    Impl {
        head: String,
        is_trait: bool,
        names: BTreeSet<String>,
    },
    /// Something without a name, by its text.
    Other(String),
}

impl Item {
    pub(super) fn read(item: &ast::Item) -> Item {
        Item {
            key: Key::read(item),
            place: place(item.syntax().text_range()),
        }
    }

    pub(super) fn anonymous(node: &SyntaxNode) -> Item {
        Item {
            key: Key::Other(node.text().to_string()),
            place: place(node.text_range()),
        }
    }
}

impl Key {
    fn read(item: &ast::Item) -> Key {
        let name =
            |found: Option<ast::Name>| found.map_or_else(String::new, |n| n.text().to_string());
        match item {
            ast::Item::Struct(it) => Key::Type(name(it.name())),
            ast::Item::Enum(it) => Key::Type(name(it.name())),
            ast::Item::Union(it) => Key::Type(name(it.name())),
            ast::Item::Trait(it) => Key::Type(name(it.name())),
            ast::Item::TypeAlias(it) => Key::Type(name(it.name())),
            ast::Item::Module(it) => Key::Type(name(it.name())),
            ast::Item::Fn(it) => Key::Value(name(it.name())),
            ast::Item::Const(it) if it.name().is_some() => Key::Value(name(it.name())),
            ast::Item::Static(it) => Key::Value(name(it.name())),
            ast::Item::MacroRules(it) => Key::Macro(name(it.name())),
            ast::Item::MacroDef(it) => Key::Macro(name(it.name())),
            ast::Item::Use(it) => {
                let mut leaves = Vec::new();
                if let Some(tree) = it.use_tree() {
                    collect(&tree, "", &mut leaves);
                }
                Key::Use(leaves)
            }
            ast::Item::Impl(it) => implementation(it),
            other => Key::Other(other.syntax().text().to_string()),
        }
    }

    /// Whether an item with this key cannot stand beside the newer one with the key `new`. A `use` is asked for each
    /// of its names.
    pub(in crate::language) fn yields_to(&self, new: &Key) -> bool {
        match (self, new) {
            (Key::Use(old), Key::Use(new)) => old
                .iter()
                .any(|(name, _)| new.iter().any(|(other, _)| other == name)),
            (Key::Use(old), Key::Type(new) | Key::Value(new) | Key::Macro(new)) => {
                old.iter().any(|(name, _)| name == new)
            }
            (Key::Type(old) | Key::Value(old) | Key::Macro(old), Key::Use(new)) => {
                new.iter().any(|(name, _)| name == old)
            }
            (
                Key::Impl {
                    head,
                    is_trait,
                    names,
                },
                Key::Impl {
                    head: new_head,
                    names: new_names,
                    ..
                },
            ) => head == new_head && (*is_trait || !names.is_disjoint(new_names)),
            (old, new) => old == new,
        }
    }
}

fn implementation(it: &ast::Impl) -> Key {
    let list = it.assoc_item_list();
    let text = it.syntax().text().to_string();
    let length = list.as_ref().map_or(text.len(), |list| {
        usize::from(list.syntax().text_range().start() - it.syntax().text_range().start())
    });
    let names = list
        .iter()
        .flat_map(ast::AssocItemList::assoc_items)
        .filter_map(|item| {
            let name = match item {
                ast::AssocItem::Fn(it) => it.name(),
                ast::AssocItem::Const(it) => it.name(),
                ast::AssocItem::TypeAlias(it) => it.name(),
                ast::AssocItem::MacroCall(_) => None,
            };
            name.map(|name| name.text().to_string())
        });
    Key::Impl {
        head: text[..length]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        is_trait: it.trait_().is_some(),
        names: names.collect(),
    }
}

/// The names that `tree` brings below `path`.
fn collect(tree: &ast::UseTree, path: &str, leaves: &mut Vec<(String, String)>) {
    let own = tree
        .path()
        .map(|path| path.syntax().text().to_string())
        .unwrap_or_default();
    let glue = if path.is_empty() || own.is_empty() {
        ""
    } else {
        "::"
    };
    let whole = format!("{path}{glue}{own}");
    if let Some(list) = tree.use_tree_list() {
        for inner in list.use_trees() {
            collect(&inner, &whole, leaves);
        }
        return;
    }
    if tree.star_token().is_some() {
        let text = format!("use {whole}::*;");
        return leaves.push((text.clone(), text));
    }
    let (whole, last) = match whole.strip_suffix("::self") {
        Some(parent) => (
            parent.to_owned(),
            parent.rsplit("::").next().unwrap_or(parent).to_owned(),
        ),
        None => (
            whole.clone(),
            whole.rsplit("::").next().unwrap_or(&whole).to_owned(),
        ),
    };
    let rename = tree.rename();
    let renamed = rename
        .as_ref()
        .and_then(ast::Rename::name)
        .map(|name| name.text().to_string());
    match (renamed, rename) {
        (Some(name), _) => leaves.push((name.clone(), format!("use {whole} as {name};"))),
        (None, Some(_)) => {
            let text = format!("use {whole} as _;");
            leaves.push((text.clone(), text));
        }
        (None, None) => leaves.push((last, format!("use {whole};"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        Source::parse(text)
            .items
            .into_iter()
            .map(|item| item.key)
            .collect()
    }

    #[test]
    fn a_use_is_known_by_the_names_it_brings() {
        let [Key::Use(leaves)] =
            &keys("use std::{fs, io::{self, Read as _, Write}, fmt as f, rc::*};")[..]
        else {
            panic!("one `use`")
        };
        let texts: Vec<&str> = leaves.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "use std::fs;",
                "use std::io;",
                "use std::io::Read as _;",
                "use std::io::Write;",
                "use std::fmt as f;",
                "use std::rc::*;"
            ]
        );
    }

    #[test]
    fn newer_items_replace_older_ones_of_their_name() {
        let yields = |old: &str, new: &str| keys(old)[0].yields_to(&keys(new)[0]);
        assert!(yields("fn f() {}", "fn f() -> u8 { 1 }"));
        assert!(!yields("fn f() {}", "struct f;"));
        assert!(yields("struct S;", "enum S { A }"));
        assert!(yields(
            "impl S { fn a() {} fn b() {} }",
            "impl  S { fn b() {} }"
        ));
        assert!(!yields("impl S { fn a() {} }", "impl S { fn b() {} }"));
        assert!(yields(
            "impl Clone for S { fn clone(&self) -> S { S } }",
            "impl Clone for S {}"
        ));
        assert!(yields("use a::X;", "use b::X;"));
        assert!(yields("use a::X;", "struct X;"));
    }
}
