//! Training of the tagger: averaged perceptron, then pruning and training again with the features that are left.

use std::collections::BTreeMap;

use crate::features::{KEY_BITS, Look, N_FEATURES, N_STATIC, static_keys, tag_keys};
use crate::model::{Row, WEIGHT_BITS, Weights};
use crate::tag::{Class, N_CLASSES, Tag};
use crate::tagger::NO_TAG;

/// A sentence of a treebank.
#[derive(Debug, Clone, Default)]
pub struct TaggedSentence {
    /// Its words
    pub words: Vec<String>,
    classes: Vec<Class>,
}

impl TaggedSentence {
    /// Adds a word with its universal and its Penn tag; false when there is no such universal tag.
    pub fn push(&mut self, word: &str, universal: &str, penn: &str) -> bool {
        let Some(tag) = Tag::from_name(universal) else {
            return false;
        };
        self.words.push(word.to_owned());
        self.classes.push(Class::of(tag, penn));
        true
    }

    /// The universal tag of each word.
    pub fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.classes.iter().map(|class| class.tag())
    }
}

/// How to train.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Passes over the treebank before and after pruning
    pub n_epochs: usize,
    /// Seed of the order of sentences
    pub seed: u64,
    /// Features seen less often are left out
    pub min_count: u32,
    /// Words seen less often are not in the lexicon
    pub min_word_count: u32,
    /// Bytes the model may have
    pub max_bytes: usize,
    /// Weights are stored as multiples of this
    pub step: f32,
    /// The right class must lead by this much, or the weights are corrected
    pub margin: f32,
    /// How often a word is made unknown while learning, so that endings and neighbours are learnt too
    pub veil: f32,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            n_epochs: 10,
            seed: 7,
            min_count: 1,
            min_word_count: 3,
            max_bytes: 400 << 10,
            step: 1.0,
            margin: 12.0,
            veil: 0.15,
        }
    }
}

/// Trains a tagger and returns the bytes of its model file; `progress` hears each pass's share of right words.
pub fn train(
    sentences: &[TaggedSentence],
    recipe: &Recipe,
    progress: &mut dyn FnMut(&str),
) -> Vec<u8> {
    let lexicon = lexicon(sentences, recipe.min_word_count);
    let mut trainer = Trainer::new(sentences, &lexicon, recipe);
    progress(&format!("{} features", trainer.keys.len()));
    trainer.epochs(recipe, progress);
    let mut threshold = recipe.step;
    loop {
        let mut pruned = trainer.pruned(threshold);
        let bytes = pruned.weights(lexicon.clone(), recipe.step).to_bytes();
        if bytes.len() > recipe.max_bytes {
            threshold *= (bytes.len() as f32 / recipe.max_bytes as f32).clamp(1.01, 2.0);
            continue;
        }
        progress(&format!(
            "threshold {threshold}: {} bytes before training again",
            bytes.len()
        ));
        pruned.epochs(recipe, progress);
        let weights = pruned.weights(lexicon.clone(), recipe.step);
        let bytes = weights.to_bytes();
        progress(&format!(
            "{} features, {} bytes",
            weights.rows.len(),
            bytes.len()
        ));
        if bytes.len() <= recipe.max_bytes {
            return bytes;
        }
        threshold *= (bytes.len() as f32 / recipe.max_bytes as f32).clamp(1.01, 2.0);
    }
}

/// The classes each frequent word was seen with; a class counts from a twentieth of the word's occurrences on.
fn lexicon(sentences: &[TaggedSentence], min_count: u32) -> Vec<(u32, u32)> {
    let mut counts: BTreeMap<u32, [u32; N_CLASSES]> = BTreeMap::new();
    let mut room = Vec::new();
    for sentence in sentences {
        for (word, class) in sentence.words.iter().zip(&sentence.classes) {
            counts.entry(Look::key(word, &mut room)).or_default()[usize::from(class.0)] += 1;
        }
    }
    let classes = |counts: &[u32; N_CLASSES]| {
        let total: u32 = counts.iter().sum();
        (total >= min_count).then(|| {
            (0..N_CLASSES)
                .filter(|&class| counts[class] * 20 >= total)
                .fold(0, |mask, class| mask | 1 << class)
        })
    };
    counts
        .iter()
        .filter_map(|(&key, counts)| Some((key, classes(counts)?)))
        .collect()
}

/// Words and gold classes of a sentence, ready for training.
struct Lesson {
    looks: Vec<Look>,
    classes: Vec<Class>,
    /// Row of each static feature; `u32::MAX` where it was left out
    rows: Vec<[u32; N_STATIC]>,
}

struct Trainer {
    lessons: Vec<Lesson>,
    keys: Vec<u32>,
    /// Row of each key; `u32::MAX` where it was left out
    index: Vec<u32>,
    weights: Vec<[f32; N_CLASSES]>,
    totals: Vec<[f64; N_CLASSES]>,
    /// Which weights may differ from zero
    allowed: Vec<u32>,
    n_steps: u32,
    recipe: Recipe,
    random: u64,
}

impl Trainer {
    fn new(sentences: &[TaggedSentence], lexicon: &[(u32, u32)], recipe: &Recipe) -> Self {
        let known: BTreeMap<u32, u32> = lexicon.iter().copied().collect();
        let mut room = Vec::new();
        let mut look =
            |word: &String| Look::of(word, &mut room, |key| known.get(&key).copied().unwrap_or(0));
        let lessons: Vec<Lesson> = sentences
            .iter()
            .map(|s| Lesson {
                looks: s.words.iter().map(&mut look).collect(),
                classes: s.classes.clone(),
                rows: Vec::new(),
            })
            .collect();
        let mut counts = vec![0u32; 1 << KEY_BITS];
        for lesson in &lessons {
            let mut keys = [0; N_FEATURES];
            let (mut before, mut before2) = (NO_TAG, NO_TAG);
            for i in 0..lesson.looks.len() {
                static_keys(&lesson.looks, i, &mut keys);
                tag_keys(&lesson.looks, i, before, before2, &mut keys);
                for &key in &keys {
                    counts[key as usize] += 1;
                }
                (before2, before) = (before, u32::from(lesson.classes[i].0));
            }
        }
        let keys: Vec<u32> = (0..1 << KEY_BITS)
            .filter(|&key: &u32| counts[key as usize] >= recipe.min_count)
            .collect();
        let allowed = vec![u32::MAX; keys.len()];
        Self::with(lessons, keys, allowed, recipe.clone())
    }

    fn with(mut lessons: Vec<Lesson>, keys: Vec<u32>, allowed: Vec<u32>, recipe: Recipe) -> Self {
        let mut index = vec![u32::MAX; 1 << KEY_BITS];
        for (row, &key) in keys.iter().enumerate() {
            index[key as usize] = row as u32;
        }
        for lesson in &mut lessons {
            let mut all = [0; N_FEATURES];
            lesson.rows = (0..lesson.looks.len())
                .map(|i| {
                    static_keys(&lesson.looks, i, &mut all);
                    std::array::from_fn(|feature| index[all[feature] as usize])
                })
                .collect();
        }
        let n = keys.len();
        Self {
            lessons,
            keys,
            index,
            weights: vec![[0.0; N_CLASSES]; n],
            totals: vec![[0.0; N_CLASSES]; n],
            allowed,
            n_steps: 0,
            random: recipe.seed ^ 0x5eed,
            recipe,
        }
    }

    fn epochs(&mut self, recipe: &Recipe, progress: &mut dyn FnMut(&str)) {
        let mut state = recipe.seed;
        let mut order: Vec<usize> = (0..self.lessons.len()).collect();
        for epoch in 0..recipe.n_epochs {
            for i in (1..order.len()).rev() {
                order.swap(i, (next_random(&mut state) % (i as u64 + 1)) as usize);
            }
            let (mut right, mut n) = (0, 0);
            for &lesson in &order {
                right += self.learn(lesson);
                n += self.lessons[lesson].classes.len();
            }
            progress(&format!("epoch {epoch}: {:.4}", right as f64 / n as f64));
        }
        let n = f64::from(self.n_steps);
        for (weights, totals) in self.weights.iter_mut().zip(&self.totals) {
            for (weight, total) in weights.iter_mut().zip(totals) {
                *weight -= (total / n) as f32;
            }
        }
    }

    /// Tags one sentence with the weights as they are and corrects them at each mistake.
    fn learn(&mut self, lesson: usize) -> usize {
        let (mut before, mut before2) = (NO_TAG, NO_TAG);
        let mut right = 0;
        let mut keys = [0; N_FEATURES];
        for i in 0..self.lessons[lesson].looks.len() {
            let gold = usize::from(self.lessons[lesson].classes[i].0);
            let open = matches!(
                self.lessons[lesson].classes[i].tag(),
                Tag::Noun | Tag::Verb | Tag::Adj | Tag::Adv | Tag::Propn
            );
            let veiled =
                open && (next_random(&mut self.random) as f32) < self.recipe.veil * u64::MAX as f32;
            let look = self.lessons[lesson].looks[i];
            if veiled {
                self.lessons[lesson].looks[i] = look.veiled();
            }
            let current = &self.lessons[lesson];
            tag_keys(&current.looks, i, before, before2, &mut keys);
            let mut rows = [u32::MAX; N_FEATURES];
            rows[..N_STATIC].copy_from_slice(&current.rows[i]);
            if veiled {
                static_keys(&current.looks, i, &mut keys);
            }
            for feature in if veiled { 0 } else { N_STATIC }..N_FEATURES {
                rows[feature] = self.index[keys[feature] as usize];
            }
            self.lessons[lesson].looks[i] = look;
            let mut scores = [0.0; N_CLASSES];
            for &row in rows.iter().filter(|&&row| row != u32::MAX) {
                scores
                    .iter_mut()
                    .zip(&self.weights[row as usize])
                    .for_each(|(score, weight)| *score += weight);
            }
            let best = |scores: &[f32; N_CLASSES]| {
                (0..N_CLASSES).fold(0, |best, class| {
                    if scores[class] > scores[best] {
                        class
                    } else {
                        best
                    }
                })
            };
            let guess = best(&scores);
            right += usize::from(guess == gold);
            self.n_steps += 1;
            scores[gold] -= self.recipe.margin;
            let rival = best(&scores);
            if rival != gold {
                self.correct(&rows, gold, 1.0);
                self.correct(&rows, rival, -1.0);
            }
            (before2, before) = (before, guess as u32);
        }
        right
    }

    fn correct(&mut self, rows: &[u32; N_FEATURES], class: usize, by: f32) {
        for &row in rows.iter().filter(|&&row| row != u32::MAX) {
            if self.allowed[row as usize] >> class & 1 == 1 {
                self.weights[row as usize][class] += by;
                self.totals[row as usize][class] += f64::from(by) * f64::from(self.n_steps);
            }
        }
    }

    /// A fresh trainer with only the weights that came out larger than `threshold`.
    fn pruned(&self, threshold: f32) -> Self {
        let kept = |row: &[f32; N_CLASSES]| {
            (0..N_CLASSES)
                .filter(|&class| row[class].abs() >= threshold)
                .fold(0, |mask, class| mask | 1 << class)
        };
        let (keys, allowed): (Vec<u32>, Vec<u32>) = self
            .keys
            .iter()
            .zip(&self.weights)
            .map(|(&key, row)| (key, kept(row)))
            .filter(|&(_, mask)| mask != 0)
            .unzip();
        let lessons = self
            .lessons
            .iter()
            .map(|l| Lesson {
                looks: l.looks.clone(),
                classes: l.classes.clone(),
                rows: Vec::new(),
            })
            .collect();
        let mut pruned = Self::with(lessons, keys, allowed, self.recipe.clone());
        for (row, key) in pruned.keys.iter().enumerate() {
            let old = self.weights[self.index[*key as usize] as usize];
            for (class, weight) in pruned.weights[row].iter_mut().enumerate() {
                if pruned.allowed[row] >> class & 1 == 1 {
                    *weight = old[class];
                }
            }
        }
        pruned
    }

    /// The weights as whole numbers of `step`.
    fn weights(&self, lexicon: Vec<(u32, u32)>, step: f32) -> Weights {
        let limit = ((1 << (WEIGHT_BITS - 1)) - 1) as f32;
        let row = |weights: &[f32; N_CLASSES]| -> Row {
            let whole = weights
                .iter()
                .map(|weight| (weight / step).round().clamp(-limit, limit) as i8);
            whole
                .enumerate()
                .filter(|&(_, weight)| weight != 0)
                .map(|(class, weight)| (class as u8, weight))
                .collect()
        };
        let rows = self
            .keys
            .iter()
            .zip(&self.weights)
            .map(|(&key, weights)| (key, row(weights)));
        Weights {
            lexicon,
            rows: rows.filter(|(_, row)| !row.is_empty()).collect(),
        }
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
