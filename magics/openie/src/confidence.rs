//! How sure we are of a statement: a logistic regression over signs of how it was found.

use crate::analyse::Clause;
use crate::sentence::{BE, Pos, Word};
use crate::subject::Syntax;
use crate::tag::Form;

/// How a statement was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The subject stands right before the verb
    Main,
    /// "the man who came"
    Relative,
    /// "a system, which he patented"
    ObjectRelative,
    /// "he came and saw it"
    Shared,
    /// ", seen by many" and ", leaving the rest"
    Participial,
    /// "the man, a writer, came home"
    Parenthetical,
    /// "the man seen there"
    Reduced,
    /// "…, the firm said"
    Speech,
    /// "Ada, a mathematician, …"
    Apposition,
    /// "the mathematician, Ada, …"
    Introduction,
    /// "mathematician Ada Lovelace"
    Title,
    /// "Ada's machine"
    Possession,
}

const N_ORIGINS: usize = 12;

/// Number of signs.
pub const N_SIGNS: usize = N_ORIGINS + 18;

/// What the confidence of a statement is worked out from, as numbers around 0 to 1.
pub type Signs = [f32; N_SIGNS];

/// Weight of each sign.
///
/// Fitted on the development half of CaRB (641 sentences, 1,392 statements): logistic regression by gradient descent
/// with an L2 penalty of 5; the target of a statement is the share of its words that the gold tuple matched with it has,
/// 0 when none is. Mean log loss .597, .606 in five-fold cross-validation, .693 for a constant.
#[rustfmt::skip]
const WEIGHTS: Signs = [
    0.56, 0.27, 0.14, 0.24, -0.15, 0.52, -0.12, 0.68, -0.14,
    -0.11, -0.33, -1.12,
    0.47, 0.32, -0.32, -0.01, 0.18, 0.04, 0.49, -0.13, -0.06,
    -0.41, -0.26, -0.03, -0.09, -0.19, 0.29, -0.22, 0.20, 0.26,
];

/// Estimated probability that a statement with these signs is right.
pub(crate) fn confidence(signs: &Signs) -> f32 {
    let sum: f32 = signs
        .iter()
        .zip(&WEIGHTS)
        .map(|(sign, weight)| sign * weight)
        .sum();
    1.0 / (1.0 + (-sum).exp())
}

impl Syntax<'_> {
    /// The signs of a statement.
    pub(crate) fn signs(self, clause: &Clause) -> Signs {
        let mut signs = [0.0; N_SIGNS];
        signs[clause.origin as usize] = 1.0;
        let group = self
            .group_at(clause.relation_span.start)
            .filter(|_| !clause.relation_span.is_empty());
        let (subject, object) = (
            &self.words[clause.subject.clone()],
            &self.words[clause.object.clone()],
        );
        let verb = group.map(|group| &self.words[self.groups[group].last]);
        let length = |n: usize| (1.0 + n as f32).ln() / 3.0;
        let bit = |yes: bool| f32::from(yes);
        let before = clause
            .subject
            .start
            .checked_sub(1)
            .map(|at| &self.words[at]);
        let after = self.words.get(clause.object.end);
        signs[N_ORIGINS..].copy_from_slice(&[
            length(subject.len()),
            length(object.len()),
            length(self.words.len()),
            bit(subject[0].pos == Pos::Pronoun),
            bit(subject[0].pos == Pos::Name),
            bit(matches!(subject[0].pos, Pos::Determiner | Pos::PossessivePronoun)),
            bit(before.is_none_or(|word| word.pos == Pos::Mark)),
            bit(before.is_some_and(|word| matches!(word.pos, Pos::Preposition) || word.is_verbal())),
            bit(after.is_none_or(Word::is_stop)),
            bit(object.iter().any(Word::is_comma)),
            bit(object.iter().any(Word::is_verbal)),
            bit(object[0].pos == Pos::Subordinator || object[0].pos == Pos::Relative),
            bit(object.len() == 1 && !object[0].is_noun()),
            bit(verb.is_some_and(|word| word.is(&BE))),
            bit(verb.is_some_and(|word| word.form == Form::Participle)),
            verb.map_or(0.0, |word| (word.verb_gap as f32 / 50.0).clamp(0.0, 2.0)) * bit(verb.is_some_and(|word| word.form == Form::Finite)),
            bit(clause.relation_span.clone().any(|at| self.words[at].pos == Pos::Preposition)),
            bit(clause.adverbial.is_some()),
        ]);
        signs
    }
}
