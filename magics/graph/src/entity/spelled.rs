//! Meanings of acronyms where they are spelled out: `question answering` looks like a verb to the extraction, but is a
//! name wherever somebody has called it QA.

use std::collections::BTreeSet;
use std::ops::Range;

use rayon::prelude::*;

use super::acronym::definitions;
use super::name::normal;
use crate::extract::{Analysed, Mention, Sentence};
use crate::retrieve::words;

/// Longest meaning in words that is looked for.
const MOST_WORDS: usize = 6;

/// Adds mentions of the meanings of all acronyms that any of the documents explains, where there is none yet.
pub(crate) fn add_mentions(documents: &mut [Analysed]) {
    let meanings: BTreeSet<String> = documents
        .par_iter()
        .flat_map_iter(|document| {
            let text = document.text.body.as_str();
            let sentence =
                |s: &Sentence| definitions(&text[s.span.start as usize..s.span.end as usize]);
            document
                .sentences
                .iter()
                .flat_map(sentence)
                .map(|(_, long)| long)
                .filter(|long| long.contains(' '))
        })
        .collect();
    let firsts: BTreeSet<&str> = meanings
        .iter()
        .filter_map(|meaning| meaning.split(' ').next())
        .collect();
    if firsts.is_empty() {
        return;
    }
    documents.par_iter_mut().for_each(|document| {
        let text = document.text.body.as_str();
        for sentence in &mut document.sentences {
            let base = sentence.span.start as usize;
            for span in occurrences(&text[base..sentence.span.end as usize], &meanings, &firsts) {
                let name = &text[base + span.start..base + span.end];
                add(
                    sentence,
                    (base + span.start) as u32..(base + span.end) as u32,
                    name,
                );
            }
        }
    });
}

/// Where a sentence spells a meaning out, the longest at each place.
fn occurrences(
    sentence: &str,
    meanings: &BTreeSet<String>,
    firsts: &BTreeSet<&str>,
) -> Vec<Range<usize>> {
    let words: Vec<(usize, &str)> = words(sentence).collect();
    let mut found = Vec::new();
    let mut next = 0;
    while next < words.len() {
        let (start, word) = words[next];
        let mut length = 1;
        if firsts.contains(word.to_lowercase().as_str()) {
            for longer in (2..=MOST_WORDS.min(words.len() - next)).rev() {
                let (last, word) = words[next + longer - 1];
                let span = start..last + word.len();
                if meanings.contains(&normal(&sentence[span.clone()])) {
                    found.push(span);
                    length = longer;
                    break;
                }
            }
        }
        next += length;
    }
    found
}

/// Adds a mention, or widens the one inside it; a mention that holds it or overlaps it stays as it is.
///
/// A triple whose relation is part of the name (`question | answering | …`) never was one.
fn add(sentence: &mut Sentence, span: Range<u32>, name: &str) {
    let part =
        |verb: &Range<u32>| span.start <= verb.start && verb.end <= span.end && !verb.is_empty();
    sentence
        .triples
        .retain(|triple| !part(&triple.relation_span));
    let overlaps = |m: &&mut Mention| m.span.start < span.end && span.start < m.span.end;
    if let Some(mention) = sentence.mentions.iter_mut().find(overlaps) {
        if span.start <= mention.span.start && mention.span.end <= span.end {
            mention.span = span;
            name.clone_into(&mut mention.name);
        }
        return;
    }
    let index = sentence.mentions.len() as u32;
    sentence.mentions.push(Mention {
        span: span.clone(),
        name: name.to_owned(),
        proper: false,
    });
    let inside = |outer: &Range<u32>| outer.start <= span.start && span.end <= outer.end;
    for triple in &mut sentence.triples {
        if triple.subject_mention.is_none() && inside(&triple.subject) {
            triple.subject_mention = Some(index);
        }
        if inside(&triple.object) {
            triple.object_mentions.push(index);
            triple
                .object_mentions
                .sort_by_key(|&mention| sentence.mentions[mention as usize].span.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_meaning_is_found_and_other_words_are_not() {
        let meanings: BTreeSet<String> = ["question answering", "open domain question answering"]
            .map(str::to_owned)
            .into();
        let firsts = BTreeSet::from(["question", "open"]);
        let sentence = "Question answering, or open-domain question answering, is no question about answering.";
        let found: Vec<&str> = occurrences(sentence, &meanings, &firsts)
            .into_iter()
            .map(|r| &sentence[r])
            .collect();
        assert_eq!(
            found,
            ["Question answering", "open-domain question answering"]
        );
    }
}
