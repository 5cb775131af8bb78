//! Word classes by averaged perceptron, from left to right.
//!
//! M. Collins, "Discriminative training methods for hidden Markov models", EMNLP 2002, decoded greedily; cost is
//! linear in the number of words.

use std::sync::LazyLock;

use crate::features::{Look, N_FEATURES, N_STATIC, static_keys, tag_keys};
use crate::model::{Model, ModelError, N_SCORES, Scores, Weights};
use crate::tag::{Class, N_CLASSES, Tag};

/// Stands for the tag before the first word.
pub(crate) const NO_TAG: u32 = 31;

/// The class of a word, and how far the score of a finite verb stays behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judgement {
    pub(crate) class: Class,
    pub(crate) verb_gap: i32,
}

/// Gives each word of a sentence its class.
#[derive(Debug, Clone)]
pub struct Tagger {
    model: Model,
}

impl Tagger {
    /// The tagger that comes with the crate, trained on the English Web Treebank.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Tagger> = LazyLock::new(|| {
            Tagger::from_bytes(include_bytes!("../model/tagger.bin")).unwrap_or(Tagger {
                model: Model::new(&Weights::default()),
            })
        });
        &EMBEDDED
    }

    /// A tagger from the bytes of a model file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        Ok(Self {
            model: Model::new(&Weights::from_bytes(bytes)?),
        })
    }

    /// One tag for each word.
    pub fn tag(&self, words: &[&str]) -> Vec<Tag> {
        self.classes(words)
            .into_iter()
            .map(|judgement| judgement.class.tag())
            .collect()
    }

    /// One class for each word: its tag and, for a verb, its form.
    pub(crate) fn classes(&self, words: &[&str]) -> Vec<Judgement> {
        let looks = self.looks(words);
        let mut judgements: Vec<Judgement> = Vec::with_capacity(words.len());
        let mut keys = [0; N_FEATURES];
        let (mut before, mut before2) = (NO_TAG, NO_TAG);
        for i in 0..words.len() {
            static_keys(&looks, i, &mut keys);
            tag_keys(&looks, i, before, before2, &mut keys);
            let mut scores = [0; N_SCORES];
            for &key in &keys {
                self.model.add(key, &mut scores);
            }
            let best = best(&scores);
            let verb_gap = scores[usize::from(best)] - scores[Tag::Verb as usize];
            judgements.push(Judgement {
                class: Class(best),
                verb_gap,
            });
            (before2, before) = (before, u32::from(best));
        }
        judgements
    }

    fn looks(&self, words: &[&str]) -> Vec<Look> {
        let mut room = Vec::with_capacity(16);
        let look = |word: &&str| Look::of(word, &mut room, |key| self.model.lexicon(key));
        words.iter().map(look).collect()
    }
}

/// The class with the highest score; the first of equals.
fn best(scores: &Scores) -> u8 {
    let mut best = 0;
    for (class, &score) in scores[..N_CLASSES].iter().enumerate() {
        if score > scores[best] {
            best = class;
        }
    }
    best as u8
}

const _: () = assert!(N_STATIC < N_FEATURES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tagger_knows_english() {
        let words: Vec<&str> = "In 1898 Marie Curie discovered a new element ."
            .split(' ')
            .collect();
        let names: Vec<&str> = Tagger::embedded()
            .tag(&words)
            .into_iter()
            .map(Tag::name)
            .collect();
        assert_eq!(
            names.join(" "),
            "ADP NUM PROPN PROPN VERB DET ADJ NOUN PUNCT"
        );
    }

    #[test]
    fn no_words_no_tags() {
        assert!(Tagger::embedded().tag(&[]).is_empty());
    }
}
