//! From ranked passages to evidence: the sentences that have most to do with the question, and what they state.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use super::bm25::{Bm25, Stems, words};
use super::link::Link;
use super::{AskOptions, CitedTriple, Evidence, EvidenceSentence, Passage};
use crate::entity::{Resolved, telling};
use crate::extract::{Analysed, Sentence, Triple};

/// What a linked entity in a sentence counts, against the rarity of a shared word.
const LINKED_COUNTS: f32 = 3.0;
/// What a sentence's part of the walk counts.
const MASS_COUNTS: f32 = 2.0;
/// What a triple about a linked entity counts: as its subject, and in its object.
const TRIPLE_COUNTS: (f32, f32) = (2.0, 1.0);
/// What is left of the score of a heading, which announces what is not yet said.
const HEADING_COUNTS: f32 = 0.3;
/// Longest heading in words.
const HEADING_WORDS: usize = 14;
/// Sentences with less than this share of the best one's score are left out.
const WORTH_SHOWING: f32 = 0.35;
/// Words of a cited object, at most.
const OBJECT_WORDS: usize = 14;

/// Reads passages with a question in mind.
pub(super) struct Reader<'a> {
    documents: &'a [Analysed],
    resolved: &'a Resolved,
    bm25: &'a Bm25,
    passages: &'a [Passage],
    /// Stems of the question with their rarity.
    wanted: HashMap<String, f32>,
    linked: BTreeSet<u32>,
    /// How much of the walk is at each phrase; empty when there was none.
    mass: &'a [f32],
    most_mass: f32,
}

/// A triple that may be cited.
struct Candidate {
    score: f32,
    triple: CitedTriple,
    /// Which evidence and which of the document's sentences states it.
    place: (usize, usize),
}

/// The text of a passage.
pub(super) fn passage_text<'a>(documents: &'a [Analysed], passage: &Passage) -> &'a str {
    let document = &documents[passage.document];
    let sentences = &document.sentences[passage.sentences.clone()];
    match (sentences.first(), sentences.last()) {
        (Some(first), Some(last)) => {
            &document.text.body[first.span.start as usize..last.span.end as usize]
        }
        _ => "",
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        documents: &'a [Analysed],
        resolved: &'a Resolved,
        bm25: &'a Bm25,
        passages: &'a [Passage],
        question: &str,
        links: &[Link],
        mass: &'a [f32],
    ) -> Reader<'a> {
        let mut stems = Stems::new();
        let stems = words(question).filter_map(|(_, word)| stems.stem(word).map(str::to_owned));
        let stems: BTreeSet<String> = stems.collect();
        Reader {
            documents,
            resolved,
            bm25,
            passages,
            wanted: stems
                .into_iter()
                .map(|stem| (stem.clone(), bm25.idf(&stem)))
                .collect(),
            linked: links.iter().map(|link| link.phrase).collect(),
            mass,
            most_mass: mass.iter().copied().fold(f32::MIN_POSITIVE, f32::max),
        }
    }

    /// The best passages as evidence, and the triples they state about what the walk visited.
    pub(super) fn evidence(
        &self,
        ranked: &[(u32, f32)],
        options: &AskOptions,
    ) -> (Vec<Evidence>, Vec<CitedTriple>) {
        let best = ranked.first().map_or(1.0, |(_, score)| *score);
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut chosen: Vec<Vec<usize>> = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        for (number, &(passage, score)) in ranked.iter().take(options.passages).enumerate() {
            let passage = &self.passages[passage as usize];
            let text = &self.documents[passage.document].text;
            let sentences = self.best_sentences(passage, options.sentences);
            for &sentence in &sentences {
                self.candidates(passage.document, sentence, number, &mut candidates);
            }
            evidence.push(Evidence {
                citation: number + 1,
                document: text.id.clone(),
                title: text.title.clone(),
                source: PathBuf::from(&text.source),
                sentences: sentences
                    .iter()
                    .map(|&s| self.shown(passage.document, s))
                    .collect(),
                score: score / best,
            });
            chosen.push(sentences);
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
        let mut triples: Vec<CitedTriple> = Vec::new();
        for candidate in candidates {
            let (number, sentence) = candidate.place;
            let known = |t: &CitedTriple| {
                (&t.subject, &t.relation, &t.object)
                    == (
                        &candidate.triple.subject,
                        &candidate.triple.relation,
                        &candidate.triple.object,
                    )
            };
            let index = match triples.iter().position(known) {
                Some(index) => index,
                None if triples.len() < options.triples => {
                    triples.push(candidate.triple);
                    triples.len() - 1
                }
                None => continue,
            };
            if let Some(at) = chosen[number].iter().position(|&s| s == sentence) {
                evidence[number].sentences[at].triples.push(index);
            }
        }
        (evidence, triples)
    }

    /// The sentences of a passage that have most to do with the question, in order of the text.
    fn best_sentences(&self, passage: &Passage, most: usize) -> Vec<usize> {
        let mut ranked: Vec<(f32, usize)> = passage
            .sentences
            .clone()
            .map(|sentence| (self.score(passage.document, sentence), sentence))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let least = ranked
            .first()
            .map_or(0.0, |(score, _)| score * WORTH_SHOWING);
        let mut best: Vec<usize> = ranked
            .into_iter()
            .take(most.max(1))
            .filter(|(score, _)| *score >= least)
            .map(|(_, s)| s)
            .collect();
        best.sort_unstable();
        best
    }

    fn score(&self, document: usize, sentence: usize) -> f32 {
        let mut stems = Stems::new();
        let shared: BTreeSet<String> = words(self.text(document, sentence))
            .filter_map(|(_, word)| {
                stems
                    .stem(word)
                    .filter(|stem| self.wanted.contains_key(*stem))
                    .map(str::to_owned)
            })
            .collect();
        let things = self.things(document, sentence);
        let linked = things.intersection(&self.linked).count() as f32;
        let visited: f32 = things
            .iter()
            .map(|&thing| self.share(thing))
            .fold(0.0, f32::max);
        let here = &self.documents[document].sentences[sentence];
        let about = |mention: &u32| {
            self.resolved
                .thing(document, sentence, *mention as usize)
                .is_some_and(|t| self.linked.contains(&t))
        };
        let stated = here.triples.iter().map(|triple| {
            let subject = triple.subject_mention.as_ref().is_some_and(about);
            let object = triple.object_mentions.iter().any(about);
            if subject {
                TRIPLE_COUNTS.0
            } else {
                f32::from(u8::from(object)) * TRIPLE_COUNTS.1
            }
        });
        let score = shared.iter().map(|stem| self.bm25.idf(stem)).sum::<f32>()
            + LINKED_COUNTS * linked
            + MASS_COUNTS * visited
            + stated.fold(0.0, f32::max);
        if is_heading(self.text(document, sentence)) {
            HEADING_COUNTS * score
        } else {
            score
        }
    }

    fn text(&self, document: usize, sentence: usize) -> &'a str {
        let document = &self.documents[document];
        let span = &document.sentences[sentence].span;
        &document.text.body[span.start as usize..span.end as usize]
    }

    fn things(&self, document: usize, sentence: usize) -> BTreeSet<u32> {
        let n_mentions = self.documents[document].sentences[sentence].mentions.len();
        (0..n_mentions)
            .filter_map(|mention| self.resolved.thing(document, sentence, mention))
            .collect()
    }

    /// How much of the walk is at a thing, against where there is most.
    fn share(&self, thing: u32) -> f32 {
        self.mass
            .get(thing as usize)
            .map_or(0.0, |mass| mass / self.most_mass)
    }

    fn shown(&self, document: usize, sentence: usize) -> EvidenceSentence {
        let text = self.text(document, sentence);
        let here: &Sentence = &self.documents[document].sentences[sentence];
        let base = here.span.start;
        let mut stems = Stems::new();
        let mut marked: Vec<Range<usize>> = words(text)
            .filter(|(_, word)| {
                stems
                    .stem(word)
                    .is_some_and(|stem| self.wanted.contains_key(stem))
            })
            .map(|(at, word)| at..at + word.len())
            .collect();
        for (nth, mention) in here.mentions.iter().enumerate() {
            let thing = self.resolved.thing(document, sentence, nth);
            if thing.is_some_and(|thing| self.linked.contains(&thing)) {
                marked
                    .push((mention.span.start - base) as usize..(mention.span.end - base) as usize);
            }
        }
        EvidenceSentence {
            text: text.to_owned(),
            start: here.span.start as usize,
            end: here.span.end as usize,
            marked: joined(marked),
            triples: Vec::new(),
        }
    }

    fn candidates(
        &self,
        document: usize,
        sentence: usize,
        number: usize,
        into: &mut Vec<Candidate>,
    ) {
        let thing = |mention: u32| self.resolved.thing(document, sentence, mention as usize);
        for triple in &self.documents[document].sentences[sentence].triples {
            let Some(subject) = triple.subject_mention.and_then(thing) else {
                continue;
            };
            let objects: Vec<u32> = triple
                .object_mentions
                .iter()
                .filter_map(|&mention| thing(mention))
                .collect();
            let weight = |thing: u32| {
                self.share(thing)
                    + if self.linked.contains(&thing) {
                        1.0
                    } else {
                        0.0
                    }
            };
            let reached = objects
                .iter()
                .map(|&object| weight(object))
                .fold(0.0, f32::max);
            let about = &self.resolved.things[subject as usize];
            if objects.is_empty() || !telling(&about.key) {
                continue;
            }
            into.push(Candidate {
                score: (weight(subject) + reached) * triple.confidence,
                triple: CitedTriple {
                    subject: about.name.clone(),
                    relation: triple.relation.clone(),
                    object: self.object(document, triple),
                    citation: number + 1,
                },
                place: (number, sentence),
            });
        }
    }

    /// The object in the words of its sentence, cut when it is long.
    fn object(&self, document: usize, triple: &Triple) -> String {
        let text = &self.documents[document].text.body
            [triple.object.start as usize..triple.object.end as usize];
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let cut = words.len() > OBJECT_WORDS;
        words.truncate(OBJECT_WORDS);
        let mut object = words.join(" ");
        if cut {
            object.push('…');
        }
        object
    }
}

/// Whether a sentence is a heading: short, and without a sentence's end.
fn is_heading(sentence: &str) -> bool {
    let ends = sentence
        .trim_end_matches(['"', '”', '’', '\'', ')', ']'])
        .ends_with(['.', '!', '?', ':', ';']);
    !ends && sentence.split_whitespace().count() <= HEADING_WORDS
}

/// The ranges in order, those that overlap as one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn overlapping_marks_become_one() {
        assert_eq!(
            joined(vec![5..9, 0..2, 7..12, 12..13, 20..21]),
            [0..2, 5..13, 20..21]
        );
    }
}
