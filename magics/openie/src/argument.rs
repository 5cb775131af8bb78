//! Where the second argument of a clause starts and ends.

use std::ops::Range;

use crate::sentence::{BE, Pos, Word};
use crate::subject::{Role, Subject, Syntax};
use crate::verb::Kind;

/// Longest second argument, in words.
const MAX_WORDS: usize = 40;

/// Verbs of saying and thinking: a whole clause is their argument.
#[rustfmt::skip]
const SAYING: &[&str] = &[
    "said", "says", "say", "told", "tells", "indicated", "indicates", "believe", "believed",
    "believes", "think", "thinks", "thought", "claimed", "claims", "claim", "reported", "reports",
    "announced", "announces", "argued", "argues", "suggested", "suggests", "suggest", "show",
    "shows", "showed", "shown", "found", "knew", "know", "known", "knows", "noted", "notes",
    "stated", "states", "believing", "added", "adds", "hoped", "hopes", "feared", "felt",
    "maintain", "maintains", "concluded", "predicted", "predicts", "means", "meant",
    "demonstrate", "demonstrates", "demonstrated", "indicate", "learned", "realized",
    "discovered", "decided", "hope", "wrote", "agreed", "estimated", "estimates", "explained",
    "insisted", "warned", "ensure", "proposed", "saw", "revealed", "confirmed",
];

/// Relation and second argument of a verb group.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(crate) relation: Range<usize>,
    pub(crate) object: Range<usize>,
}

impl Syntax<'_> {
    /// Relation and second argument of verb group `number`, unless nothing follows it.
    pub(crate) fn predicate(
        self,
        number: usize,
        subjects: &[Option<Subject>],
    ) -> Option<Predicate> {
        let group = &self.groups[number];
        let relation_end = self.relation_end(number);
        let saying = self.words[group.range.clone()]
            .iter()
            .any(|word| word.is(SAYING))
            && (self.verb_before_comma(relation_end))
            || self.clause_follows(group.range.end, subjects)
            || self.clause_follows(relation_end, subjects);
        let mut end = self.object_end(relation_end, saying, subjects);
        while end > relation_end && self.dangles(end - 1) {
            end -= 1;
        }
        let mut start = relation_end;
        while start < end && self.words[start].pos == Pos::Mark && !self.words[start].is_quote() {
            start += 1;
        }
        (end > start).then_some(Predicate {
            relation: group.range.start..relation_end,
            object: start..end,
        })
    }

    /// Whether a clause stands between `from` and the next mark.
    fn verb_before_comma(self, from: usize) -> bool {
        let mut words = self.words[from..]
            .iter()
            .enumerate()
            .skip_while(|(_, word)| word.pos == Pos::Mark);
        let end = words
            .find(|(_, word)| word.is_comma() || word.is_stop())
            .map_or(self.words.len(), |(at, _)| from + at);
        self.groups.iter().any(|group| {
            group.range.start >= from && group.range.end <= end && group.kind == Kind::Finite
        })
    }

    /// The verb group with a particle or the preposition after it; "is capable of".
    fn relation_end(self, number: usize) -> usize {
        let group = &self.groups[number];
        let end = group.range.end;
        let pos = |at: usize| self.words.get(at).map(|word| word.pos);
        if self.words[group.last].is(&BE)
            && pos(end) == Some(Pos::Adjective)
            && self.phrases.around(end).is_none()
            && pos(end + 1) == Some(Pos::Preposition)
        {
            return end + 2;
        }
        let mut at = end;
        while pos(at) == Some(Pos::Adverb) && at - end < 2 {
            at += 1;
        }
        match (pos(at), pos(at + 1)) {
            (Some(Pos::Preposition), Some(Pos::Preposition)) => at + 2,
            (Some(Pos::Preposition), _) => at + 1,
            _ => end,
        }
    }

    /// Whether the argument at `at` is a clause: "that …", "why …", or a subject with its verb.
    fn clause_follows(self, at: usize, subjects: &[Option<Subject>]) -> bool {
        let Some(word) = self.words.get(at) else {
            return false;
        };
        if word.is(&["that", "why", "how", "what", "whether"]) && self.phrases.around(at).is_none()
        {
            return true;
        }
        let Some(phrase) = self.phrases.at(at) else {
            return false;
        };
        self.group_at(phrase.end).is_some_and(|group| {
            self.groups[group].kind == Kind::Finite
                && subjects[group]
                    .as_ref()
                    .is_some_and(|subject| subject.role == Role::Main)
        })
    }

    /// Goes on to the end of the clause.
    fn object_end(self, from: usize, saying: bool, subjects: &[Option<Subject>]) -> usize {
        let mut at = from;
        while at < self.words.len() && at - from < MAX_WORDS {
            let word = &self.words[at];
            if word.is_stop() || (saying && self.closes_quotation(from, at)) {
                break;
            }
            if word.is_comma() && !saying {
                match self.list_goes_on(at) {
                    Some(end) => at = end,
                    None => break,
                }
                continue;
            }
            if word.pos == Pos::Conjunction && self.new_clause_after(at, subjects) {
                break;
            }
            if !saying && at > from && self.subordinate(at) {
                break;
            }
            if at > from && self.resumes(at, subjects) {
                break;
            }
            if !saying
                && at > from
                && word.is_verbal()
                && let Some(start) = self.starts_clause(at, subjects)
            {
                return if start > from { start } else { at };
            }
            at += 1;
        }
        at
    }

    /// Whether the quotation mark at `at` ends a quotation that started before `from`.
    fn closes_quotation(self, from: usize, at: usize) -> bool {
        let closing = matches!(self.words[at].text, "''" | "”" | "\"");
        closing
            && !self.words[from..at]
                .iter()
                .any(|word| matches!(word.text, "``" | "“" | "\""))
    }

    /// Whether a verb at `at` goes on with a clause that started before the verb whose argument is looked for.
    fn resumes(self, at: usize, subjects: &[Option<Subject>]) -> bool {
        let Some(group) = self.group_at(at) else {
            return false;
        };
        let role = subjects[group].as_ref().map(|subject| subject.role);
        self.groups[group].range.start == at
            && self.groups[group].kind == Kind::Finite
            && role == Some(Role::Parenthetical)
    }

    /// Whether another clause starts with word `at`: a relative clause, or "because …".
    fn subordinate(self, at: usize) -> bool {
        let word = &self.words[at];
        let number_next = self
            .words
            .get(at + 1)
            .is_some_and(|next| next.pos == Pos::Number);
        if word.is(&["until", "when"]) && number_next {
            return false;
        }
        word.is(&[
            "who", "which", "whom", "where", "when", "whose", "because", "although", "while",
            "though", "if", "whereas", "until", "unless",
        ]) || (word.lower == "that" && self.phrases.before(at).is_some())
            || (word.pos == Pos::Subordinator && !word.is(&["that", "as"]))
    }

    /// The start of the subject when word `at` belongs to a finite clause of its own.
    fn starts_clause(self, at: usize, subjects: &[Option<Subject>]) -> Option<usize> {
        let subject = subjects[self.group_at(at)?].as_ref()?;
        (subject.role == Role::Main).then_some(subject.range.start)
    }

    /// The end of the next member when the comma at `at` stands in a list of noun phrases.
    fn list_goes_on(self, at: usize) -> Option<usize> {
        self.phrases.before(at)?;
        let conjunction = self.words.get(at + 1)?.pos == Pos::Conjunction;
        let start = at + 1 + usize::from(conjunction);
        let end = self.phrases.at(start)?.end;
        let first = self.words[start].pos;
        if self.group_at(end).is_some()
            || first == Pos::Pronoun
            || (first == Pos::Determiner
                && !conjunction
                && self
                    .words
                    .get(end)
                    .is_none_or(|word| word.pos != Pos::Conjunction))
        {
            return None;
        }
        let next = self.words.get(end);
        let on = next.is_some_and(|word| word.is_comma() || word.pos == Pos::Conjunction);
        (on || (conjunction && next.is_none_or(|word| !word.is_verbal()))).then_some(end)
    }

    /// Whether a verb, or a subject and its verb, follow the conjunction at `at`.
    fn new_clause_after(self, at: usize, subjects: &[Option<Subject>]) -> bool {
        let skip = |mut at: usize| {
            while self
                .words
                .get(at)
                .is_some_and(|word| word.pos == Pos::Adverb)
            {
                at += 1;
            }
            at
        };
        let next = skip(at + 1);
        if self.words.get(next).is_some_and(Word::is_verbal) && self.group_at(next).is_some() {
            return true;
        }
        let Some(phrase) = self.phrases.at(next) else {
            return false;
        };
        let verb = skip(phrase.end);
        self.group_at(verb).is_some_and(|group| {
            subjects[group]
                .as_ref()
                .is_some_and(|subject| subject.role == Role::Main)
        })
    }

    /// Whether a word cannot end an argument.
    fn dangles(self, at: usize) -> bool {
        let word = &self.words[at];
        matches!(
            word.pos,
            Pos::Preposition | Pos::Conjunction | Pos::Determiner | Pos::Subordinator | Pos::To
        ) && (!word.is(&["this", "that", "these", "those", "all", "both"])
            || word.pos == Pos::Subordinator)
            || word.is(&["when", "where", "why", "how", "which", "who", "whose"])
            || (word.pos == Pos::Mark && !matches!(word.text, "''" | "\"" | "”"))
    }
}
