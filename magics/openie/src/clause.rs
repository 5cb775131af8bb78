//! Statements of a sentence: verbs with their subjects and arguments, then what noun phrases say by themselves.

use std::ops::Range;

use crate::analyse::{Clause, relation};
use crate::chunk::Phrases;
use crate::confidence::{Origin, confidence};
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
    let mut clauses = syntax.verbal_clauses(&subjects);
    syntax.add_speeches(&subjects, &mut clauses);
    clauses.extend(syntax.appositions());
    clauses.extend(syntax.possessions());
    clauses.extend(syntax.titles());
    clauses.extend(syntax.introductions());
    for clause in &mut clauses {
        let own = syntax.text(clause.relation_span.clone());
        clause.relation = relation(&clause.supplied, &own);
        clause.subject_members = syntax.members(&clause.subject);
        clause.signs = syntax.signs(clause);
        clause.confidence = confidence(&clause.signs);
    }
    clauses
}

impl Syntax<'_> {
    /// The words of a range with single spaces between them.
    fn text(self, range: Range<usize>) -> String {
        self.words[range]
            .iter()
            .map(|word| word.text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What verbs with a subject say; an adverbial before the first clause goes with those that share its subject too.
    fn verbal_clauses(self, subjects: &[Option<Subject>]) -> Vec<Clause> {
        let initial = self.initial_adverbial(subjects);
        let mut initial_used = false;
        let mut clauses = Vec::new();
        for (number, subject) in subjects.iter().enumerate() {
            let Some(subject) = subject else { continue };
            let clause = self
                .object_relative(number, subject, subjects)
                .or_else(|| self.verbal(number, subject, subjects));
            let Some(mut clause) = clause else { continue };
            let main = matches!(subject.role, Role::Main | Role::Parenthetical) && !initial_used;
            if main || subject.role == Role::Shared {
                clause.adverbial.clone_from(&initial);
                initial_used = true;
            }
            clauses.push(clause);
        }
        clauses
    }

    fn verbal(
        self,
        number: usize,
        subject: &Subject,
        subjects: &[Option<Subject>],
    ) -> Option<Clause> {
        let predicate = self.predicate(number, subjects)?;
        let origin = match subject.role {
            Role::Main => Origin::Main,
            Role::Relative => Origin::Relative,
            Role::Shared => Origin::Shared,
            Role::Participial => Origin::Participial,
            Role::Parenthetical => Origin::Parenthetical,
            Role::Reduced => Origin::Reduced,
        };
        let clause = Clause::new(
            origin,
            subject.range.clone(),
            predicate.relation,
            predicate.object,
        );
        Some(clause.supplying(&self.supplied(number, subject)))
    }

    /// "a system, which he patented in 1913": the object stands before the subject.
    fn object_relative(
        self,
        number: usize,
        subject: &Subject,
        subjects: &[Option<Subject>],
    ) -> Option<Clause> {
        let verbs = self.groups[number].range.clone();
        let at = subject
            .range
            .start
            .checked_sub(1)
            .filter(|&at| at > 0 && subject.role == Role::Main)?;
        let pronoun = &self.words[at];
        if pronoun.pos != Pos::Relative
            || !pronoun.is(&["which", "that", "whom"])
            || self.phrases.at(verbs.end).is_some()
        {
            return None;
        }
        let rest = self
            .predicate(number, subjects)
            .map(|rest| verbs.end..rest.object.end);
        let clause = Clause::new(
            Origin::ObjectRelative,
            subject.range.clone(),
            verbs,
            self.antecedent(at)?,
        );
        Some(Clause {
            adverbial: rest,
            ..clause
        })
    }

    /// Auxiliaries that the sentence leaves out: "seen there" says that it was seen there.
    fn supplied(self, number: usize, subject: &Subject) -> String {
        let group = &self.groups[number];
        let plural = self.is_plural(&subject.range);
        let reduced = matches!(subject.role, Role::Reduced | Role::Participial);
        let gerund =
            group.kind == Kind::Gerund && !self.words[group.first].is(&["being", "having"]);
        let participle = self.words[group.first].form == Form::Participle;
        let shared = subject
            .shared_with
            .filter(|_| participle)
            .and_then(|with| self.auxiliaries(with));
        match shared {
            Some(helpers) => helpers,
            None if reduced && participle => if plural { "were" } else { "was" }.to_owned(),
            None if reduced && gerund => if plural { "are" } else { "is" }.to_owned(),
            None => String::new(),
        }
    }

    /// Whether a phrase takes a plural verb, by its form.
    fn is_plural(self, phrase: &Range<usize>) -> bool {
        let head = self
            .phrases
            .at(phrase.start)
            .map_or(phrase.end, |first| first.end)
            - 1;
        let word = &self.words[head];
        let ending =
            word.lower.ends_with('s') && !word.lower.ends_with("ss") && !word.lower.ends_with("us");
        (word.pos == Pos::Noun && ending)
            || word.is(&[
                "people", "men", "women", "children", "they", "we", "these", "those",
            ])
            || self.words[phrase.clone()]
                .iter()
                .any(|word| word.lower == "and")
    }

    /// Time or place before the first clause, mostly set off by a comma.
    fn initial_adverbial(self, subjects: &[Option<Subject>]) -> Option<Range<usize>> {
        let first = self.words.first()?;
        let starts = matches!(first.pos, Pos::Preposition | Pos::Adverb | Pos::Number)
            || first.is(&["earlier", "last", "later", "this", "next"]);
        let verb = self.groups.first()?.range.start;
        let comma = self
            .words
            .iter()
            .take(12)
            .position(Word::is_comma)
            .filter(|&comma| {
                comma >= 2 && comma < verb && !self.words[..comma].iter().any(Word::is_stop)
            });
        let subject = subjects
            .first()?
            .as_ref()
            .filter(|subject| subject.role == Role::Main);
        let start = subject
            .map(|subject| subject.range.start)
            .filter(|&at| at > 1 && first.pos == Pos::Preposition);
        let end = comma.into_iter().chain(start).min()?;
        (starts && verb >= end).then_some(0..end)
    }

    /// The members of "a and b", or the phrase alone.
    fn members(self, range: &Range<usize>) -> Vec<Range<usize>> {
        let cuts = range
            .clone()
            .filter(|&at| self.words[at].is(&["and", "or"]) || self.words[at].is_comma());
        let mut parts = Vec::new();
        let mut start = range.start;
        for cut in cuts.chain([range.end]) {
            if cut > start {
                parts.push(start..cut);
            }
            start = cut + 1;
        }
        let phrase = |part: &Range<usize>| {
            self.phrases
                .at(part.start)
                .is_some_and(|phrase| phrase.end <= part.end)
                && self.phrases.before(part.end).is_some()
        };
        if parts.iter().all(phrase) {
            parts
        } else {
            vec![range.clone()]
        }
    }
}
