//! Statements that noun phrases make without a verb: appositions, titles and possessions.

use std::ops::Range;

use crate::analyse::Clause;
use crate::confidence::Origin;
use crate::mention::EPONYMS;
use crate::sentence::{Pos, Word};
use crate::subject::Syntax;
use crate::tag::Form;
use crate::verb::Kind;

/// Past forms that do not end in -ed.
#[rustfmt::skip]
const PAST: &[&str] = &[
    "was", "were", "had", "did", "would", "could", "said", "became", "began", "made", "took",
    "came", "went", "held", "won", "led", "wrote", "found",
];

impl<'s> Syntax<'s> {
    /// "Ada, a mathematician," says that Ada is a mathematician.
    pub(crate) fn appositions(self) -> Vec<Clause> {
        let apposition = |phrase: &Range<usize>| {
            let next = self.after_comma_phrase(phrase)?;
            let end = self.with_prepositions(next.end, &[]);
            let closed = self.words.get(end).is_none_or(|word| {
                word.is_comma()
                    || word.is_stop()
                    || word.pos == Pos::Relative
                    || word.form == Form::Participle
            });
            let named = [phrase.start, phrase.end - 1]
                .iter()
                .any(|&at| self.words[at].pos == Pos::Name);
            let article = self.words[next.start].is(&["a", "an", "the"]);
            (closed && named && article).then(|| {
                Clause::new(
                    Origin::Apposition,
                    phrase.clone(),
                    next.start..next.start,
                    next.start..end,
                )
                .supplying("is")
            })
        };
        self.phrases.all.iter().filter_map(apposition).collect()
    }

    /// "The chief economist, Ada Lovelace, …" says that she is the chief economist.
    pub(crate) fn introductions(self) -> Vec<Clause> {
        let introduction = |phrase: &Range<usize>| {
            let name = self.after_comma_phrase(phrase)?.clone();
            let named = name.clone().all(|at| self.words[at].pos == Pos::Name);
            let listed = self.phrases.at(name.end + 1).is_some()
                || self
                    .words
                    .get(name.end + 1)
                    .is_some_and(|word| word.pos == Pos::Conjunction);
            let closed = self.words.get(name.end).is_some_and(Word::is_comma) && !listed;
            let head = self.words[phrase.end - 1].pos == Pos::Noun;
            let start = self.extended(phrase.end, false)?.start;
            (named && closed && head).then(|| {
                let place = name.start..name.start;
                Clause::new(Origin::Introduction, name, place, start..phrase.end).supplying("is")
            })
        };
        self.phrases.all.iter().filter_map(introduction).collect()
    }

    fn after_comma_phrase(self, phrase: &Range<usize>) -> Option<&'s Range<usize>> {
        self.words.get(phrase.end).filter(|word| word.is_comma())?;
        self.phrases.at(phrase.end + 1)
    }

    /// "physicist Ada Lovelace" says that she is a physicist.
    pub(crate) fn titles(self) -> Vec<Clause> {
        let title = |phrase: &Range<usize>| {
            let name = phrase
                .clone()
                .rev()
                .take_while(|&at| self.words[at].pos == Pos::Name)
                .last()?;
            let before = phrase
                .clone()
                .find(|&at| at + 1 == name)
                .map(|at| &self.words[at])?;
            let noun = before.pos == Pos::Noun && before.text.chars().all(char::is_lowercase);
            noun.then(|| {
                Clause::new(
                    Origin::Title,
                    name..phrase.end,
                    name..name,
                    phrase.start..name,
                )
                .supplying("is")
            })
        };
        self.phrases.all.iter().filter_map(title).collect()
    }

    /// "Ada's machine" says that Ada has a machine.
    pub(crate) fn possessions(self) -> Vec<Clause> {
        let has = if self.is_past() { "had" } else { "has" };
        let owned = |phrase: &Range<usize>| {
            let mark = phrase
                .clone()
                .skip(1)
                .find(|&at| self.words[at].pos == Pos::Possessive)?;
            if self.words[mark - 1].pos == Pos::Name && self.words[phrase.end - 1].is(EPONYMS) {
                return None;
            }
            let end = self.with_prepositions(phrase.end, &["of"]);
            (mark + 1 < phrase.end).then(|| {
                Clause::new(
                    Origin::Possession,
                    phrase.start..mark,
                    mark..mark,
                    mark + 1..end,
                )
                .supplying(has)
            })
        };
        self.phrases.all.iter().filter_map(owned).collect()
    }

    /// Whether the sentence tells of the past, by its first finite verb.
    fn is_past(self) -> bool {
        let first = self.groups.iter().find(|group| group.kind == Kind::Finite);
        first
            .map(|group| &self.words[group.first])
            .is_some_and(|word| {
                word.is(PAST) || (word.pos == Pos::Verb && word.lower.ends_with("ed"))
            })
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
