//! Which phrases of the network a question speaks of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::bm25::{Stems, is_stop_word, words};
use crate::entity::normal;

/// Longest stretch of words that is looked up as one name.
const MOST_WORDS: usize = 9;
/// Weight of a phrase that is not written as a name, against 1 for one that is.
const PHRASE_WEIGHT: f32 = 0.2;
/// Weight of a single common word: it decides only where there is nothing better.
const WORD_WEIGHT: f32 = 0.03;
/// Phrases that a question is linked to when none is in it word for word.
const PARTIAL_LINKS: usize = 5;

/// A phrase of the network that a question speaks of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    /// Bytes of the question.
    pub(crate) span: Range<usize>,
    pub(crate) phrase: u32,
    /// How much of the walk starts there.
    pub(crate) weight: f32,
    /// The whole phrase stands in the question, not just some of its words.
    pub(crate) whole: bool,
    /// Question and documents write it as a name: `NVIDIA` is one, `QA` is short for question answering.
    pub(crate) named: bool,
}

/// The names of the network's phrases, to be looked up whole and by their words.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    pub(crate) by_key: HashMap<String, u32>,
    /// In how many passages each phrase is.
    n_passages: Vec<u32>,
    /// Normal form of each phrase.
    names: Vec<String>,
    /// Whether each phrase is written as a name.
    is_name: Vec<bool>,
    /// Stems of names, with the phrases that hold them.
    postings: HashMap<String, Vec<u32>>,
    /// Sum of the weights of each phrase's stems.
    totals: Vec<f32>,
}

/// A word of a question.
struct Word<'a> {
    at: Range<usize>,
    text: &'a str,
    /// Written with a capital or a digit that its place does not explain.
    named: bool,
}

impl Lexicon {
    /// A lexicon of phrases by their normal forms; `names` are the forms in order of phrases, each with whether it is
    /// written as a name.
    pub(crate) fn new<'a>(
        by_key: HashMap<String, u32>,
        names: impl Iterator<Item = (&'a str, bool)>,
        n_passages: Vec<u32>,
    ) -> Lexicon {
        let mut stems = Stems::new();
        let mut lexicon = Lexicon {
            by_key,
            n_passages,
            ..Lexicon::default()
        };
        let mut stems_of: Vec<BTreeSet<String>> = Vec::new();
        for (phrase, (name, is_name)) in names.enumerate() {
            lexicon.is_name.push(is_name);
            lexicon.names.push(name.to_owned());
            let own: BTreeSet<String> = words(name)
                .filter_map(|(_, word)| stems.stem(word).map(str::to_owned))
                .collect();
            for stem in &own {
                lexicon
                    .postings
                    .entry(stem.clone())
                    .or_default()
                    .push(phrase as u32);
            }
            stems_of.push(own);
        }
        let n = stems_of.len();
        lexicon.totals = stems_of
            .iter()
            .map(|own| own.iter().map(|stem| lexicon.rarity(stem, n)).sum())
            .collect();
        lexicon
    }

    fn rarity(&self, stem: &str, n_phrases: usize) -> f32 {
        let n_with = self.postings.get(stem).map_or(1, Vec::len);
        (1.0 + n_phrases as f32 / n_with as f32).ln()
    }

    /// Links a question: longest names first, each word once; parts of names only when no name is there whole.
    pub(crate) fn link(&self, question: &str) -> Vec<Link> {
        let words = question_words(question);
        let mut used = vec![false; words.len()];
        let mut links = self.whole_names(question, &words, &mut used);
        if links.is_empty() {
            links = self.parts(question, &words);
        }
        links.sort_by_key(|link| (link.span.start, link.phrase));
        links
    }

    /// In how many passages a phrase is.
    pub(crate) fn spread(&self, phrase: u32) -> u32 {
        self.n_passages[phrase as usize]
    }

    /// The phrases whose normal forms hold all words of `key`, in its order and beside each other.
    pub(crate) fn with_words(&self, key: &str) -> impl Iterator<Item = u32> {
        let mut stems = Stems::new();
        let lists = words(key).filter_map(|(_, word)| self.postings.get(stems.stem(word)?));
        let shortest = lists
            .min_by_key(|list| list.len())
            .map_or(&[][..], Vec::as_slice);
        let wanted = format!(" {key} ");
        let holds =
            move |phrase: &u32| format!(" {} ", self.names[*phrase as usize]).contains(&wanted);
        shortest.iter().copied().filter(holds)
    }

    fn specific(&self, phrase: u32) -> f32 {
        1.0 / self.spread(phrase).max(1) as f32
    }

    fn whole_names(&self, question: &str, words: &[Word], used: &mut [bool]) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        for length in (1..=MOST_WORDS.min(words.len())).rev() {
            for first in 0..=words.len() - length {
                let stretch = first..first + length;
                let empty = words[stretch.clone()]
                    .iter()
                    .all(|w| is_stop_word(&w.text.to_lowercase()) && !w.named);
                if empty || used[stretch.clone()].iter().any(|used| *used) {
                    continue;
                }
                let span = words[first].at.start..words[stretch.end - 1].at.end;
                let key = normal(&question[span.clone()]);
                // `the United States` is found again, without `the`, among the shorter stretches.
                let lead = words[first].text.to_lowercase();
                if is_stop_word(&lead) && !key.starts_with(&lead) {
                    continue;
                }
                let named = words[stretch.clone()].iter().any(|word| word.named);
                let Some(&phrase) = self.by_key.get(&key) else {
                    continue;
                };
                let weight = match (named, key.contains(' ')) {
                    (true, _) => 1.0,
                    (false, true) => PHRASE_WEIGHT,
                    (false, false) => WORD_WEIGHT,
                };
                used[stretch].fill(true);
                links.push(Link {
                    span,
                    phrase,
                    weight: weight * self.specific(phrase),
                    whole: true,
                    named: named && self.is_name[phrase as usize],
                });
            }
        }
        links
    }

    /// The phrases that share the rarest words with the question: named words if it has any, else all.
    fn parts(&self, question: &str, words: &[Word]) -> Vec<Link> {
        let mut stems = Stems::new();
        let mut wanted: BTreeMap<String, Range<usize>> = BTreeMap::new();
        for named_only in [true, false] {
            for word in words.iter().filter(|word| word.named || !named_only) {
                if let Some(stem) = stems.stem(&question[word.at.clone()]) {
                    wanted.entry(stem.to_owned()).or_insert(word.at.clone());
                }
            }
            if !wanted.is_empty() {
                break;
            }
        }
        let named = |at: &Range<usize>| words.iter().any(|word| word.named && word.at == *at);
        let mut shared: BTreeMap<u32, (f32, Range<usize>)> = BTreeMap::new();
        for (stem, at) in &wanted {
            let rarity = self.rarity(stem, self.totals.len());
            for &phrase in self.postings.get(stem).map_or(&[][..], Vec::as_slice) {
                shared.entry(phrase).or_insert((0.0, at.clone())).0 += rarity;
            }
        }
        let mut ranked: Vec<(f32, u32, Range<usize>)> = shared
            .into_iter()
            .map(|(phrase, (sum, at))| (sum * sum / self.totals[phrase as usize], phrase, at))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.truncate(PARTIAL_LINKS);
        ranked
            .into_iter()
            .map(|(score, phrase, span)| Link {
                named: named(&span) && self.is_name[phrase as usize],
                whole: false,
                span,
                phrase,
                weight: score * self.specific(phrase),
            })
            .collect()
    }
}

fn question_words(question: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word> = words(question)
        .map(|(at, text)| Word {
            at: at..at + text.len(),
            text,
            named: false,
        })
        .collect();
    for (nth, word) in found.iter_mut().enumerate() {
        let upper = word.text.chars().filter(|c| c.is_uppercase()).count();
        let digit = word.text.chars().any(|c| c.is_ascii_digit());
        let first_upper = word.text.chars().next().is_some_and(char::is_uppercase);
        // The first word has a capital anyway, unless it has two.
        word.named = digit || (first_upper && nth > 0) || upper > 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon(names: &[&str]) -> Lexicon {
        let by_key = names
            .iter()
            .enumerate()
            .map(|(i, name)| (normal(name), i as u32))
            .collect();
        Lexicon::new(
            by_key,
            names.iter().map(|name| (*name, true)),
            vec![2; names.len()],
        )
    }

    fn linked(names: &[&str], question: &str) -> Vec<(String, f32)> {
        let links = lexicon(names).link(question);
        links
            .into_iter()
            .map(|l| {
                (
                    format!("{} = {}", &question[l.span], names[l.phrase as usize]),
                    l.weight,
                )
            })
            .collect()
    }

    #[test]
    fn the_longest_name_wins_and_names_weigh_more() {
        let names = ["New York", "New York Times", "newspaper", "first president"];
        assert_eq!(
            linked(
                &names,
                "Who was the first president of the New York Times newspaper?"
            ),
            [
                ("first president = first president".to_owned(), 0.1),
                ("New York Times = New York Times".to_owned(), 0.5),
                ("newspaper = newspaper".to_owned(), 0.015)
            ]
        );
    }

    #[test]
    fn single_words_and_parts_help_when_nothing_else_is_there() {
        assert_eq!(
            linked(&["benchmark"], "Which benchmarks exist?"),
            [("benchmarks = benchmark".to_owned(), 0.015)]
        );
        let parts = linked(
            &["Stanford Question Answering Dataset", "Stanford"],
            "What is in the Answering set?",
        );
        assert_eq!(parts.len(), 1);
        assert!(parts[0].0.ends_with("Dataset"));
        assert_eq!(linked(&["benchmark"], "Who is it?"), []);
    }
}
