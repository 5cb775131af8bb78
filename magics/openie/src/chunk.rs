//! Noun phrases without what follows their head, by a grammar over word classes.

use std::ops::Range;

use crate::sentence::{Pos, Word};

/// The noun phrases of a sentence, in order and without overlap.
#[derive(Debug)]
pub(crate) struct Phrases {
    pub(crate) all: Vec<Range<usize>>,
    starting: Vec<Option<usize>>,
    ending: Vec<Option<usize>>,
    inside: Vec<Option<usize>>,
}

impl Phrases {
    pub(crate) fn of(words: &[Word]) -> Self {
        let n = words.len();
        let mut phrases = Self {
            all: Vec::new(),
            starting: vec![None; n + 1],
            ending: vec![None; n + 1],
            inside: vec![None; n + 1],
        };
        let mut at = 0;
        while at < n {
            let Some(end) = quoted_end(words, at).or_else(|| phrase_end(words, at)) else {
                at += 1;
                continue;
            };
            let number = phrases.all.len();
            phrases.starting[at] = Some(number);
            phrases.ending[end] = Some(number);
            phrases.inside[at..end].fill(Some(number));
            phrases.all.push(at..end);
            at = end;
        }
        phrases
    }

    /// The phrase that starts with word `at`.
    pub(crate) fn at(&self, at: usize) -> Option<&Range<usize>> {
        self.starting
            .get(at)
            .copied()
            .flatten()
            .map(|number| &self.all[number])
    }

    /// The phrase whose last word is before `end`.
    pub(crate) fn before(&self, end: usize) -> Option<&Range<usize>> {
        self.ending
            .get(end)
            .copied()
            .flatten()
            .map(|number| &self.all[number])
    }

    /// The phrase word `at` belongs to.
    pub(crate) fn around(&self, at: usize) -> Option<&Range<usize>> {
        self.inside
            .get(at)
            .copied()
            .flatten()
            .map(|number| &self.all[number])
    }
}

/// Where a noun phrase that fills quotation marks ends, marks and all.
fn quoted_end(words: &[Word], from: usize) -> Option<usize> {
    if !matches!(words[from].text, "``" | "“" | "`" | "\"") || from + 1 >= words.len() {
        return None;
    }
    let end = phrase_end(words, from + 1)?;
    matches!(words.get(end)?.text, "''" | "”" | "'" | "\"").then_some(end + 1)
}

/// Where the noun phrase that starts at `from` ends, if there is one.
fn phrase_end(words: &[Word], from: usize) -> Option<usize> {
    if !belongs(words, from) {
        return None;
    }
    let mut head = None;
    let mut at = from;
    while at < words.len() {
        if belongs(words, at) {
            if at > from && breaks(words, from, at, head.is_some()) {
                break;
            }
            if is_head(&words[at]) {
                head = Some(at);
            }
            at += 1;
        } else if words[at].pos == Pos::Possessive
            && at > from
            && at + 1 < words.len()
            && joins(words, at + 1)
        {
            at += 1;
            head = None;
        } else if glues(words, from, at, head.is_some()) {
            at += 1;
        } else {
            break;
        }
    }
    let plain_adjective = head.is_none() && words[from].pos == Pos::Determiner && at > from + 1;
    (head.is_some() || plain_adjective).then_some(at)
}

fn belongs(words: &[Word], at: usize) -> bool {
    matches!(
        words[at].pos,
        Pos::Determiner
            | Pos::PossessivePronoun
            | Pos::Adjective
            | Pos::Number
            | Pos::Noun
            | Pos::Name
            | Pos::Symbol
            | Pos::Pronoun
    ) && !words[at].is(&["there"])
}

fn joins(words: &[Word], at: usize) -> bool {
    belongs(words, at)
        || (words[at].pos == Pos::Adverb
            && at + 1 < words.len()
            && words[at + 1].pos == Pos::Adjective)
}

fn is_head(word: &Word) -> bool {
    matches!(
        word.pos,
        Pos::Noun | Pos::Name | Pos::Pronoun | Pos::Number | Pos::Symbol
    )
}

/// Whether a new phrase starts at `at` although the word could belong to the one before.
fn breaks(words: &[Word], from: usize, at: usize, head: bool) -> bool {
    let (word, before) = (&words[at], &words[at - 1]);
    if head && word.is(&["itself", "himself", "herself", "themselves"]) {
        return false;
    }
    if head
        && matches!(
            word.pos,
            Pos::Determiner | Pos::Pronoun | Pos::PossessivePronoun
        )
        && before.pos != Pos::Possessive
    {
        return true;
    }
    if before.pos == Pos::Pronoun
        && !matches!(word.pos, Pos::Number)
        && !before.is(&["one", "all", "many", "some"])
    {
        return true;
    }
    if matches!(word.pos, Pos::Determiner | Pos::PossessivePronoun)
        && matches!(before.pos, Pos::Adjective | Pos::Number)
        && !before.is(&["such", "many", "half", "all", "both"])
    {
        return true;
    }
    let month = at >= from + 2 && words[at - 2].is(MONTHS);
    let year =
        before.pos == Pos::Number && before.text.len() == 4 && before.text.starts_with(['1', '2']);
    year && (month
        || (at == from + 1
            && from > 0
            && words[from - 1].pos == Pos::Preposition
            && (word.pos == Pos::Name || (from == 1 && words[0].is(&["in", "by", "since"])))))
}

/// Months, whose year ends a phrase.
#[rustfmt::skip]
const MONTHS: &[&str] = &[
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "spring", "summer", "autumn", "winter",
];

/// Marks and adverbs that stand inside a phrase: hyphens, slashes, quotes, "a very small".
fn glues(words: &[Word], from: usize, at: usize, head: bool) -> bool {
    let next = at + 1 < words.len() && joins(words, at + 1);
    if at == from || !next {
        return false;
    }
    match words[at].text {
        "-" | "/" | "‐" | "‑" => true,
        "``" | "''" | "`" | "\"" | "“" => !head,
        _ => {
            words[at].pos == Pos::Adverb
                && !head
                && matches!(words[at + 1].pos, Pos::Adjective | Pos::Number)
        }
    }
}
