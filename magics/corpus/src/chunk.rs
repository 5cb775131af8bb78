//! Chunks: whole sentences within a budget of words.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::sentence::sentences;

/// A stretch of a text made of whole sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Which of the text's [`sentences`], by index.
    pub sentences: Range<usize>,
}

/// Packs the sentences of `text` into chunks of at most `max_words` words; a longer sentence is a chunk of its own.
///
/// Greedy and linear. Every sentence is in exactly one chunk.
pub fn chunks(text: &str, max_words: usize) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut words = 0;
    for (index, range) in sentences(text).into_iter().enumerate() {
        let more = text[range.clone()].split_whitespace().count();
        match chunks.last_mut() {
            Some(chunk) if words + more <= max_words => {
                chunk.range.end = range.end;
                chunk.sentences.end = index + 1;
                words += more;
            }
            _ => {
                chunks.push(Chunk {
                    range,
                    sentences: index..index + 1,
                });
                words = more;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_packed_up_to_the_budget() {
        let text = "One two three. Four five. Six seven eight nine.\n\nTen.";
        let found: Vec<_> = chunks(text, 5)
            .into_iter()
            .map(|c| (text[c.range].to_owned(), c.sentences))
            .collect();
        let wanted = [
            ("One two three. Four five.", 0..2),
            ("Six seven eight nine.\n\nTen.", 2..4),
        ];
        assert_eq!(
            found,
            wanted.map(|(text, sentences)| (text.to_owned(), sentences))
        );
    }

    #[test]
    fn a_sentence_over_the_budget_is_kept_whole() {
        assert_eq!(chunks("One two three four. Five.", 2).len(), 2);
        assert_eq!(chunks("", 2), []);
    }
}
