//! Statements of a sentence: verbs with their subjects and arguments, then what noun phrases say by themselves.

use std::ops::Range;

use crate::analyse::Clause;
use crate::chunk::Phrases;
use crate::sentence::{Pos, Word};
use crate::subject::{Role, Subject, Syntax, subjects};
use crate::tag::Form;
use crate::verb::groups;

/// All statements of a sentence.
pub(crate) fn clauses(words: &[Word], phrases: &Phrases) -> Vec<Clause> {
    let groups = groups(words, phrases);
    let syntax = Syntax {
        words,
        phrases,
        groups: &groups,
    };
    let subjects = subjects(syntax);
    let initial = syntax.initial_adverbial(&subjects);
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
    syntax.add_speeches(&subjects, &mut clauses);
    clauses.extend(syntax.appositions());
    clauses.extend(syntax.possessions());
    clauses
}

impl Syntax<'_> {
    /// The words of a range with single spaces between them.
    pub(crate) fn text(self, range: Range<usize>) -> String {
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
        let supplied = if self.words[group.first].form != Form::Participle {
            String::new()
        } else if let Some(helpers) = subject.shared_with.and_then(|with| self.auxiliaries(with)) {
            helpers
        } else if matches!(subject.role, Role::Reduced | Role::Participial) {
            if self.is_plural(&subject.range) {
                "were"
            } else {
                "was"
            }
            .to_owned()
        } else {
            String::new()
        };
        let relation = [supplied.as_str(), &self.text(predicate.relation.clone())]
            .join(" ")
            .trim()
            .to_owned();
        let confidence = self.confidence(subject, &predicate.object);
        Some(Clause {
            subject: subject.range.clone(),
            relation,
            supplied,
            relation_span: predicate.relation,
            object: predicate.object,
            adverbial: None,
            confidence,
        })
    }

    /// Whether a phrase takes a plural verb, by its form.
    fn is_plural(self, phrase: &Range<usize>) -> bool {
        let head = self
            .phrases
            .at(phrase.start)
            .map_or(phrase.end, |first| first.end)
            - 1;
        let word = &self.words[head];
        let plural = word.pos == Pos::Noun
            && word.lower.ends_with('s')
            && !word.lower.ends_with("ss")
            && !word.lower.ends_with("us");
        plural
            || word.is(&[
                "people", "men", "women", "children", "they", "we", "these", "those",
            ])
            || self.words[phrase.clone()]
                .iter()
                .any(|word| word.lower == "and")
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
            .filter(|&comma| comma < verb && comma >= 2);
        let subject = subjects
            .first()?
            .as_ref()
            .filter(|subject| subject.role == Role::Main);
        let start = subject
            .map(|subject| subject.range.start)
            .filter(|&at| at > 1 && first.pos == Pos::Preposition);
        let end = comma.or(start)?;
        (starts && verb >= end).then_some(0..end)
    }
}
