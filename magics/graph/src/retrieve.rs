//! Guided retrieval: a question is linked to phrases, a walk from them ranks passages, their best sentences answer.
//!
//! After `HippoRAG` (Gutiérrez et al. 2024), without a model: linking is by names, and the evidence is the answer.

mod asked;
mod bm25;
mod evidence;
mod link;
mod near;
mod network;
mod phrases;
mod rank;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::entity::Resolved;
use crate::extract::Analysed;
use bm25::{Bm25, best};
pub(crate) use bm25::{is_stop_word, words};
use evidence::Reader;
use link::{Lexicon, Link};
pub use near::{Near, PassageText};
use network::Network;
use phrases::{HEAD_COUNTS, heads, sentence_edges, title_phrases};
use rank::Weighed;

/// Passages that a ranking goes down to.
const MOST_PASSAGES: usize = 100;

/// How much to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskOptions {
    /// Passages of evidence, guided and plain.
    pub passages: usize,
    /// Sentences of a passage, at most.
    pub sentences: usize,
    /// Triples, at most.
    pub triples: usize,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            passages: 5,
            sentences: 3,
            triples: 12,
        }
    }
}

/// Evidence that answers a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// What it was linked to, in order of the question.
    pub linked: Vec<Linked>,
    /// Evidence that the graph led to, and the meaning of the question where it is known, best first.
    pub guided: Vec<Evidence>,
    /// Evidence that plain word search (BM25) finds, best first.
    pub plain: Vec<Evidence>,
    /// What the guided evidence states about what the walk visited, best first.
    pub triples: Vec<CitedTriple>,
    /// Why the graph did not guide, when it did not.
    pub fallback: Option<String>,
}

/// A stretch of a question and the entity that it was linked to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// Bytes of the question.
    pub span: Range<usize>,
    /// Name of the entity.
    pub entity: String,
    /// Share of the walk that starts there; all together make 1.
    pub weight: f32,
}

/// A passage offered as evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number, from 1.
    pub citation: usize,
    /// Identifier of the document.
    pub document: String,
    /// Title of the document.
    pub title: String,
    /// File of the document.
    pub source: PathBuf,
    /// Its best sentences, in order of the text.
    pub sentences: Vec<EvidenceSentence>,
    /// How it ranks: 1 for the best passage.
    pub score: f32,
}

/// A sentence offered as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceSentence {
    /// The sentence.
    pub text: String,
    /// Where it begins in the document's text, in bytes.
    pub start: usize,
    /// Where it ends, in bytes, exclusive.
    pub end: usize,
    /// What links it to the question, in bytes of the sentence; in order, without overlap.
    pub marked: Vec<Range<usize>>,
    /// Which of the answer's triples it states, by index.
    pub triples: Vec<usize>,
}

/// A triple with the number of the evidence that states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitedTriple {
    /// Name of the subject's entity.
    pub subject: String,
    /// The relation in words.
    pub relation: String,
    /// The object in the words of the sentence.
    pub object: String,
    /// Number of the evidence.
    pub citation: usize,
}

/// Passages with their scores, best first.
pub(crate) type Ranking = Vec<(u32, f32)>;

/// A stretch of sentences of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) document: usize,
    pub(crate) sentences: Range<usize>,
}

/// What answers questions about one set of documents.
#[derive(Debug)]
pub(crate) struct Retriever {
    passages: Vec<Passage>,
    lexicon: Lexicon,
    network: Network,
    bm25: Bm25,
    /// Names of the phrases that are titles and no things; they follow the things.
    titles: Vec<String>,
    /// Numbers of the passages by their identifiers; made when somebody names one.
    by_id: OnceLock<HashMap<String, u32>>,
}

impl Retriever {
    pub(crate) fn new(documents: &[Analysed], resolved: &Resolved) -> Retriever {
        let passages = passages(documents);
        let (title_of, titles, mut by_key) = title_phrases(documents, resolved);
        let n_phrases = resolved.things.len() + titles.len();
        let mut n_passages_of = vec![0; documents.len()];
        for passage in &passages {
            n_passages_of[passage.document] += 1;
        }
        let mut edges: Vec<(u32, u32, f32)> = Vec::new();
        let mut spread = vec![0; n_phrases];
        let head_of = heads(resolved);
        for (number, passage) in passages.iter().enumerate() {
            let node = (n_phrases + number) as u32;
            let document = passage.document;
            let mut here: BTreeSet<u32> = BTreeSet::new();
            for sentence in passage.sentences.clone() {
                let n_mentions = documents[document].sentences[sentence].mentions.len();
                here.extend((0..n_mentions).filter_map(|m| resolved.thing(document, sentence, m)));
                edges.extend(sentence_edges(documents, resolved, document, sentence));
            }
            // A title speaks for its whole document: of a long one each passage has a part of it.
            let part = 1.0 / n_passages_of[document] as f32;
            if let Some(title) = title_of[document] {
                edges.extend(here.iter().map(|&phrase| (title, phrase, part)));
                if !here.contains(&title) {
                    edges.push((title, node, part));
                    spread[title as usize] += 1;
                }
            }
            // Who speaks of biomedical question answering speaks of question answering.
            let spoken: BTreeSet<u32> = here
                .iter()
                .filter_map(|p| head_of.get(p).copied())
                .collect();
            edges.extend(spoken.difference(&here).map(|&head| (head, node, 1.0)));
            for phrase in here {
                edges.push((phrase, node, 1.0));
                spread[phrase as usize] += 1;
            }
        }
        edges.extend(
            head_of
                .iter()
                .map(|(&name, &head)| (name, head, HEAD_COUNTS)),
        );
        by_key.extend(resolved.keys().map(|(key, thing)| (key.to_owned(), thing)));
        let names = resolved
            .things
            .iter()
            .map(|thing| (thing.key.as_str(), is_name(&thing.name)))
            .chain(titles.iter().map(|title| (title.as_str(), true)));
        let text_of = |passage: &Passage| {
            let text = &documents[passage.document].text;
            format!(
                "{} {}",
                text.title,
                evidence::passage_text(documents, passage)
            )
        };
        Retriever {
            lexicon: Lexicon::new(by_key, names, spread),
            network: Network::new(n_phrases, passages.len(), edges),
            bm25: Bm25::new(passages.iter().map(text_of)),
            passages,
            titles,
            by_id: OnceLock::new(),
        }
    }

    /// The document that a passage belongs to.
    pub(crate) fn document(&self, passage: u32) -> usize {
        self.passages[passage as usize].document
    }

    /// Passages as the graph ranks them, and as plain word search does.
    pub(crate) fn rank(
        &self,
        documents: &[Analysed],
        resolved: &Resolved,
        question: &str,
        near: &[Near],
    ) -> (Ranking, Ranking) {
        let links = self.lexicon.link(question);
        let near = self.numbers(documents, near);
        let (mass, weighed) = self.weigh(question, &links, &near);
        let reader = Reader::new(self, documents, resolved, question, &links, &mass);
        let shown = AskOptions::default().passages;
        (
            weighed.guided(&reader, shown),
            best(&weighed.plain, MOST_PASSAGES),
        )
    }

    /// How much of the walk is at each phrase, and what is known of each passage before it is read.
    fn weigh(&self, question: &str, links: &[Link], near: &[(u32, f32)]) -> (Vec<f32>, Weighed) {
        let plain = self.bm25.scores(question);
        let seeds: Vec<(u32, f32)> = links
            .iter()
            .map(|link| (link.phrase, link.weight))
            .collect();
        let (mass, walked) = if seeds.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            self.network.walk(&seeds)
        };
        let meant = near::portions(self.passages.len(), near);
        (mass, Weighed::new(walked, plain, meant, links))
    }

    pub(crate) fn ask(
        &self,
        documents: &[Analysed],
        resolved: &Resolved,
        question: &str,
        options: &AskOptions,
        near: &[Near],
    ) -> Answer {
        let links = self.lexicon.link(question);
        let near = self.numbers(documents, near);
        let (mass, weighed) = self.weigh(question, &links, &near);
        let reader = Reader::new(self, documents, resolved, question, &links, &mass);
        let mut guided = weighed.guided(&reader, options.passages);
        guided.truncate(options.passages);
        let (guided, triples) = reader.evidence(&guided, options);
        let (plain, _) = reader.evidence(&best(&weighed.plain, options.passages), options);
        let sum: f32 = links.iter().map(|link| link.weight).sum();
        let linked = links.iter().map(|link| Linked {
            span: link.span.clone(),
            entity: self.phrase_name(resolved, link.phrase),
            weight: link.weight / sum,
        });
        let none = if weighed.meant.is_empty() {
            "the question names nothing that is in the graph: this is what plain word search finds"
        } else {
            "the question names nothing that is in the graph: this is what its words and its meaning find"
        };
        Answer {
            question: question.to_owned(),
            fallback: links.is_empty().then(|| none.to_owned()),
            linked: linked.collect(),
            guided,
            plain,
            triples,
        }
    }

    fn phrase_name(&self, resolved: &Resolved, phrase: u32) -> String {
        match resolved.things.get(phrase as usize) {
            Some(thing) => thing.name.clone(),
            None => self
                .titles
                .get(phrase as usize - resolved.things.len())
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Whether a thing is written as names are, with a capital or a digit.
fn is_name(name: &str) -> bool {
    name.chars().any(|c| c.is_uppercase() || c.is_ascii_digit())
}

/// The passages of all documents.
fn passages(documents: &[Analysed]) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for (document, analysed) in documents.iter().enumerate() {
        let mut latest = None;
        for (index, sentence) in analysed.sentences.iter().enumerate() {
            match passages.last_mut() {
                Some(passage) if latest == Some(sentence.passage) => {
                    passage.sentences.end = index + 1;
                }
                _ => passages.push(Passage {
                    document,
                    sentences: index..index + 1,
                }),
            }
            latest = Some(sentence.passage);
        }
    }
    passages
}
