//! Which sentence of a text to show.

use std::ops::Range;

use crate::error::SearchError;
use crate::index::norm;
use crate::item::Item;
use crate::query::Passage;
use crate::settings::Language;
use crate::words::{Asked, find};

/// Bytes that a passage may have; a longer sentence is cut at a space.
const LONGEST: usize = 400;
/// Words before a full stop that ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "ca", "cf", "dr", "e.g", "eq", "etc", "fig", "i.e", "jr", "mr", "mrs", "ms",
    "no", "prof", "sec", "sr", "st", "vs", "vol", "pp",
];

/// The sentences of an item's text, in order: [`best_sentence`] wants a vector of each.
pub fn sentences_of(item: &Item) -> Vec<&str> {
    let spans = sentences(&item.text).into_iter();
    spans.map(|span| &item.text[span]).collect()
}

/// The sentence of an item's text that is most like a query; `values` are n×dims, for n [`sentences_of`] the item.
///
/// None if the text is empty. The error tells of values that are not n×dims, or not finite.
pub fn best_sentence(
    item: &Item,
    query_vector: &[f32],
    values: &[f32],
) -> Result<Option<Passage>, SearchError> {
    let spans = sentences(&item.text);
    if spans.is_empty() {
        return Ok(None);
    }
    let dims = query_vector.len();
    if dims == 0 || values.len() != spans.len() * dims {
        return Err(SearchError::Shape {
            n_values: values.len(),
            dims,
            n_items: spans.len(),
        });
    }
    let mut best = (f32::NEG_INFINITY, 0);
    for (i, vector) in values.chunks_exact(dims).enumerate() {
        if let Some(column) = vector.iter().position(|v| !v.is_finite()) {
            return Err(SearchError::NotFinite {
                row: i,
                column,
                value: vector[column],
            });
        }
        let dot: f32 = vector.iter().zip(query_vector).map(|(a, b)| a * b).sum();
        let cosine = dot / norm(vector).max(f32::MIN_POSITIVE);
        if cosine > best.0 {
            best = (cosine, i);
        }
    }
    Ok(Some(Passage {
        span: spans[best.1].clone(),
        marks: Vec::new(),
    }))
}

/// The sentence with the most of what is asked for, rare words counting more; the first one if there is nothing of it.
///
/// `weights` has the weight of each word that is asked for.
pub(crate) fn passage(text: &str, asked: &Asked, weights: &[f32], language: Language) -> Passage {
    let spans = sentences(text);
    let found = find(text, asked, language);
    let mut best: (f32, usize) = (-1.0, 0);
    for (i, span) in spans.iter().enumerate() {
        let mut counts = vec![0_u32; weights.len()];
        for (_, word) in inside(&found, span) {
            counts[*word] += 1;
        }
        // A word that comes again says little more.
        let score: f32 = counts
            .iter()
            .zip(weights)
            .map(|(&n, weight)| weight * (1.0 - 0.5_f32.powf(n as f32)))
            .sum();
        if score > best.0 + 1e-6 {
            best = (score, i);
        }
    }
    let span = spans.get(best.1).cloned().unwrap_or_default();
    Passage {
        marks: inside(&found, &span)
            .map(|(range, _)| range.clone())
            .collect(),
        span,
    }
}

fn inside<'a>(
    found: &'a [(Range<usize>, usize)],
    span: &Range<usize>,
) -> impl Iterator<Item = &'a (Range<usize>, usize)> {
    let start = found.partition_point(|(range, _)| range.start < span.start);
    let end = span.end;
    found[start..]
        .iter()
        .take_while(move |(range, _)| range.end <= end)
}

/// Where sentences are: they end at `.`, `!` or `?` before a space and no small letter, and at empty lines.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        let rest = &text[after..];
        let ends = match c {
            '\n' => rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n'),
            '.' | '!' | '?' => closes(&text[start..at], c, rest),
            '。' | '！' | '？' => true,
            _ => false,
        };
        if ends {
            let quote = rest
                .chars()
                .next()
                .filter(|c| matches!(c, '"' | '”' | '’' | ')'));
            push(
                text,
                start..after + quote.map_or(0, char::len_utf8),
                &mut spans,
            );
            start = after + quote.map_or(0, char::len_utf8);
        }
    }
    push(text, start..text.len(), &mut spans);
    spans
}

/// Whether a mark with `before` and `after` it ends a sentence.
fn closes(before: &str, mark: char, after: &str) -> bool {
    let after = after.trim_start_matches(['"', '”', '’', ')']);
    let Some(space) = after.chars().next() else {
        return true;
    };
    let next = after.trim_start().chars().next();
    let word = before
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let short = mark == '.' && (initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str()));
    space.is_whitespace() && !short && next.is_none_or(|c| !c.is_lowercase())
}

/// Adds a span without the spaces around it, cut into pieces if it is long.
fn push(text: &str, span: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let mut start = span.start + text[span.clone()].len() - text[span.clone()].trim_start().len();
    let end = span.start + text[span.clone()].trim_end().len();
    while start < end {
        let mut cut = end;
        if end - start > LONGEST {
            let most = (0..=LONGEST)
                .rev()
                .find(|&n| text.is_char_boundary(start + n))
                .unwrap_or(LONGEST);
            let piece = &text[start..start + most];
            cut = start
                + piece
                    .rfind(char::is_whitespace)
                    .filter(|&n| n > 0)
                    .unwrap_or(piece.len());
        }
        spans.push(start..cut);
        start = cut + text[cut..end].len() - text[cut..end].trim_start().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text)
            .into_iter()
            .map(|span| &text[span])
            .collect()
    }

    #[test]
    fn sentences_are_told_apart() {
        assert_eq!(
            split(
                "Dr. A. Smith et al. found 3.5 cats. \"Why?\" They asked (e.g. Bob)! no\n\nTitle\nmore. "
            ),
            [
                "Dr. A. Smith et al. found 3.5 cats.",
                "\"Why?\"",
                "They asked (e.g. Bob)! no",
                "Title\nmore."
            ]
        );
        assert_eq!(split(" \n\n "), Vec::<&str>::new());
        let long = "é".repeat(1000);
        assert_eq!(split(&long).concat(), long);
        let words = "word ".repeat(300);
        assert!(
            split(&words)
                .iter()
                .all(|part| part.len() <= LONGEST && part.ends_with("word"))
        );
    }

    #[test]
    fn the_sentence_with_the_rare_word_wins_and_is_marked() {
        let text = "Cats sleep. The cat chased a laser. Dogs bark.";
        let asked = Asked::read("lasers for cats?", Language::English);
        let found = passage(text, &asked, &[3.0, 1.0], Language::English);
        assert_eq!(&text[found.span.clone()], "The cat chased a laser.");
        let marked: Vec<&str> = found.marks.iter().map(|mark| &text[mark.clone()]).collect();
        assert_eq!(marked, ["cat", "laser"]);
    }

    #[test]
    fn the_nearest_sentence_is_found() {
        let item = Item {
            text: "One. Two. Three.".to_owned(),
            ..Item::default()
        };
        assert_eq!(sentences_of(&item), ["One.", "Two.", "Three."]);
        let values = [3.0, 0.5, 0.0, 2.0, 3.0, 0.5];
        let best = best_sentence(&item, &[0.0, 1.0], &values).unwrap().unwrap();
        assert_eq!(best.text(&item), "Two.");
        assert!(
            best_sentence(&Item::default(), &[1.0], &[])
                .unwrap()
                .is_none()
        );
        assert!(best_sentence(&item, &[1.0], &[0.5]).is_err());
    }
}
