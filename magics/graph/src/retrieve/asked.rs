//! What a question asks for, and how much of that a sentence says.

use std::collections::BTreeSet;

use super::bm25::{Bm25, Stems, words};
use super::link::{Lexicon, Link};
use crate::entity::Resolved;
use crate::extract::{Analysed, Sentence, Triple};

/// What an aspect counts for a sentence when only another sentence of its passage speaks of it: half, since a text
/// names its subject once and goes on with `it`, but whoever names it again says more about it.
const CONTEXT_COUNTS: f32 = 0.5;
/// What is left of the score of a heading, which announces what is not yet said.
const HEADING_COUNTS: f32 = 0.3;
/// Share of all weights that is all of them: sums of fractions need not be exact.
const WHOLE: f32 = 0.999;
/// Longest heading in words.
const HEADING_WORDS: usize = 14;

/// How well a sentence answers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Score {
    /// How much it says of what is asked for.
    pub(super) said: f32,
    /// Whether one of its triples speaks of all that is asked for, which is more than one thing.
    pub(super) stated: bool,
}

/// A question, taken apart into things that are linked and words that are left.
#[derive(Debug)]
pub(super) struct Asked {
    aspects: Vec<Aspect>,
}

/// A thing or a word of a question.
#[derive(Debug)]
struct Aspect {
    /// How telling it is: the fewer passages speak of it, the more.
    weight: f32,
    /// The thing, and those whose names hold its name: `biomedical question answering` is question answering.
    things: BTreeSet<u32>,
    /// Its words with their parts of the weight, which sum to 1.
    stems: Vec<(String, f32)>,
}

impl Asked {
    pub(super) fn new(
        question: &str,
        links: &[Link],
        resolved: &Resolved,
        lexicon: &Lexicon,
        bm25: &Bm25,
    ) -> Asked {
        let mut stems = Stems::new();
        let placed: Vec<(usize, String)> = words(question)
            .filter_map(|(at, word)| Some((at, stems.stem(word)?.to_owned())))
            .collect();
        // Parts of names are guesses: their words count, not what they were linked to.
        let is_thing = |link: &&Link| link.whole && (link.phrase as usize) < resolved.things.len();
        let mut seen: BTreeSet<(Option<u32>, Vec<&str>)> = BTreeSet::new();
        let mut aspects = Vec::new();
        for link in links.iter().filter(is_thing) {
            let own = placed.iter().filter(|(at, _)| link.span.contains(at));
            let own: BTreeSet<&str> = own.map(|(_, stem)| stem.as_str()).collect();
            if seen.insert((Some(link.phrase), own.iter().copied().collect())) {
                let key = &resolved.things[link.phrase as usize].key;
                let holders = lexicon.with_words(key);
                aspects.push(Aspect {
                    weight: bm25.rarity(lexicon.spread(link.phrase)),
                    things: holders.chain([link.phrase]).collect(),
                    stems: parts(&own, bm25),
                });
            }
        }
        for (at, stem) in &placed {
            let linked = links
                .iter()
                .filter(is_thing)
                .any(|link| link.span.contains(at));
            if !linked && seen.insert((None, vec![stem])) {
                aspects.push(Aspect {
                    weight: bm25.idf(stem),
                    things: BTreeSet::new(),
                    stems: vec![(stem.clone(), 1.0)],
                });
            }
        }
        Asked { aspects }
    }

    /// How well each sentence of a passage answers: what it says of the question, and what one of its triples says of
    /// it at once. `NVIDIA was founded by …` holds both of `NVIDIA` and `founded` in a triple; a sentence that says
    /// where NVIDIA's chips come from, and who founded that company, does not.
    pub(super) fn scores(
        &self,
        document: usize,
        sentences: std::ops::Range<usize>,
        documents: &[Analysed],
        resolved: &Resolved,
        stems: &mut Stems,
    ) -> Vec<Score> {
        let body = documents[document].text.body.as_str();
        let all = &documents[document].sentences;
        let thing = |sentence: usize, mention: usize| resolved.thing(document, sentence, mention);
        let covers: Vec<Vec<f32>> = sentences
            .clone()
            .map(|sentence| {
                let things = (0..all[sentence].mentions.len()).filter_map(|m| thing(sentence, m));
                self.cover(
                    &things.collect(),
                    &self.stems_of([text(body, &all[sentence])], stems),
                )
            })
            .collect();
        let around = |aspect: usize| covers.iter().map(|cover| cover[aspect]).fold(0.0, f32::max);
        let around: Vec<f32> = (0..self.aspects.len()).map(around).collect();
        let whole: f32 = self.aspects.iter().map(|aspect| aspect.weight).sum();
        let mut scores = Vec::with_capacity(covers.len());
        for (sentence, cover) in sentences.zip(&covers) {
            let weighed = self.aspects.iter().zip(cover).zip(&around);
            let said: f32 = weighed
                .map(|((aspect, own), around)| aspect.weight * own.max(CONTEXT_COUNTS * around))
                .sum();
            let stated = all[sentence].triples.iter().map(|triple| {
                let mentions = triple.subject_mention.iter().chain(&triple.object_mentions);
                let things = mentions.filter_map(|&m| thing(sentence, m as usize));
                let stems = self.stems_of(parts_of(body, triple), stems);
                let cover = self.cover(&things.collect(), &stems);
                let weighed = self.aspects.iter().zip(&cover);
                weighed.map(|(aspect, own)| aspect.weight * own).sum()
            });
            let stated = stated.fold(0.0, f32::max);
            let heading = is_heading(text(body, &all[sentence]));
            scores.push(Score {
                said: (said + stated) * if heading { HEADING_COUNTS } else { 1.0 },
                stated: self.aspects.len() > 1 && stated >= WHOLE * whole,
            });
        }
        scores
    }

    /// The stems of a text that the question has.
    fn stems_of<const N: usize>(&self, texts: [&str; N], stems: &mut Stems) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (_, word) in texts.into_iter().flat_map(words) {
            let Some(stem) = stems.stem(word) else {
                continue;
            };
            let own = self.aspects.iter().flat_map(|aspect| &aspect.stems);
            found.extend(own.map(|(own, _)| own.as_str()).find(|own| *own == stem));
        }
        found
    }

    /// How much of each aspect there is, from 0 to 1, in what speaks of these things with these words.
    fn cover(&self, things: &BTreeSet<u32>, stems: &BTreeSet<&str>) -> Vec<f32> {
        let cover = |aspect: &Aspect| {
            if !aspect.things.is_disjoint(things) {
                return 1.0;
            }
            let shared = aspect
                .stems
                .iter()
                .filter(|(stem, _)| stems.contains(stem.as_str()));
            shared.map(|(_, part)| part).sum()
        };
        self.aspects.iter().map(cover).collect()
    }
}

/// Stems with their parts of what all of them weigh.
fn parts(stems: &BTreeSet<&str>, bm25: &Bm25) -> Vec<(String, f32)> {
    let sum: f32 = stems.iter().map(|stem| bm25.idf(stem)).sum();
    let part = |stem: &&str| ((*stem).to_owned(), bm25.idf(stem) / sum);
    stems.iter().map(part).collect()
}

fn text<'a>(body: &'a str, sentence: &Sentence) -> &'a str {
    &body[sentence.span.start as usize..sentence.span.end as usize]
}

/// What a triple says: subject, relation and object.
fn parts_of<'a>(body: &'a str, triple: &'a Triple) -> [&'a str; 3] {
    let part = |span: &crate::extract::Span| &body[span.start as usize..span.end as usize];
    [
        part(&triple.subject),
        &triple.relation,
        part(&triple.object),
    ]
}

/// Whether a sentence is a heading: short, and without a sentence's end.
fn is_heading(sentence: &str) -> bool {
    let ends = sentence
        .trim_end_matches(['"', '”', '’', '\'', ')', ']'])
        .ends_with(['.', '!', '?', ':', ';']);
    !ends && sentence.split_whitespace().count() <= HEADING_WORDS
}
