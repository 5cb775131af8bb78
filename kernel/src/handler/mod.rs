//! One file per request: what it says, and the content of its reply.

pub(crate) mod comm;
pub(crate) mod complete;
pub(crate) mod debug;
pub(crate) mod execute;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod interrupt;
pub(crate) mod is_complete;
pub(crate) mod kernel_info;
pub(crate) mod shutdown;
pub(crate) mod usage;

use serde::Deserialize;

/// A piece of code and a place in it, as completion and inspection send them.
#[derive(Debug, Deserialize)]
pub(crate) struct Cursor {
    code: String,
    /// In characters; see version 5.2 of the protocol.
    cursor_pos: Option<usize>,
}

impl Cursor {
    /// The place in bytes; the end when the frontend does not name one.
    fn byte(&self) -> usize {
        let wanted = self
            .cursor_pos
            .and_then(|n| self.code.char_indices().nth(n));
        wanted.map_or(self.code.len(), |(at, _)| at)
    }
}

/// How many characters `code` has before byte `at`.
fn characters(code: &str, at: usize) -> usize {
    code.char_indices()
        .take_while(|&(start, _)| start < at)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let cursor = |n| {
            Cursor {
                code: "aü😀b".to_owned(),
                cursor_pos: n,
            }
            .byte()
        };
        assert_eq!(
            [Some(0), Some(2), Some(3), Some(9), None].map(cursor),
            [0, 3, 7, 8, 8]
        );
        assert_eq!(characters("aü😀b", 7), 3);
    }
}
