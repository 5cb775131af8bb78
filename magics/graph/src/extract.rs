//! From one document to its sentences, passages, mentions and triples: what a store keeps of it.

use std::ops::Range;

use mlk8s_corpus::{Document, Watch, chunks, sentences};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Words of a passage, at most; a longer sentence is a passage of its own.
const PASSAGE_WORDS: usize = 150;
/// Sentences looked at between two questions whether to stop.
const BETWEEN_CHECKS: usize = 64;

/// Bytes of a document's text.
pub(crate) type Span = Range<u32>;

/// A document with everything that was found in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Analysed {
    pub(crate) text: Text,
    pub(crate) sentences: Vec<Sentence>,
}

/// What a store keeps of the document itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// One sentence and what it says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sentence {
    pub(crate) span: Span,
    /// Number of its passage within the document.
    pub(crate) passage: u32,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) triples: Vec<Triple>,
}

/// A noun phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) span: Span,
    pub(crate) name: String,
    pub(crate) proper: bool,
}

/// A statement; its mentions are indices into those of its sentence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Triple {
    pub(crate) subject: Span,
    pub(crate) relation: String,
    pub(crate) relation_span: Span,
    pub(crate) object: Span,
    pub(crate) adverbial: Option<Span>,
    pub(crate) confidence: f32,
    pub(crate) subject_mention: Option<u32>,
    pub(crate) object_mentions: Vec<u32>,
    /// A model stated it, not the rules for clauses.
    pub(crate) by_model: bool,
}

impl Analysed {
    pub(crate) fn n_triples(&self) -> usize {
        self.sentences.iter().map(|s| s.triples.len()).sum()
    }

    pub(crate) fn n_mentions(&self) -> usize {
        self.sentences.iter().map(|s| s.mentions.len()).sum()
    }
}

/// Stands for the text a document was analysed as: a changed cleaning changes it, though the id stays.
pub(crate) fn digest(document: &Document) -> String {
    let mut hash = Sha256::new();
    hash.update(document.title.as_bytes());
    hash.update([0]);
    hash.update(document.text.as_bytes());
    hex::encode(&hash.finalize()[..16])
}

/// Analyses a document, its sentences in parallel; nothing when the watch says stop before the end.
pub(crate) fn analyse(document: &Document, watch: &dyn Watch) -> Option<Analysed> {
    let text = document.text.as_str();
    let passages = passages(text);
    let ranges: Vec<(Range<usize>, u32)> = sentences(text).into_iter().zip(passages).collect();
    let done: Vec<Option<Vec<Sentence>>> = ranges
        .par_chunks(BETWEEN_CHECKS)
        .map(|some| {
            let sentence = |(range, passage): &(Range<usize>, u32)| sentence(text, range, *passage);
            (!watch.cancelled()).then(|| some.iter().map(sentence).collect())
        })
        .collect();
    let sentences = done.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Analysed {
        text: Text {
            id: document.id.clone(),
            title: one_line(&document.title),
            source: document.source.to_string_lossy().into_owned(),
            kind: document.kind.to_string(),
            body: document.text.clone(),
        },
        sentences: sentences.into_iter().flatten().collect(),
    })
}

/// The passage of each sentence of a text.
fn passages(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (number, chunk) in chunks(text, PASSAGE_WORDS).into_iter().enumerate() {
        numbers.resize(chunk.sentences.end, number as u32);
    }
    numbers
}

fn sentence(text: &str, range: &Range<usize>, passage: u32) -> Sentence {
    let found = mlk8s_openie::analyse(&text[range.clone()]);
    let base = range.start;
    let span = |range: &Range<usize>| (base + range.start) as u32..(base + range.end) as u32;
    Sentence {
        span: range.start as u32..range.end as u32,
        passage,
        mentions: found
            .mentions
            .iter()
            .map(|mention| Mention {
                span: span(&mention.range),
                name: one_line(&mention.name),
                proper: mention.proper,
            })
            .collect(),
        triples: found
            .triples
            .iter()
            .map(|triple| Triple {
                subject: span(&triple.subject),
                relation: one_line(&triple.relation),
                relation_span: span(&triple.relation_span),
                object: span(&triple.object),
                adverbial: triple.adverbial.as_ref().map(span),
                confidence: triple.confidence,
                subject_mention: triple.subject_mention.map(|index| index as u32),
                object_mentions: triple.object_mentions.iter().map(|&i| i as u32).collect(),
                by_model: false,
            })
            .collect(),
    }
}

/// The text with every run of blanks and line breaks as one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
