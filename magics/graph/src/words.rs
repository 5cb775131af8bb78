//! What texts are about, at a glance: words and phrases with weights, and places for them without overlap.

mod place;

use std::collections::{BTreeMap, BTreeSet};

use mlk8s_corpus::sentences;
use rayon::prelude::*;

pub use place::{PlacedWord, place};

use crate::entity::{normal, telling};
use crate::retrieve::is_stop_word;

/// Words that a phrase may have.
const MOST_WORDS: usize = 3;
/// What a phrase counts for each word after its first.
const PHRASE_COUNTS: f32 = 0.6;
/// Share of a word's occurrences inside one phrase from which the word alone is left out.
const INSIDE: f32 = 0.5;

#[derive(Debug, Clone, Default)]
struct Tally {
    n: u32,
    n_texts: u32,
    surfaces: BTreeMap<String, u32>,
}

/// The weightiest names and phrases of texts, weightiest first.
///
/// A weight grows with how often and in how few of the texts a phrase occurs (tf·idf, damped so that the subject of all
/// texts still shows), and with its length. Words that mostly occur inside a heavier phrase are left out.
pub fn weights<T: AsRef<str> + Sync>(texts: &[T]) -> Vec<(String, f32)> {
    let counted: Vec<BTreeMap<String, Tally>> =
        texts.par_iter().map(|text| count(text.as_ref())).collect();
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (key, tally) in counted.into_iter().flatten() {
        let sum = tallies.entry(key).or_default();
        sum.n += tally.n;
        sum.n_texts += 1;
        for (surface, n) in tally.surfaces {
            *sum.surfaces.entry(surface).or_default() += n;
        }
    }
    let least = if texts.len() > 1 || tallies.values().any(|t| t.n > 1) {
        2
    } else {
        1
    };
    let weight = |key: &str, tally: &Tally| {
        let idf = (1.0 + texts.len() as f32 / tally.n_texts as f32)
            .ln()
            .sqrt();
        let length = key.split(' ').count() - 1;
        tally.n as f32 * idf * (1.0 + PHRASE_COUNTS * length as f32)
    };
    let mut ranked: Vec<(&String, f32)> = tallies
        .iter()
        .filter(|(_, tally)| tally.n >= least)
        .map(|(key, tally)| (key, weight(key, tally)))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut swallowed: BTreeSet<&str> = BTreeSet::new();
    for (key, _) in &ranked {
        let n = tallies[*key].n as f32;
        for word in key.split(' ').filter(|_| key.contains(' ')) {
            if tallies
                .get(word)
                .is_some_and(|alone| n >= INSIDE * alone.n as f32)
            {
                swallowed.insert(word);
            }
        }
    }
    let kept = ranked
        .iter()
        .filter(|(key, _)| !swallowed.contains(key.as_str()));
    kept.map(|(key, weight)| (surface(&tallies[*key]), *weight))
        .collect()
}

/// The phrases of one text by normal form; a phrase of more than three words counts as its last three.
fn count(text: &str) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for range in sentences(text) {
        for mention in mlk8s_openie::analyse(&text[range]).mentions {
            let words: Vec<&str> = mention.name.split_whitespace().collect();
            let name = words[words.len().saturating_sub(MOST_WORDS)..].join(" ");
            let key = normal(&name);
            let plain = key.chars().all(|c| c.is_alphanumeric() || c == ' ');
            let worded = key
                .split(' ')
                .all(|word| word.chars().any(char::is_alphabetic) && !is_stop_word(word));
            if plain && worded && key.chars().count() > 2 && telling(&key) {
                let tally = tallies.entry(key).or_default();
                tally.n += 1;
                *tally.surfaces.entry(name).or_default() += 1;
            }
        }
    }
    tallies
}

/// The most frequent way of writing, small letters first.
fn surface(tally: &Tally) -> String {
    let small = |text: &str| text.chars().filter(|c| c.is_lowercase()).count();
    let best = tally.surfaces.iter().max_by(|a, b| {
        a.1.cmp(b.1)
            .then(small(a.0).cmp(&small(b.0)))
            .then(b.0.cmp(a.0))
    });
    best.map(|(surface, _)| surface.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_come_before_their_words() {
        let text = "The knowledge graph holds facts. A knowledge graph is large. Every knowledge graph has nodes.";
        let weights = weights(&[text]);
        assert_eq!(weights[0].0, "knowledge graph");
        assert!(
            weights
                .iter()
                .all(|(word, _)| word != "graph" && word != "the"),
            "{weights:?}"
        );
    }

    #[test]
    fn no_text_has_no_words() {
        assert!(weights::<&str>(&[]).is_empty());
        assert!(weights(&["", "of the and"]).is_empty());
    }
}
