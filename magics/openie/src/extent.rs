//! How far a noun phrase goes to the left of a verb, and what verb groups lend each other.

use std::ops::Range;

use crate::sentence::{BE, Pos};
use crate::subject::Syntax;

impl<'s> Syntax<'s> {
    /// The phrase before `end` with the prepositional phrases and coordinated phrases to its left; only "of" is
    /// followed unless `deep`.
    pub(crate) fn extended(self, end: usize, deep: bool) -> Option<Range<usize>> {
        let mut start = self.phrases.before(end)?.start;
        let mut list = false;
        for _ in 0..8 {
            let Some(at) = start.checked_sub(1) else {
                break;
            };
            let word = &self.words[at];
            let left = match word.pos {
                Pos::Preposition if deep || word.lower == "of" => self.phrases.before(at),
                Pos::Mark if list && word.is_comma() => self.phrases.before(at),
                Pos::Conjunction if word.is(&["and", "or", "&"]) => {
                    let joined = self.phrases.before(at).or_else(|| self.list_before(at));
                    list = joined.is_some();
                    joined
                }
                _ => None,
            };
            let Some(left) = left else { break };
            start = left.start;
        }
        Some(start..end)
    }

    /// The phrase before ", and" when another comma stands before it, as in "a, b, and c".
    fn list_before(self, conjunction: usize) -> Option<&'s Range<usize>> {
        let comma = conjunction
            .checked_sub(1)
            .filter(|&at| self.words[at].is_comma())?;
        let phrase = self.phrases.before(comma)?;
        let listed = phrase.start > 1
            && self.words[phrase.start - 1].is_comma()
            && self.phrases.before(phrase.start - 1).is_some();
        listed.then_some(phrase)
    }

    /// Whether word `at` belongs to a verb group.
    pub(crate) fn group_at(self, at: usize) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.range.contains(&at))
    }

    /// Auxiliaries of a verb group that also serve a participle coordinated with it.
    pub(crate) fn auxiliaries(self, number: usize) -> Option<String> {
        let group = &self.groups[number];
        let helpers: Vec<&str> = self.words[group.range.clone()]
            .iter()
            .filter(|word| word.pos == Pos::Auxiliary)
            .map(|word| word.text)
            .collect();
        let first = &self.words[group.first];
        (first.pos == Pos::Auxiliary
            && (first.is(&BE)
                || first.is(&["has", "have", "had", "will", "would", "can", "could"])))
        .then(|| helpers.join(" "))
    }
}
