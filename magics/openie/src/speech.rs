//! Reported speech whose report comes first: "…, the firm said", "…, said the firm".

use std::ops::Range;

use crate::analyse::Clause;
use crate::confidence::Origin;
use crate::sentence::{Pos, Word};
use crate::subject::{Role, Subject, Syntax};

/// Verbs that may follow what was said.
#[rustfmt::skip]
const SPEAKING: &[&str] = &[
    "said", "says", "say", "added", "adds", "warns", "warned", "explains", "explained", "notes",
    "noted", "argues", "argued", "reported", "reports", "announced", "concluded", "recalls",
    "recalled", "writes", "wrote", "believes", "predicts", "predicted", "contends", "insists",
    "insisted", "asked", "asks", "observed", "observes", "claimed", "claims",
];

impl Syntax<'_> {
    /// Replaces the statements of speech verbs whose report comes first.
    pub(crate) fn add_speeches(self, subjects: &[Option<Subject>], clauses: &mut Vec<Clause>) {
        for (number, group) in self.groups.iter().enumerate() {
            if !self.words[group.last].is(SPEAKING) {
                continue;
            }
            let Some((subject, from)) = self.speaker(number, subjects) else {
                continue;
            };
            let Some(object) = self.report_before(from) else {
                continue;
            };
            clauses.retain(|clause| clause.relation_span.start != group.range.start);
            clauses.push(Clause::new(
                Origin::Speech,
                subject,
                group.range.clone(),
                object,
            ));
        }
    }

    /// Who speaks, and where the speaker or the verb starts.
    fn speaker(self, number: usize, subjects: &[Option<Subject>]) -> Option<(Range<usize>, usize)> {
        let group = &self.groups[number];
        let report = |start: usize| {
            start > 1 && (self.words[start - 1].is_comma() || self.words[start - 1].is_quote())
        };
        if report(group.range.start)
            && let Some(after) = self.phrases.at(group.range.end)
        {
            return Some((after.clone(), group.range.start));
        }
        let subject = subjects[number]
            .as_ref()
            .filter(|subject| subject.role == Role::Main)?;
        let over = self
            .words
            .get(group.range.end)
            .is_none_or(|word| matches!(word.pos, Pos::Mark | Pos::Preposition));
        (over && report(subject.range.start)).then(|| (subject.range.clone(), subject.range.start))
    }

    /// What was said, up to the comma before `end`.
    fn report_before(self, end: usize) -> Option<Range<usize>> {
        let last = if self.words[end - 1].is_comma() {
            end - 1
        } else {
            end
        };
        let start = (0..last)
            .rev()
            .find(|&at| matches!(self.words[at].text, ";" | ":"))
            .map_or(0, |at| at + 1);
        let clause = self
            .groups
            .iter()
            .any(|group| group.range.start >= start && group.range.end <= last);
        (last >= start + 3 && clause && self.words[start..last].iter().any(Word::is_verbal))
            .then_some(start..last)
    }
}
