//! Guided retrieval: a question is linked to phrases, a walk from them ranks passages, their best sentences answer.
//!
//! After `HippoRAG` (Gutiérrez et al. 2024), without a model: linking is by names, and the evidence is the answer.

mod bm25;
mod evidence;
mod link;
mod network;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::entity::{Resolved, normal};
use crate::extract::Analysed;
use bm25::{Bm25, best};
pub(crate) use bm25::{is_stop_word, words};
use evidence::Reader;
use link::{Lexicon, Link};
use network::Network;

/// Passages that a ranking goes down to.
const MOST_PASSAGES: usize = 100;
/// How much plain word search counts beside the walk. With more, passages that only lead to the answer fall behind.
const PLAIN_COUNTS: f32 = 0.2;
/// What the edge from a name to its head counts, against 1 for one that a sentence states.
const HEAD_COUNTS: f32 = 0.3;
/// Longest title, in words, that is a phrase of the network.
const TITLE_WORDS: usize = 12;

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
    /// Evidence that the graph led to, best first.
    pub guided: Vec<Evidence>,
    /// Evidence that plain word search (BM25) finds, best first.
    pub plain: Vec<Evidence>,
    /// What the guided evidence states about what the walk visited, best first.
    pub triples: Vec<CitedTriple>,
    /// Why plain word search was used alone, when it was.
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
        for (number, passage) in passages.iter().enumerate() {
            let node = (n_phrases + number) as u32;
            let mut here: BTreeSet<u32> = BTreeSet::new();
            for sentence in passage.sentences.clone() {
                let mentions = documents[passage.document].sentences[sentence]
                    .mentions
                    .len();
                here.extend(
                    (0..mentions).filter_map(|m| resolved.thing(passage.document, sentence, m)),
                );
                edges.extend(sentence_edges(
                    documents,
                    resolved,
                    passage.document,
                    sentence,
                ));
            }
            // A title speaks for its whole document: of a long one each passage has a part of it.
            let part = 1.0 / n_passages_of[passage.document] as f32;
            if let Some(title) = title_of[passage.document] {
                edges.extend(here.iter().map(|&phrase| (title, phrase, part)));
                if !here.contains(&title) {
                    edges.push((title, node, part));
                    spread[title as usize] += 1;
                }
            }
            for phrase in here {
                edges.push((phrase, node, 1.0));
                spread[phrase as usize] += 1;
            }
        }
        edges.extend(heads(resolved));
        by_key.extend(resolved.keys().map(|(key, thing)| (key.to_owned(), thing)));
        let names = resolved
            .things
            .iter()
            .map(|thing| thing.key.as_str())
            .chain(titles.iter().map(String::as_str));
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
        }
    }

    /// The document that a passage belongs to.
    pub(crate) fn document(&self, passage: u32) -> usize {
        self.passages[passage as usize].document
    }

    /// Passages as the graph ranks them, and as plain word search does.
    pub(crate) fn rank(&self, question: &str) -> (Ranking, Ranking) {
        let plain = self.bm25.scores(question);
        let (_, guided) = self.guided(&self.lexicon.link(question), &plain);
        (best(&guided, MOST_PASSAGES), best(&plain, MOST_PASSAGES))
    }

    /// How much of the walk is at each phrase, and the score of each passage; plain words alone without links.
    ///
    /// The walk's part enters by its square root: it falls off by orders of magnitude with each step, and plain words
    /// would decide among all but the first few passages.
    fn guided(&self, links: &[Link], plain: &[f32]) -> (Vec<f32>, Vec<f32>) {
        if links.is_empty() {
            return (Vec::new(), plain.to_vec());
        }
        let seeds: Vec<(u32, f32)> = links
            .iter()
            .map(|link| (link.phrase, link.weight))
            .collect();
        let (phrases, walked) = self.network.walk(&seeds);
        let most = |scores: &[f32]| scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let (most_walked, most_plain) = (most(&walked), most(plain));
        let score = |(walked, plain): (&f32, &f32)| {
            (walked / most_walked).sqrt() + PLAIN_COUNTS * plain / most_plain
        };
        (phrases, walked.iter().zip(plain).map(score).collect())
    }

    pub(crate) fn ask(
        &self,
        documents: &[Analysed],
        resolved: &Resolved,
        question: &str,
        options: &AskOptions,
    ) -> Answer {
        let links = self.lexicon.link(question);
        let plain = self.bm25.scores(question);
        let (mass, guided) = self.guided(&links, &plain);
        let (guided, plain) = (
            best(&guided, options.passages),
            best(&plain, options.passages),
        );
        let reader = Reader::new(
            documents,
            resolved,
            &self.bm25,
            &self.passages,
            question,
            &links,
            &mass,
        );
        let (guided, triples) = reader.evidence(&guided, options);
        let (plain, _) = reader.evidence(&plain, options);
        let sum: f32 = links.iter().map(|link| link.weight).sum();
        let linked = links.iter().map(|link| Linked {
            span: link.span.clone(),
            entity: self.phrase_name(resolved, link.phrase),
            weight: link.weight / sum,
        });
        let none =
            "the question names nothing that is in the graph: this is what plain word search finds";
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

/// The phrase of each document's title: the thing of that name, or a phrase of its own.
fn title_phrases(
    documents: &[Analysed],
    resolved: &Resolved,
) -> (Vec<Option<u32>>, Vec<String>, HashMap<String, u32>) {
    let (mut titles, mut by_key) = (Vec::new(), HashMap::new());
    let mut phrase = |document: &Analysed| {
        let title = &document.text.title;
        let key = normal(title);
        if key.is_empty() || key.split(' ').count() > TITLE_WORDS {
            return None;
        }
        let thing = resolved.find(&key);
        Some(thing.unwrap_or_else(|| {
            *by_key.entry(key).or_insert_with(|| {
                titles.push(title.clone());
                (resolved.things.len() + titles.len() - 1) as u32
            })
        }))
    };
    let title_of = documents.iter().map(&mut phrase).collect();
    (title_of, titles, by_key)
}

/// Edges from names to the longest thing that they end with: `open-domain question answering` is question answering.
fn heads(resolved: &Resolved) -> impl Iterator<Item = (u32, u32, f32)> {
    resolved
        .things
        .iter()
        .enumerate()
        .filter_map(|(index, thing)| {
            let mut ends = thing
                .key
                .match_indices(' ')
                .map(|(space, _)| &thing.key[space + 1..]);
            let head = ends.find_map(|end| resolved.find(end))?;
            Some((index as u32, head, HEAD_COUNTS))
        })
}

/// Edges between the subjects and the objects of a sentence's triples.
fn sentence_edges(
    documents: &[Analysed],
    resolved: &Resolved,
    document: usize,
    sentence: usize,
) -> Vec<(u32, u32, f32)> {
    let thing = |mention: u32| resolved.thing(document, sentence, mention as usize);
    let mut edges = Vec::new();
    for triple in &documents[document].sentences[sentence].triples {
        if let Some(subject) = triple.subject_mention.and_then(thing) {
            edges.extend(
                triple
                    .object_mentions
                    .iter()
                    .filter_map(|&m| thing(m))
                    .map(|object| (subject, object, 1.0)),
            );
        }
    }
    edges
}
