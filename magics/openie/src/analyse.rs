//! From a sentence to its noun-phrase mentions and triples.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::chunk::Phrases;
use crate::clause::clauses;
use crate::confidence::{N_SIGNS, Origin, Signs};
use crate::mention::mentions;
use crate::sentence::{Word, words};
use crate::tokenize::tokenize;

/// A noun phrase that can become a node of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Where it stands, in bytes of the sentence
    pub range: Range<usize>,
    /// Its words without a leading determiner, separated by single spaces
    pub name: String,
    /// Whether its head is a proper noun
    pub proper: bool,
}

/// One statement of a sentence: who, what, whom. All ranges are bytes of the sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Triple {
    /// The phrase the statement is about
    pub subject: Range<usize>,
    /// The relation's words; may hold words the sentence leaves out, such as "is"
    pub relation: String,
    /// Where the relation's own words stand; empty (at the place it would stand) when all are supplied
    pub relation_span: Range<usize>,
    /// The second argument, as long as its clause
    pub object: Range<usize>,
    /// Time or place set before the clause
    pub adverbial: Option<Range<usize>>,
    /// Estimated probability that the triple is right, 0 to 1
    pub confidence: f32,
    /// Head of the subject: an index into the mentions
    pub subject_mention: Option<usize>,
    /// Heads of all members of a coordinated subject, `subject_mention` first: indices into the mentions
    pub subject_mentions: Vec<usize>,
    /// Noun phrases of the second argument: indices into the mentions, in order of text
    pub object_mentions: Vec<usize>,
}

/// What one sentence says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Noun phrases in order of text
    pub mentions: Vec<Mention>,
    /// Statements, in order of their relations
    pub triples: Vec<Triple>,
}

/// A statement over the words of a sentence: all ranges count words.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// The phrase the statement is about
    pub subject: Range<usize>,
    /// The relation's words, those the sentence leaves out first
    pub relation: String,
    /// Words of the relation that the sentence leaves out, such as "is"; often empty
    pub supplied: String,
    /// Where the relation's own words stand; empty when all are supplied
    pub relation_span: Range<usize>,
    /// The second argument
    pub object: Range<usize>,
    /// Time or place set before the clause
    pub adverbial: Option<Range<usize>>,
    /// Estimated probability that the triple is right, 0 to 1
    pub confidence: f32,
    /// The members of a coordinated subject, or the subject alone
    pub subject_members: Vec<Range<usize>>,
    /// How it was found
    pub origin: Origin,
    /// What the confidence was worked out from
    pub signs: Signs,
}

impl Clause {
    /// A statement whose confidence is not worked out yet.
    pub(crate) fn new(
        origin: Origin,
        subject: Range<usize>,
        relation_span: Range<usize>,
        object: Range<usize>,
    ) -> Self {
        Self {
            subject,
            relation: String::new(),
            supplied: String::new(),
            relation_span,
            object,
            adverbial: None,
            confidence: 0.0,
            origin,
            signs: [0.0; N_SIGNS],
            subject_members: Vec::new(),
        }
    }

    /// The same with words that the sentence leaves out.
    pub(crate) fn supplying(self, supplied: &str) -> Self {
        Self {
            supplied: supplied.to_owned(),
            ..self
        }
    }
}

/// Mentions and triples of a sentence; ranges are bytes of `sentence`. A heading has mentions but no triples.
pub fn analyse(sentence: &str) -> Analysis {
    let spans = tokenize(sentence);
    let texts: Vec<&str> = spans.iter().map(|span| &sentence[span.clone()]).collect();
    let words = words(&texts);
    let phrases = Phrases::of(&words);
    let bytes = |range: &Range<usize>| {
        let start = spans[range.start].start;
        start..if range.is_empty() {
            start
        } else {
            spans[range.end - 1].end
        }
    };
    let mentions: Vec<Mention> = mentions(&words, &phrases)
        .into_iter()
        .map(|(range, proper)| {
            let range = bytes(&range);
            Mention {
                name: one_line(&sentence[range.clone()]),
                range,
                proper,
            }
        })
        .collect();
    let found = if is_heading(&words) {
        Vec::new()
    } else {
        clauses(&words, &phrases)
    };
    let head = |member: &Range<usize>| {
        let last = phrases
            .at(member.start)
            .map_or(member.end, |first| first.end)
            - 1;
        let inside = within(&mentions, &bytes(member));
        let at = spans[last].start;
        inside
            .clone()
            .find(|&i| mentions[i].range.contains(&at))
            .or_else(|| inside.into_iter().next())
    };
    let triple = |clause: Clause| {
        let relation_span = bytes(&clause.relation_span);
        let subject_mentions: Vec<usize> = clause.subject_members.iter().filter_map(head).collect();
        let object = bytes(&clause.object);
        Triple {
            subject: bytes(&clause.subject),
            relation: relation(
                &clause.supplied,
                &one_line(&sentence[relation_span.clone()]),
            ),
            relation_span,
            adverbial: clause.adverbial.as_ref().map(bytes),
            confidence: clause.confidence,
            subject_mention: subject_mentions.first().copied(),
            subject_mentions,
            object_mentions: within(&mentions, &object).collect(),
            object,
        }
    };
    let triples = found.into_iter().map(triple).collect();
    Analysis { mentions, triples }
}

/// The mentions that lie in a range of bytes.
fn within(mentions: &[Mention], outer: &Range<usize>) -> Range<usize> {
    let from = mentions.partition_point(|mention| mention.range.start < outer.start);
    let n = mentions[from..]
        .iter()
        .take_while(|mention| mention.range.end <= outer.end)
        .count();
    from..from + n
}

/// The words a relation supplies, then its own.
pub(crate) fn relation(supplied: &str, own: &str) -> String {
    match (supplied, own) {
        ("", own) => own.to_owned(),
        (supplied, "") => supplied.to_owned(),
        (supplied, own) => {
            let mut letters = own.chars();
            let first = letters.next().map(char::to_lowercase).into_iter().flatten();
            supplied
                .chars()
                .chain([' '])
                .chain(first)
                .chain(letters)
                .collect()
        }
    }
}

/// Single spaces between words.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line without a full stop whose longer words nearly all start with a capital, or that is very short.
fn is_heading(words: &[Word]) -> bool {
    let Some(last) = words.last() else {
        return true;
    };
    if matches!(last.text, "." | "?" | "!" | ":" | ";" | "..." | "…")
        || last.is_quote()
        || last.closes()
    {
        return false;
    }
    let long: Vec<&Word> = words
        .iter()
        .filter(|word| word.text.chars().count() > 3)
        .collect();
    let capital = long
        .iter()
        .filter(|word| word.text.starts_with(char::is_uppercase))
        .count();
    words.len() < 5 || capital * 10 >= long.len() * 7
}

/// Statements of a sentence whose words are already cut, as in treebanks; ranges count words.
pub fn analyse_tokens(texts: &[&str]) -> Vec<Clause> {
    let words = words(texts);
    clauses(&words, &Phrases::of(&words))
}

#[cfg(test)]
mod tests;
