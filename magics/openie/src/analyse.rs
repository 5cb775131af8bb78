//! From a sentence to its noun-phrase mentions and triples.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::chunk::Phrases;
use crate::clause::clauses;
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
    let triples = found
        .into_iter()
        .map(|clause| {
            let (subject, object) = (bytes(&clause.subject), bytes(&clause.object));
            let relation_span = bytes(&clause.relation_span);
            let inside = |outer: &Range<usize>| {
                let from = mentions.partition_point(|mention| mention.range.start < outer.start);
                from..from
                    + mentions[from..]
                        .iter()
                        .take_while(|mention| mention.range.end <= outer.end)
                        .count()
            };
            let own = one_line(&sentence[relation_span.clone()]);
            Triple {
                relation: [clause.supplied, own].join(" ").trim().to_owned(),
                relation_span,
                adverbial: clause.adverbial.as_ref().map(bytes),
                confidence: clause.confidence,
                subject_mention: Some(inside(&subject))
                    .filter(|range| !range.is_empty())
                    .map(|range| range.start),
                object_mentions: inside(&object).collect(),
                subject,
                object,
            }
        })
        .collect();
    Analysis { mentions, triples }
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
