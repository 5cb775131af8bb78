//! Acronyms and what they stand for, within one document.

use std::collections::{BTreeMap, BTreeSet};

use super::name::normal;

/// Longest acronym in characters.
const MOST_LETTERS: usize = 10;
/// Initials that mean something by themselves; two letters fit too many phrases.
const LEAST_INITIALS: usize = 3;
/// Words that have no letter in most acronyms.
const SMALL: &[&str] = &[
    "a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with",
];

/// How an acronym's meaning was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// The document says it: `question answering (QA)`.
    Stated,
    /// One phrase of the document, and no other, has these initials.
    Initials,
}

/// What the acronyms of one document stand for: a meaning in normal form for each acronym as it is written.
pub(crate) type Meanings = BTreeMap<String, (String, Ground)>;

/// Whether a word is written as an acronym is: at least two capitals, and capitals in the majority of its letters.
pub(crate) fn is_acronym(word: &str) -> bool {
    let n_chars = word.chars().count();
    if !(2..=MOST_LETTERS).contains(&n_chars)
        || !word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '&'))
    {
        return false;
    }
    let word = singular(word);
    let n_upper = word.chars().filter(|c| c.is_uppercase()).count();
    let n_lower = word.chars().filter(|c| c.is_lowercase()).count();
    n_upper >= 2 && n_upper > n_lower
}

/// The acronym without the `s` of its plural.
pub(crate) fn singular(acronym: &str) -> &str {
    match acronym.strip_suffix('s') {
        Some(rest) if rest.chars().next_back().is_some_and(char::is_uppercase) => rest,
        _ => acronym,
    }
}

/// Collects what the sentences state, and for the other acronyms among `names` the one phrase with their initials.
pub(crate) fn meanings<'a>(
    sentences: impl Iterator<Item = &'a str>,
    names: &BTreeSet<&str>,
) -> Meanings {
    let mut stated: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for sentence in sentences {
        for (short, long) in definitions(sentence) {
            *stated.entry(short).or_default().entry(long).or_default() += 1;
        }
    }
    let mut meanings = Meanings::new();
    for (short, longs) in stated {
        let most = longs.values().max().copied().unwrap_or_default();
        let mut best = longs.into_iter().filter(|(_, count)| *count == most);
        if let Some((long, _)) = best.next() {
            meanings.insert(short, (long, Ground::Stated));
        }
    }
    let mut phrases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in names {
        let key = normal(name);
        for initials in initials(&key) {
            phrases.entry(initials).or_default().insert(key.clone());
        }
    }
    let words = names
        .iter()
        .flat_map(|name| name.split(' '))
        .filter(|word| is_acronym(word));
    for short in words.map(singular) {
        let matching = phrases.get(&short.to_lowercase());
        if let Some(long) = matching
            .filter(|all| all.len() == 1)
            .and_then(BTreeSet::first)
        {
            meanings
                .entry(short.to_owned())
                .or_insert_with(|| (long.clone(), Ground::Initials));
        }
    }
    meanings
}

/// The initials of a phrase, with and without its small words; single words have none.
fn initials(key: &str) -> BTreeSet<String> {
    let of = |words: &mut dyn Iterator<Item = &str>| -> String {
        words.filter_map(|w| w.chars().next()).collect()
    };
    let all = of(&mut key.split(' '));
    let great = of(&mut key.split(' ').filter(|word| !SMALL.contains(word)));
    [all, great]
        .into_iter()
        .filter(|initials| initials.chars().count() >= LEAST_INITIALS)
        .collect()
}

/// Acronyms that a sentence explains, with their meanings in normal form, after Schwartz and Hearst (2003).
pub(crate) fn definitions(sentence: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (open, _) in sentence.match_indices('(') {
        let Some(length) = sentence[open..].find(')') else {
            break;
        };
        let inner = sentence[open + 1..open + length]
            .split([',', ';'])
            .next()
            .unwrap_or_default()
            .trim();
        let before = sentence[..open].trim_end();
        let pair = if is_acronym(inner) {
            long_form(singular(inner), before).map(|long| (singular(inner), long))
        } else {
            let short = before.rsplit(' ').next().unwrap_or_default();
            let whole = is_acronym(short)
                .then(|| long_form(singular(short), inner))
                .flatten();
            whole
                .filter(|long| long.len() == inner.len())
                .map(|long| (singular(short), long))
        };
        if let Some((short, long)) = pair {
            found.push((short.to_owned(), normal(long)));
        }
    }
    found
}

/// The shortest end of `before` that holds the letters of `short` in order, the first one at the start of a word.
fn long_form<'a>(short: &str, before: &'a str) -> Option<&'a str> {
    let n_letters = short.chars().filter(|c| c.is_alphanumeric()).count();
    let most_words = (n_letters + 5).min(n_letters * 2);
    let before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    // A full stop or a bracket ends the phrase that an acronym can stand for.
    let from = before
        .rfind(['.', ',', ';', ':', '(', ')', '[', ']'])
        .map_or(0, |at| at + 1);
    let phrase: Vec<(usize, char)> = before
        .char_indices()
        .skip_while(|(at, _)| *at < from)
        .collect();
    let mut at = phrase.len();
    let letters: Vec<char> = short
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    for (i, letter) in letters.iter().enumerate().rev() {
        loop {
            at = at.checked_sub(1)?;
            let starts = at == 0 || !phrase[at - 1].1.is_alphanumeric();
            if phrase[at].1.to_lowercase().eq([*letter]) && (i > 0 || starts) {
                break;
            }
        }
    }
    let long = before[phrase[at].0..].trim();
    let n_words = long.split([' ', '-']).count();
    let own = long.split(' ').any(|word| word == short);
    (n_words <= most_words && !own && (n_words > 1 || long.chars().count() >= n_letters + 4))
        .then_some(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_meanings_are_found_on_either_side() {
        let found = |sentence| definitions(sentence);
        let pair = |short: &str, long: &str| vec![(short.to_owned(), long.to_owned())];
        assert_eq!(
            found("We study question answering (QA) here."),
            pair("QA", "question answering")
        );
        assert_eq!(
            found("It uses LLMs (large language models)."),
            pair("LLM", "large language model")
        );
        assert_eq!(
            found("The Text REtrieval Conference (TREC) began."),
            pair("TREC", "text retrieval conference")
        );
        assert_eq!(found("A figure (see above) and Paris (1990)."), []);
        assert_eq!(found("An open ( bracket"), []);
    }

    #[test]
    fn initials_count_when_one_phrase_has_them() {
        let names = BTreeSet::from([
            "LLM",
            "large language model",
            "LLM systems",
            "KGE",
            "knowledge graph entry",
            "known good end",
            "QA",
            "question answering",
        ]);
        let meanings = meanings(std::iter::empty(), &names);
        let expected = Meanings::from([(
            "LLM".to_owned(),
            ("large language model".to_owned(), Ground::Initials),
        )]);
        assert_eq!(meanings, expected);
    }
}
