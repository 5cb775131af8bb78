//! Statements that noun phrases make without a verb: appositions and possessions.

use std::ops::Range;

use crate::analyse::Clause;
use crate::sentence::{Pos, Word};
use crate::subject::Syntax;

impl Syntax<'_> {
    /// "Ada, a mathematician," says that Ada is a mathematician.
    pub(crate) fn appositions(self) -> Vec<Clause> {
        let apposition = |phrase: &Range<usize>| {
            if !self.words.get(phrase.end).is_some_and(Word::is_comma) {
                return None;
            }
            let next = self.phrases.at(phrase.end + 1)?;
            let end = self.with_prepositions(next.end, &[]);
            let closed = self
                .words
                .get(end)
                .is_none_or(|word| word.is_comma() || word.is_stop());
            let named = self.words[phrase.end - 1].pos == Pos::Name
                || self.words[phrase.start].pos == Pos::Name;
            (closed && named && self.words[next.start].is(&["a", "an", "the"])).then(|| Clause {
                subject: phrase.clone(),
                relation: "is".to_owned(),
                supplied: "is".to_owned(),
                relation_span: next.start..next.start,
                object: next.start..end,
                adverbial: None,
                confidence: 0.45,
            })
        };
        self.phrases.all.iter().filter_map(apposition).collect()
    }

    /// "Ada's machine" says that Ada has a machine.
    pub(crate) fn possessions(self) -> Vec<Clause> {
        let owned = |phrase: &Range<usize>| {
            let mark = phrase
                .clone()
                .skip(1)
                .find(|&at| self.words[at].pos == Pos::Possessive)?;
            (mark + 1 < phrase.end).then(|| Clause {
                subject: phrase.start..mark,
                relation: "has".to_owned(),
                supplied: "has".to_owned(),
                relation_span: mark..mark,
                object: mark + 1..self.with_prepositions(phrase.end, &["of"]),
                adverbial: None,
                confidence: 0.3,
            })
        };
        self.phrases.all.iter().filter_map(owned).collect()
    }

    /// Where the prepositional phrases after `end` end; all of them, or those with one of the given prepositions.
    fn with_prepositions(self, mut end: usize, only: &[&str]) -> usize {
        while let Some(word) = self
            .words
            .get(end)
            .filter(|word| word.pos == Pos::Preposition)
        {
            match self.phrases.at(end + 1) {
                Some(more) if only.is_empty() || word.is(only) => end = more.end,
                _ => break,
            }
        }
        end
    }
}
