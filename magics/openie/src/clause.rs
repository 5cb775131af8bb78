//! Statements of a sentence: verbs with their subjects and arguments, appositions, possessions.

use std::ops::Range;

use crate::analyse::Clause;
use crate::chunk::Phrases;
use crate::sentence::{Pos, Word};
use crate::subject::{Role, Subject, Syntax, subjects};
use crate::tag::Form;
use crate::verb::{Kind, groups};

/// All statements of a sentence.
pub(crate) fn clauses(words: &[Word], phrases: &Phrases) -> Vec<Clause> {
    let groups = groups(words, phrases);
    let syntax = Syntax {
        words,
        phrases,
        groups: &groups,
    };
    let subjects = subjects(syntax);
    let initial = syntax.initial_adverbial();
    let mut initial_used = false;
    let mut clauses = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        let Some(subject) = subject else { continue };
        let Some(mut clause) = syntax.verbal(number, subject, &subjects) else {
            continue;
        };
        let main = matches!(subject.role, Role::Main | Role::Parenthetical) && !initial_used;
        if main || subject.role == Role::Shared {
            clause.adverbial = initial.clone();
            initial_used = true;
        }
        clauses.push(clause);
    }
    clauses.extend(syntax.appositions());
    clauses.extend(syntax.possessions());
    clauses
}

impl Syntax<'_> {
    fn text(self, range: Range<usize>) -> String {
        self.words[range]
            .iter()
            .map(|word| word.text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn verbal(
        self,
        number: usize,
        subject: &Subject,
        subjects: &[Option<Subject>],
    ) -> Option<Clause> {
        let predicate = self.predicate(number, subjects)?;
        let group = &self.groups[number];
        let mut relation = self.text(predicate.relation.clone());
        if self.words[group.first].form == Form::Participle {
            if let Some(helper) = subject.shared_with.and_then(|with| self.auxiliaries(with)) {
                relation = format!("{helper} {relation}");
            } else if subject.role == Role::Reduced || subject.role == Role::Participial {
                relation = format!("was {relation}");
            }
        }
        let confidence = self.confidence(subject, &predicate.object);
        Some(Clause {
            subject: subject.range.clone(),
            relation,
            relation_span: predicate.relation,
            object: predicate.object,
            adverbial: None,
            confidence,
        })
    }

    fn confidence(self, subject: &Subject, object: &Range<usize>) -> f32 {
        let role = match subject.role {
            Role::Main => 0.2,
            Role::Relative => 0.1,
            Role::Shared => 0.05,
            Role::Participial => -0.1,
            Role::Parenthetical | Role::Reduced => -0.05,
        };
        0.6 + role - 0.005 * object.len() as f32 - 0.002 * self.words.len() as f32
    }

    /// Time or place before the first clause, set off by a comma.
    fn initial_adverbial(self) -> Option<Range<usize>> {
        let first = self.words.first()?;
        let starts = matches!(first.pos, Pos::Preposition | Pos::Adverb | Pos::Number)
            || first.is(&["earlier", "last", "later", "this", "next"]);
        let comma = self.words.iter().take(12).position(Word::is_comma)?;
        (starts && comma >= 2 && self.groups.iter().all(|group| group.range.start >= comma))
            .then_some(0..comma)
    }

    /// "Ada, a mathematician," says that Ada is a mathematician.
    fn appositions(self) -> Vec<Clause> {
        let mut clauses = Vec::new();
        for phrase in &self.phrases.all {
            if !self.words.get(phrase.end).is_some_and(Word::is_comma) {
                continue;
            }
            let Some(next) = self.phrases.at(phrase.end + 1) else {
                continue;
            };
            let mut end = next.end;
            while self
                .words
                .get(end)
                .is_some_and(|word| word.pos == Pos::Preposition)
            {
                match self.phrases.at(end + 1) {
                    Some(more) => end = more.end,
                    None => break,
                }
            }
            let closed = self
                .words
                .get(end)
                .is_none_or(|word| word.is_comma() || word.is_stop());
            let named = self.words[phrase.end - 1].pos == Pos::Name
                || self.words[phrase.start].pos == Pos::Name;
            if closed && named && self.words[next.start].is(&["a", "an", "the"]) {
                clauses.push(Clause {
                    subject: phrase.clone(),
                    relation: "is".to_owned(),
                    relation_span: next.start..next.start,
                    object: next.start..end,
                    adverbial: None,
                    confidence: 0.45,
                });
            }
        }
        clauses
    }

    /// "Ada's machine" says that Ada has a machine.
    fn possessions(self) -> Vec<Clause> {
        let owned = |phrase: &Range<usize>| {
            let mark = phrase
                .clone()
                .skip(1)
                .find(|&at| self.words[at].pos == Pos::Possessive)?;
            (mark + 1 < phrase.end).then(|| Clause {
                subject: phrase.start..mark,
                relation: "has".to_owned(),
                relation_span: mark..mark + 1,
                object: mark + 1..phrase.end,
                adverbial: None,
                confidence: 0.3,
            })
        };
        self.phrases.all.iter().filter_map(owned).collect()
    }
}

const _: Kind = Kind::Finite;
