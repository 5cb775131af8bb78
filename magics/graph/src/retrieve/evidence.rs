//! From ranked passages to evidence: the sentences that have most to do with the question, and what they state.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use super::asked::{Asked, Score};
use super::bm25::{Stems, words};
use super::link::Link;
use super::{AskOptions, CitedTriple, Evidence, EvidenceSentence, Passage, Retriever};
use crate::entity::{Resolved, telling};
use crate::extract::{Analysed, Sentence, Triple};

/// Sentences with less than this share of the best one's score are left out.
const WORTH_SHOWING: f32 = 0.35;
/// Words of a cited object, at most.
const OBJECT_WORDS: usize = 14;

/// Reads passages with a question in mind.
pub(super) struct Reader<'a> {
    documents: &'a [Analysed],
    resolved: &'a Resolved,
    passages: &'a [Passage],
    /// Stems of the question.
    wanted: BTreeSet<String>,
    asked: Asked,
    /// Stems of the words that were read so far.
    stems: RefCell<Stems>,
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
        retriever: &'a Retriever,
        documents: &'a [Analysed],
        resolved: &'a Resolved,
        question: &str,
        links: &[Link],
        mass: &'a [f32],
    ) -> Reader<'a> {
        let (lexicon, bm25) = (&retriever.lexicon, &retriever.bm25);
        let mut stems = Stems::new();
        let wanted = words(question).filter_map(|(_, word)| stems.stem(word).map(str::to_owned));
        Reader {
            documents,
            resolved,
            passages: &retriever.passages,
            wanted: wanted.collect(),
            asked: Asked::new(question, links, resolved, lexicon, bm25),
            stems: RefCell::new(stems),
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
            .zip(self.scores(passage))
            .map(|(sentence, score)| (score.said, sentence))
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

    /// How well the best sentence of a passage answers, and whether one states all that is asked for.
    pub(super) fn best_score(&self, passage: u32) -> Score {
        let scores = self.scores(&self.passages[passage as usize]);
        let both = |a: Score, b: Score| Score {
            said: a.said.max(b.said),
            stated: a.stated || b.stated,
        };
        scores.into_iter().fold(Score::default(), both)
    }

    fn scores(&self, passage: &Passage) -> Vec<Score> {
        self.asked.scores(
            passage.document,
            passage.sentences.clone(),
            self.documents,
            self.resolved,
            &mut self.stems.borrow_mut(),
        )
    }

    fn text(&self, document: usize, sentence: usize) -> &'a str {
        let document = &self.documents[document];
        let span = &document.sentences[sentence].span;
        &document.text.body[span.start as usize..span.end as usize]
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
        let mut stems = self.stems.borrow_mut();
        let mut marked: Vec<Range<usize>> = words(text)
            .filter(|(_, word)| {
                stems
                    .stem(word)
                    .is_some_and(|stem| self.wanted.contains(stem))
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
