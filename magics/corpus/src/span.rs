//! The map from a cleaned text back to the text it came from.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A stretch of the cleaned text and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    /// First byte in the cleaned text; the piece ends where the next one starts.
    clean: u32,
    /// First byte in the original text.
    original: u32,
    /// Bytes in the original text: 0 for text that a rule put in.
    original_len: u32,
    /// True when the bytes are the same on both sides, so that offsets carry over.
    exact: bool,
}

/// Maps byte ranges of a cleaned text to byte ranges of the original.
///
/// Pieces cover the cleaned text without gaps and are in ascending order on both sides; a look-up is a binary search.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpanMap {
    pieces: Vec<Piece>,
    clean_len: u32,
}

/// A replacement of a byte range of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub with: String,
}

impl SpanMap {
    /// The map of a text of `len` bytes onto itself.
    pub fn identity(len: usize) -> Self {
        let mut map = Self::default();
        map.push(len, 0, len, true);
        map
    }

    /// The original byte range behind a byte range of the cleaned text; ranges past the end are cut to it.
    pub fn to_original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.original_start(range.start);
        if range.end <= range.start {
            return start..start;
        }
        start..self.original_end(range.end).max(start)
    }

    /// Bytes of the cleaned text.
    pub fn clean_len(&self) -> usize {
        self.clean_len as usize
    }

    /// Appends a piece, joining it to the last one where both are exact and touch on both sides.
    fn push(&mut self, len: usize, original: usize, original_len: usize, exact: bool) {
        if len == 0 {
            return;
        }
        if let Some(last) = self.pieces.last_mut()
            && exact
            && last.exact
            && last.original + last.original_len == original as u32
        {
            last.original_len += original_len as u32;
        } else {
            let piece = Piece {
                clean: self.clean_len,
                original: original as u32,
                original_len: original_len as u32,
                exact,
            };
            self.pieces.push(piece);
        }
        self.clean_len += len as u32;
    }

    fn end_of(&self, index: usize) -> u32 {
        self.pieces
            .get(index + 1)
            .map_or(self.clean_len, |next| next.clean)
    }

    fn original_start(&self, at: usize) -> usize {
        let index = self
            .pieces
            .partition_point(|piece| piece.clean as usize <= at);
        let Some(piece) = index.checked_sub(1).map(|i| self.pieces[i]) else {
            return 0;
        };
        if at >= self.clean_len() {
            return (piece.original + piece.original_len) as usize;
        }
        if piece.exact {
            piece.original as usize + at - piece.clean as usize
        } else {
            piece.original as usize
        }
    }

    fn original_end(&self, at: usize) -> usize {
        let at = at.min(self.clean_len());
        let index = self
            .pieces
            .partition_point(|piece| (piece.clean as usize) < at);
        let Some(piece) = index.checked_sub(1).map(|i| self.pieces[i]) else {
            return 0;
        };
        if piece.exact {
            piece.original as usize + at - piece.clean as usize
        } else {
            (piece.original + piece.original_len) as usize
        }
    }

    /// The map after `edits` (ascending, not overlapping) were applied to the cleaned text. Linear in pieces and edits.
    pub(crate) fn edited(&self, edits: &[Edit]) -> Self {
        let mut map = Self::default();
        let mut cursor = Cursor {
            map: self,
            piece: 0,
            at: 0,
        };
        for edit in edits {
            cursor.copy_until(edit.range.start, &mut map);
            let original = self.to_original(edit.range.clone());
            cursor.skip_to(edit.range.end);
            map.push(
                edit.with.len(),
                original.start,
                original.end - original.start,
                false,
            );
        }
        cursor.copy_until(self.clean_len(), &mut map);
        map
    }
}

/// Walks over a map while a new one is made from it.
struct Cursor<'m> {
    map: &'m SpanMap,
    piece: usize,
    at: usize,
}

impl Cursor<'_> {
    fn copy_until(&mut self, end: usize, to: &mut SpanMap) {
        while self.at < end {
            let piece = self.map.pieces[self.piece];
            let piece_end = self.map.end_of(self.piece) as usize;
            let stop = end.min(piece_end);
            if piece.exact {
                let original = piece.original as usize + self.at - piece.clean as usize;
                to.push(stop - self.at, original, stop - self.at, true);
            } else {
                to.push(
                    stop - self.at,
                    piece.original as usize,
                    piece.original_len as usize,
                    false,
                );
            }
            self.skip_to(stop);
        }
    }

    fn skip_to(&mut self, at: usize) {
        self.at = at;
        while self.piece < self.map.pieces.len() && self.map.end_of(self.piece) as usize <= at {
            self.piece += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(range: Range<usize>, with: &str) -> Edit {
        Edit {
            range,
            with: with.to_owned(),
        }
    }

    #[test]
    fn identity_maps_onto_itself() {
        let map = SpanMap::identity(10);
        assert_eq!(map.to_original(3..7), 3..7);
        assert_eq!(map.to_original(0..10), 0..10);
        assert_eq!(map.to_original(8..99), 8..10);
    }

    #[test]
    fn a_removal_shifts_what_follows() {
        // "know-\nledge graph" -> "knowledge graph"
        let map = SpanMap::identity(17).edited(&[edit(4..6, "")]);
        assert_eq!(map.clean_len(), 15);
        assert_eq!(map.to_original(0..9), 0..11);
        assert_eq!(map.to_original(10..15), 12..17);
    }

    #[test]
    fn a_replacement_covers_all_it_replaced() {
        // "e\u{fb03}cient" -> "efficient"
        let map = SpanMap::identity(9).edited(&[edit(1..4, "ffi")]);
        assert_eq!(map.to_original(0..9), 0..9);
        assert_eq!(map.to_original(2..3), 1..4);
        assert_eq!(map.to_original(4..9), 4..9);
    }

    #[test]
    fn maps_compose() {
        let once = SpanMap::identity(20).edited(&[edit(0..5, ""), edit(10..12, " ")]);
        let twice = once.edited(&[edit(4..7, "XY")]);
        // after the first: original 5..10, a blank for 10..12, original 12..20
        assert_eq!(twice.to_original(0..4), 5..9);
        assert_eq!(twice.to_original(4..6), 9..13);
        assert_eq!(twice.to_original(6..7), 13..14);
    }

    #[test]
    fn the_empty_text_has_an_empty_map() {
        assert_eq!(SpanMap::identity(0).to_original(0..0), 0..0);
        assert_eq!(
            SpanMap::identity(5)
                .edited(&[edit(0..5, "")])
                .to_original(0..0),
            0..0
        );
    }
}
