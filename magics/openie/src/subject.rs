//! Who a verb group is about: the phrase before it, or the one it shares, resumes or modifies.

use std::ops::Range;

use crate::chunk::Phrases;
use crate::sentence::{Pos, Word};
use crate::tag::Form;
use crate::verb::{Group, Kind};

/// How far back a subject is looked for across a parenthesis, in words.
const REACH: usize = 30;

/// How the subject was found; also a feature of the confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It stands right before the verb
    Main,
    /// "the man who came"
    Relative,
    /// "he came and saw"
    Shared,
    /// ", seen by many" and ", leaving the rest"
    Participial,
    /// "the man, a writer, came"
    Parenthetical,
    /// "the man seen there"
    Reduced,
}

/// The subject of a verb group.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) range: Range<usize>,
    pub(crate) role: Role,
    /// The verb group it is shared with
    pub(crate) shared_with: Option<usize>,
}

/// Words, phrases and verb groups of a sentence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax<'s> {
    pub(crate) words: &'s [Word<'s>],
    pub(crate) phrases: &'s Phrases,
    pub(crate) groups: &'s [Group],
}

/// The subject of each verb group, where it has one.
pub(crate) fn subjects(syntax: Syntax) -> Vec<Option<Subject>> {
    let mut subjects = Vec::with_capacity(syntax.groups.len());
    for group in 0..syntax.groups.len() {
        let subject = syntax.subject(group, &subjects);
        subjects.push(subject);
    }
    if let Some(subject) = syntax.initial_participle(&subjects) {
        subjects[0] = Some(subject);
    }
    subjects
}

impl Syntax<'_> {
    fn subject(self, number: usize, earlier: &[Option<Subject>]) -> Option<Subject> {
        let group = &self.groups[number];
        let mut end = group.range.start;
        while end > 0 && self.words[end - 1].pos == Pos::Adverb {
            end -= 1;
        }
        let before = self.words.get(end.checked_sub(1)?)?;
        let found = |range, role| {
            Some(Subject {
                range,
                role,
                shared_with: None,
            })
        };
        match before.pos {
            Pos::To | Pos::Preposition => None,
            Pos::Relative if before.is(&["who", "which", "that"]) => {
                found(self.antecedent(end - 1)?, Role::Relative)
            }
            Pos::Conjunction => self.shared(number, earlier),
            _ if before.is_comma() => self.after_comma(number, end - 1, earlier),
            _ if before.closes() => {
                let open = (0..end - 1).rev().find(|&at| self.words[at].opens())?;
                found(self.extended(open, true)?, Role::Main)
            }
            _ => self.adjacent(number, end, earlier),
        }
    }

    /// "Founded in 1911, the company makes …": the participle is about the subject that follows.
    fn initial_participle(self, subjects: &[Option<Subject>]) -> Option<Subject> {
        let group = self.groups.first()?;
        let starts = self.words[..group.range.start]
            .iter()
            .all(|word| word.pos == Pos::Adverb);
        if !starts || !matches!(group.kind, Kind::Participle | Kind::Gerund) {
            return None;
        }
        let main = subjects
            .iter()
            .flatten()
            .find(|subject| subject.role == Role::Main)?;
        let comma = main.range.start > 0 && self.words[main.range.start - 1].is_comma();
        comma.then(|| Subject {
            range: main.range.clone(),
            role: Role::Participial,
            shared_with: None,
        })
    }

    /// The phrase a relative pronoun at `at` stands for.
    pub(crate) fn antecedent(self, at: usize) -> Option<Range<usize>> {
        let end = if at > 0 && self.words[at - 1].is_comma() {
            at - 1
        } else {
            at
        };
        self.extended(end, false)
    }

    /// "… and saw": the subject of the verb group that this one is coordinated with.
    fn shared(self, number: usize, earlier: &[Option<Subject>]) -> Option<Subject> {
        let group = &self.groups[number];
        let with = (0..number)
            .rev()
            .find(|&other| earlier[other].is_some() && self.fits(other, group))?;
        let subject = earlier[with].as_ref()?;
        Some(Subject {
            range: subject.range.clone(),
            role: Role::Shared,
            shared_with: Some(with),
        })
    }

    /// Whether a verb group can be coordinated with an earlier one.
    fn fits(self, other: usize, group: &Group) -> bool {
        let other = &self.groups[other];
        match group.kind {
            Kind::Gerund => {
                other.kind == Kind::Gerund || self.words[other.last].form == Form::Gerund
            }
            Kind::Participle => {
                self.words[other.last].form == Form::Participle
                    || self.words[other.last].form == Form::Finite
            }
            _ => other.kind == Kind::Finite,
        }
    }

    /// A verb right after a comma: a participle, or a verb whose subject stands before a parenthesis.
    fn after_comma(
        self,
        number: usize,
        comma: usize,
        earlier: &[Option<Subject>],
    ) -> Option<Subject> {
        let group = &self.groups[number];
        let last = (0..number).rev().find(|&other| earlier[other].is_some());
        let resumed = |role| {
            let with = last?;
            Some(Subject {
                range: earlier[with].as_ref()?.range.clone(),
                role,
                shared_with: None,
            })
        };
        if let Some(with) = last.filter(|&with| self.listed(with, number)) {
            let range = earlier[with].as_ref()?.range.clone();
            return Some(Subject {
                range,
                role: Role::Shared,
                shared_with: Some(with),
            });
        }
        if group.kind == Kind::Participle {
            if let Some(range) = self.extended(comma, false) {
                return Some(Subject {
                    range,
                    role: Role::Participial,
                    shared_with: None,
                });
            }
            return resumed(Role::Participial);
        }
        if group.kind == Kind::Gerund {
            return resumed(Role::Participial);
        }
        if let Some(range) = self.before_parenthesis(comma) {
            Some(Subject {
                range,
                role: Role::Parenthetical,
                shared_with: None,
            })
        } else {
            let subject = resumed(Role::Parenthetical)?;
            Some(Subject {
                shared_with: last,
                ..subject
            })
        }
    }

    /// "were washed, dried and weighed": a participle in a list of participles.
    fn listed(self, with: usize, number: usize) -> bool {
        let (first, group) = (&self.groups[with], &self.groups[number]);
        let passive = first.kind == Kind::Finite && self.words[first.last].form == Form::Participle;
        let next = self
            .words
            .get(group.range.end)
            .is_some_and(|word| word.is_comma() || word.pos == Pos::Conjunction);
        let more = self.groups.get(number + 1).is_some_and(|next| {
            next.kind == Kind::Participle
                && self.words[group.range.end..next.range.start]
                    .iter()
                    .all(|word| word.is_comma() || word.pos == Pos::Conjunction)
        });
        passive && group.kind == Kind::Participle && next && more
    }

    /// The phrase before the comma that opens the parenthesis closed at `comma`.
    fn before_parenthesis(self, comma: usize) -> Option<Range<usize>> {
        let from = comma.saturating_sub(REACH);
        let from = (from..comma)
            .rev()
            .find(|&at| matches!(self.words[at].text, ";" | "."))
            .unwrap_or(from);
        let relative = |at: &usize| self.words[at + 1].pos == Pos::Relative;
        let commas = || (from..comma).rev().filter(|&at| self.words[at].is_comma());
        let opening = commas().find(relative).or_else(|| commas().next())?;
        let range = self.extended(opening, true)?;
        let object = self.groups.iter().any(|group| {
            group.range.end <= range.start
                && range.start - group.range.end < 2
                && (range.start == 0 || self.words[range.start - 1].pos != Pos::Mark)
        });
        (!object).then_some(range)
    }

    /// A phrase that ends where the verb group starts.
    fn adjacent(self, number: usize, end: usize, earlier: &[Option<Subject>]) -> Option<Subject> {
        let group = &self.groups[number];
        let near = self.phrases.before(end)?.clone();
        let far = self.extended(end, true).unwrap_or(near.clone());
        let object = self.groups[..number].iter().any(|other| {
            other.range.end <= far.start
                && self.words[other.range.end..far.start].iter().all(|word| {
                    !matches!(
                        word.pos,
                        Pos::Mark | Pos::Subordinator | Pos::Relative | Pos::Conjunction
                    )
                })
        });
        match group.kind {
            Kind::Infinitive => None,
            Kind::Gerund => Some(Subject {
                range: near,
                role: Role::Reduced,
                shared_with: None,
            }),
            Kind::Participle if !object && self.takes_object(number) => Some(Subject {
                range: far,
                role: Role::Main,
                shared_with: None,
            }),
            Kind::Participle if object || self.finite_follows(number) => Some(Subject {
                range: near,
                role: Role::Reduced,
                shared_with: None,
            }),
            Kind::Participle
                if self.words[group.last].lower.ends_with("ed")
                    && self
                        .words
                        .get(group.range.end)
                        .is_some_and(|word| word.pos == Pos::Preposition && word.lower == "by") =>
            {
                Some(Subject {
                    range: near,
                    role: Role::Reduced,
                    shared_with: None,
                })
            }
            _ => {
                if object && let Some(range) = self.behind_relative(number, far.start, earlier) {
                    return Some(Subject {
                        range,
                        role: Role::Parenthetical,
                        shared_with: None,
                    });
                }
                Some(Subject {
                    range: if object { near } else { far },
                    role: Role::Main,
                    shared_with: None,
                })
            }
        }
    }

    /// "The privilege cited by her protects …": the phrase that the reduced relative clause before the verb modifies,
    /// unless that phrase is an object itself.
    fn behind_relative(
        self,
        number: usize,
        end: usize,
        earlier: &[Option<Subject>],
    ) -> Option<Range<usize>> {
        let (relative, subject) = (0..number)
            .rev()
            .find_map(|other| Some((other, earlier[other].as_ref()?)))?;
        if !matches!(subject.role, Role::Reduced | Role::Relative)
            || self.groups[relative].range.end > end
        {
            return None;
        }
        let before = &self.words[..subject.range.start];
        let start = before
            .iter()
            .rposition(|word| {
                word.pos == Pos::Mark || matches!(word.pos, Pos::Subordinator | Pos::Conjunction)
            })
            .map_or(0, |at| at + 1);
        (!before[start..].iter().any(Word::is_verbal)).then(|| subject.range.clone())
    }

    /// "The authors trained networks": a participle with an object right after it is a past tense.
    fn takes_object(self, number: usize) -> bool {
        let group = &self.groups[number];
        let gives = self.words[group.last].is(&[
            "given",
            "called",
            "named",
            "considered",
            "made",
            "elected",
            "awarded",
            "shown",
            "dubbed",
            "titled",
            "entitled",
            "known",
            "termed",
            "offered",
            "paid",
            "appointed",
            "nicknamed",
        ]);
        let object = self.phrases.at(group.range.end).is_some_and(|phrase| {
            !self.words[phrase.start].is(&["last", "this", "next"])
                && self.words[phrase.start].pos != Pos::Number
        });
        object && !gives && self.words[group.last].lower.ends_with("ed")
    }

    /// Whether a later verb group can be the predicate of the clause.
    fn finite_follows(self, number: usize) -> bool {
        let from = self.groups[number].range.end;
        let Some(next) = self.groups[number + 1..]
            .iter()
            .find(|group| group.kind == Kind::Finite)
        else {
            return false;
        };
        let between = &self.words[from..next.range.start];
        let own = between.iter().any(|word| {
            matches!(
                word.pos,
                Pos::Relative | Pos::Subordinator | Pos::Conjunction
            ) || word.is_stop()
        });
        !own && !between.last().is_some_and(Word::is_comma)
    }
}
