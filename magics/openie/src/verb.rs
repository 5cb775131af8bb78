//! Verb groups: "has been", "did not agree to buy", "quickly became".

use std::ops::Range;

use crate::chunk::Phrases;
use crate::sentence::{Pos, Word};
use crate::tag::Form;

/// Verbs and auxiliaries that make one predicate.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// From the first adverb or verb to the last verb
    pub(crate) range: Range<usize>,
    /// The first verb or auxiliary
    pub(crate) first: usize,
    /// The last verb or auxiliary
    pub(crate) last: usize,
    pub(crate) kind: Kind,
}

/// How a verb group starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Finite,
    /// A past participle alone: "the man seen there"
    Participle,
    /// A form in -ing alone
    Gerund,
    /// After "to"
    Infinitive,
}

/// The verb groups of a sentence, in order.
pub(crate) fn groups(words: &[Word], phrases: &Phrases) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at].is_verbal() && phrases.around(at).is_none() {
            let group = group(words, at);
            at = group.range.end;
            groups.push(group);
        } else {
            at += 1;
        }
    }
    groups
}

fn group(words: &[Word], first: usize) -> Group {
    let mut end = first + 1;
    while end < words.len() {
        if words[end].is_verbal() && joins(words, end) {
            end += 1;
            continue;
        }
        let between = words[end..]
            .iter()
            .take_while(|word| matches!(word.pos, Pos::Adverb | Pos::Not | Pos::To))
            .count();
        if between > 0
            && words.get(end + between).is_some_and(Word::is_verbal)
            && joins(words, end + between)
        {
            end += between + 1;
            continue;
        }
        break;
    }
    let last = end - 1;
    if words.get(end).is_some_and(|word| word.pos == Pos::Not) {
        end += 1;
    }
    let mut start = first;
    while start > 0
        && words[start - 1].pos == Pos::Adverb
        && (words[start - 1].lower.ends_with("ly")
            || words[start - 1].is(&[
                "also", "then", "still", "never", "now", "often", "later", "soon", "once",
                "always", "already", "only", "just", "even", "first",
            ]))
        && (start == 1 || words[start - 2].pos != Pos::Mark)
    {
        start -= 1;
    }
    Group {
        range: start..end,
        first,
        last,
        kind: kind(words, first),
    }
}

/// A finite verb starts a group of its own: "what he said was".
fn joins(words: &[Word], at: usize) -> bool {
    let before = words[..at]
        .iter()
        .rev()
        .find(|word| !matches!(word.pos, Pos::Adverb | Pos::Not));
    if words[at - 1].pos == Pos::Verb && words[at].form == Form::Participle {
        return words[at - 1].is(&["get", "gets", "got", "getting", "have", "has", "had"]);
    }
    !(before.is_some_and(|word| word.pos == Pos::Verb && !word.is(&["have", "has", "had"]))
        && words[at].pos == Pos::Auxiliary
        && !words[at].is(&["be", "been", "being", "have"]))
}

fn kind(words: &[Word], first: usize) -> Kind {
    let before = words[..first]
        .iter()
        .rev()
        .find(|word| word.pos != Pos::Adverb);
    match words[first].form {
        _ if before.is_some_and(|word| word.pos == Pos::To) => Kind::Infinitive,
        Form::Participle => Kind::Participle,
        Form::Gerund => Kind::Gerund,
        _ if words[first].is(&["being", "having"]) => Kind::Gerund,
        _ => Kind::Finite,
    }
}
