//! Which way a variable that a cell has taken goes back into the session.

use super::{Hints, Source};

/// Types of which a copy costs nothing: when a cell uses one up, the session keeps a copy.
const CHEAP: [&str; 7] = [
    "DataFrame",
    "LazyFrame",
    "Series",
    "Column",
    "Expr",
    "Arc",
    "Rc",
];
/// Types that are copied by every use.
const COPIED: [&str; 16] = [
    "bool", "char", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize", "f32", "f64",
];

/// How a variable of an earlier cell goes back into the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    Value,
    ValueOnFailure,
    Copy,
    CopyOnFailure,
    Gone,
}

pub(super) fn way_back(
    name: &str,
    kind: &str,
    bound: bool,
    source: &Source,
    hints: &Hints,
) -> Back {
    let head = kind
        .split('<')
        .next()
        .unwrap_or(kind)
        .rsplit("::")
        .next()
        .unwrap_or(kind);
    let is_cheap = CHEAP.contains(&head);
    let is_frame = head == "DataFrame";
    // `lazy` takes the frame itself, and is the most usual way to use one up.
    let is_moved =
        hints.moved.contains(name) || (is_frame && source.text.contains(&format!("{name}.lazy()")));
    match (is_moved, bound) {
        (true, _) if !is_cheap => Back::Gone,
        (true, false) => Back::Copy,
        (true, true) => Back::CopyOnFailure,
        (false, false) => Back::Value,
        (false, true) if is_cheap => Back::CopyOnFailure,
        (false, true) if COPIED.contains(&kind) => Back::ValueOnFailure,
        // Whether a new binding uses the old one up is only known to the compiler.
        (false, true) => Back::ValueOnFailure,
    }
}
