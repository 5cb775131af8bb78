//! From a sentence to its noun-phrase mentions and triples.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::chunk::Phrases;
use crate::clause::clauses;
use crate::sentence::{Pos, words};
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
    /// The relation's words; may hold words the sentence leaves out, such as "is"
    pub relation: String,
    /// Where the relation's own words stand
    pub relation_span: Range<usize>,
    /// The second argument
    pub object: Range<usize>,
    /// Time or place set before the clause
    pub adverbial: Option<Range<usize>>,
    /// Estimated probability that the triple is right, 0 to 1
    pub confidence: f32,
}

/// Mentions and triples of a sentence; ranges are bytes of `sentence`.
pub fn analyse(sentence: &str) -> Analysis {
    let spans = tokenize(sentence);
    let texts: Vec<&str> = spans.iter().map(|span| &sentence[span.clone()]).collect();
    let words = words(&texts);
    let phrases = Phrases::of(&words);
    let bytes = |range: &Range<usize>| match range.is_empty() {
        true => spans[range.start].start..spans[range.start].start,
        false => spans[range.start].start..spans[range.end - 1].end,
    };
    let mentions: Vec<Mention> = phrases
        .all
        .iter()
        .filter_map(|phrase| {
            let start = phrase.clone().find(|&i| words[i].pos != Pos::Determiner)?;
            let head = words[phrase.end - 1].pos;
            (!matches!(head, Pos::Pronoun | Pos::Number)).then(|| Mention {
                range: bytes(&(start..phrase.end)),
                name: texts[start..phrase.end].join(" "),
                proper: head == Pos::Name,
            })
        })
        .collect();
    let triples = clauses(&words, &phrases)
        .into_iter()
        .map(|clause| {
            let (subject, object) = (bytes(&clause.subject), bytes(&clause.object));
            let within = |outer: &Range<usize>, m: &Mention| {
                outer.start <= m.range.start && m.range.end <= outer.end
            };
            Triple {
                relation_span: bytes(&clause.relation_span),
                adverbial: clause.adverbial.as_ref().map(bytes),
                confidence: clause.confidence,
                relation: clause.relation,
                subject_mention: mentions.iter().position(|m| within(&subject, m)),
                object_mentions: (0..mentions.len())
                    .filter(|&i| within(&object, &mentions[i]))
                    .collect(),
                subject,
                object,
            }
        })
        .collect();
    Analysis { mentions, triples }
}

/// Statements of a sentence whose words are already cut, as in treebanks; ranges count words.
pub fn analyse_tokens(texts: &[&str]) -> Vec<Clause> {
    let words = words(texts);
    clauses(&words, &Phrases::of(&words))
}
