//! Plain word search: Okapi BM25 over stems (Robertson and Zaragoza 2009).

use std::collections::{BTreeSet, HashMap};

use rust_stemmers::{Algorithm, Stemmer};

/// Saturation of a word's count in a passage.
const K1: f32 = 1.2;
/// How much a passage's length counts.
const B: f32 = 0.75;

/// Words of English that say nothing about a subject.
const STOP: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his",
    "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "might", "my", "no", "not",
    "of", "on", "or", "our", "s", "shall", "she", "should", "some", "such", "t", "than", "that",
    "the", "their", "them", "there", "these", "they", "this", "those", "to", "us", "was", "we",
    "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with",
    "would", "you", "your",
];

/// Whether a word in small letters says nothing about a subject.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// Cuts text into stems, remembering those it has seen.
pub(crate) struct Stems {
    stemmer: Stemmer,
    seen: HashMap<String, Option<String>>,
}

impl Stems {
    pub(crate) fn new() -> Stems {
        Stems {
            stemmer: Stemmer::create(Algorithm::English),
            seen: HashMap::new(),
        }
    }

    /// The stem of a word; nothing for a stop word.
    pub(crate) fn stem(&mut self, word: &str) -> Option<&str> {
        if !self.seen.contains_key(word) {
            let small = word.to_lowercase();
            let stem = (!is_stop_word(&small)).then(|| self.stemmer.stem(&small).into_owned());
            self.seen.insert(word.to_owned(), stem);
        }
        self.seen.get(word).and_then(Option::as_deref)
    }
}

/// The words of a text with their places, in bytes.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let apart = |c: char| !c.is_alphanumeric();
    let base = text.as_ptr() as usize;
    text.split(apart)
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - base, word))
}

/// Where each stem occurs.
#[derive(Debug, Default)]
pub(crate) struct Bm25 {
    /// For each stem, passages and counts.
    postings: HashMap<String, Vec<(u32, u32)>>,
    lengths: Vec<u32>,
    mean_length: f32,
}

impl Bm25 {
    pub(crate) fn new<'a>(passages: impl Iterator<Item = String> + 'a) -> Bm25 {
        let mut stems = Stems::new();
        let mut index = Bm25::default();
        for (number, passage) in passages.enumerate() {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            let mut length = 0;
            for (_, word) in words(&passage) {
                if stems.stem(word).is_some() {
                    *counts.entry(word).or_default() += 1;
                    length += 1;
                }
            }
            let mut by_stem: HashMap<String, u32> = HashMap::new();
            for (word, count) in counts {
                if let Some(stem) = stems.stem(word) {
                    *by_stem.entry(stem.to_owned()).or_default() += count;
                }
            }
            for (stem, count) in by_stem {
                index
                    .postings
                    .entry(stem)
                    .or_default()
                    .push((number as u32, count));
            }
            index.lengths.push(length);
        }
        let sum: u64 = index.lengths.iter().map(|&length| u64::from(length)).sum();
        index.mean_length = (sum as f32 / index.lengths.len().max(1) as f32).max(1.0);
        index
    }

    /// How telling a stem is: the rarer, the more.
    pub(crate) fn idf(&self, stem: &str) -> f32 {
        self.rarity(self.postings.get(stem).map_or(0, Vec::len) as u32)
    }

    /// The same of something that is in `n_with` passages.
    pub(crate) fn rarity(&self, n_with: u32) -> f32 {
        // A title can be counted in more passages than there are with text.
        let n_without = (self.lengths.len() as f32 - n_with as f32).max(0.0);
        (1.0 + (n_without + 0.5) / (n_with as f32 + 0.5)).ln()
    }

    /// The score of every passage.
    pub(crate) fn scores(&self, question: &str) -> Vec<f32> {
        let mut stems = Stems::new();
        let wanted: BTreeSet<String> = words(question)
            .filter_map(|(_, word)| stems.stem(word).map(str::to_owned))
            .collect();
        let mut scores = vec![0.0; self.lengths.len()];
        for stem in &wanted {
            let idf = self.idf(stem);
            for &(passage, count) in self.postings.get(stem).map_or(&[][..], Vec::as_slice) {
                let (count, length) = (count as f32, self.lengths[passage as usize] as f32);
                let norm = K1 * (1.0 - B + B * length / self.mean_length);
                scores[passage as usize] += idf * count * (K1 + 1.0) / (count + norm);
            }
        }
        scores
    }
}

/// Numbers of the passages with a score above zero, best first, at most `most`; equal scores go by number.
pub(crate) fn best(scores: &[f32], most: usize) -> Vec<(u32, f32)> {
    let mut ranked: Vec<(u32, f32)> = scores
        .iter()
        .enumerate()
        .filter(|(_, s)| **s > 0.0)
        .map(|(i, s)| (i as u32, *s))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(most);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_for_the_search() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn rare_words_count_more_and_stems_meet() {
        let passages = [
            "the graphs of a city",
            "a city and a city",
            "graph graph of nothing much",
        ];
        let index = Bm25::new(passages.iter().map(|p| (*p).to_owned()));
        let ranked = |question| {
            best(&index.scores(question), 9)
                .into_iter()
                .map(|(p, _)| p)
                .collect::<Vec<_>>()
        };
        assert_eq!(ranked("graphing"), [2, 0]);
        assert_eq!(ranked("Which cities?"), [1, 0]);
        assert!(ranked("of the").is_empty());
        assert!(index.idf("much") > index.idf("graph"));
    }
}
