//! Sentences of running text, with the abbreviations of papers.

use std::ops::Range;

/// Longest sentence in bytes: text without any full stop is cut at a blank before this.
const MAX_LEN: usize = 2_000;

/// Abbreviations after which a full stop ends no sentence, whatever follows.
const NEVER_LAST: &[&str] = &[
    "approx", "assoc", "ca", "cf", "def", "dept", "dr", "eds", "eq", "eqn", "eqns", "eqs", "esp",
    "fig", "figs", "gov", "i.e", "e.g", "mr", "mrs", "mt", "prof", "resp", "sect", "sen", "sgt",
    "suppl", "supp", "viz", "vs", "w.r.t", "wrt", "i.i.d", "a.k.a",
];

/// Words that are abbreviations only when a number follows.
const BEFORE_NUMBERS: &[&str] = &[
    "alg", "algs", "app", "ch", "chap", "col", "ed", "ex", "exp", "gen", "lem", "no", "nos", "nr",
    "p", "pp", "prop", "ref", "refs", "rep", "sec", "secs", "tab", "tbl", "thm", "vol", "vols",
    "art", "para", "ver", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct",
    "nov", "dec",
];

/// Abbreviations that can end a sentence: they do when a word follows that often starts one.
const SOMETIMES_LAST: &[&str] = &[
    "al", "etc", "inc", "ltd", "corp", "co", "jr", "sr", "st", "ms", "rev", "lt", "u.s", "u.k",
    "u.n", "e.u", "a.m", "p.m", "ph.d", "m.sc", "b.sc", "d.c", "bros", "est",
];

/// Words that often start a sentence: after `U.S.` they tell an end from a name that goes on (`U.S. Army`).
const STARTERS: &[&str] = &[
    "A",
    "An",
    "The",
    "This",
    "That",
    "These",
    "Those",
    "It",
    "We",
    "They",
    "He",
    "She",
    "I",
    "In",
    "On",
    "At",
    "For",
    "To",
    "However",
    "But",
    "And",
    "As",
    "If",
    "When",
    "While",
    "Our",
    "Its",
    "Their",
    "There",
    "Here",
    "Then",
    "Thus",
    "Such",
    "Moreover",
    "Furthermore",
    "Finally",
    "First",
    "Second",
    "Although",
    "Since",
    "Because",
    "After",
    "Before",
    "With",
];

/// The sentences of a text as byte ranges, ascending, without the blanks around them.
///
/// A sentence never crosses an empty line; list items and the paragraphs before them are separate. Linear in the text.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        split(text, block, &mut found);
    }
    found
}

/// Paragraphs and list items.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut line) = (0, 0);
    while line < text.len() {
        let end = text[line..]
            .find('\n')
            .map_or(text.len(), |len| line + len + 1);
        let content = text[line..end].trim();
        if content.is_empty() || starts_item(content) {
            blocks.push(start..line);
            start = line;
        }
        line = end;
    }
    blocks.push(start..text.len());
    blocks
}

/// True when a line starts a list item: a bullet, or a short number or letter with a stop or bracket, and a blank.
pub(crate) fn starts_item(line: &str) -> bool {
    let mut chars = line.chars();
    match chars.next() {
        Some('•' | '◦' | '▪' | '‣' | '∙' | '●' | '■') => true,
        Some('-' | '*' | '+' | '–') => chars.next() == Some(' '),
        Some('(') => {
            let label: String = chars.by_ref().take_while(|c| *c != ')').take(5).collect();
            (1..5).contains(&label.len()) && is_label(&label) && chars.next() == Some(' ')
        }
        Some(c) if c.is_ascii_digit() => {
            let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
            line.len() - rest.len() <= 2 && (rest.starts_with(". ") || rest.starts_with(") "))
        }
        _ => false,
    }
}

fn is_label(label: &str) -> bool {
    label.chars().all(|c| c.is_ascii_digit())
        || label.chars().all(|c| matches!(c, 'i' | 'v' | 'x'))
        || label.len() == 1
}

/// Splits a paragraph or list item; the label of an item is left out, the number of a heading ends no sentence.
fn split(text: &str, block: Range<usize>, found: &mut Vec<Range<usize>>) {
    let lead = block.len() - text[block.clone()].trim_start().len();
    let content = &text[block.start + lead..block.end];
    let label = content.find(char::is_whitespace).unwrap_or(content.len());
    let is_item = starts_item(content);
    let mut start = block.start + lead + if is_item { label } else { 0 };
    let first_stop = block.start
        + lead
        + if is_item || is_number(&content[..label]) {
            label
        } else {
            0
        };
    let mut chars = text[start..block.end].char_indices().peekable();
    let from = start;
    while let Some((at, c)) = chars.next() {
        let at = from + at;
        if matches!(c, '.' | '!' | '?' | '。' | '！' | '？') {
            let mut end = at + c.len_utf8();
            while let Some((next, closing)) = chars.next_if(|(_, c)| is_closing(*c)) {
                end = from + next + closing.len_utf8();
            }
            if end > first_stop && ends_here(text, start, at, end..block.end) {
                push(text, start..end, found);
                start = end;
            }
        } else if c.is_whitespace() && at - start >= MAX_LEN || at - start >= 2 * MAX_LEN {
            push(text, start..at, found);
            start = at;
        }
    }
    push(text, start..block.end, found);
}

/// `3.2.` or `IV.`
fn is_number(word: &str) -> bool {
    let core = word.trim_end_matches('.');
    let roman = core.chars().all(|c| matches!(c, 'I' | 'V' | 'X' | 'L'));
    let decimal = core.chars().all(|c| c.is_ascii_digit() || c == '.');
    !core.is_empty() && core.len() < 8 && (roman || decimal)
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '.' | '!' | '?' | '"' | '\'' | '”' | '’' | '»' | ')' | ']'
    )
}

/// Whether the stop at `at` ends the sentence that began at `start`; `after` is what follows in the block.
fn ends_here(text: &str, start: usize, at: usize, after: Range<usize>) -> bool {
    let rest = &text[after];
    let next = rest.trim_start();
    if next.is_empty() {
        return true;
    }
    if matches!(text[at..].chars().next(), Some('。' | '！' | '？')) {
        return true;
    }
    if next.len() == rest.len() {
        return false;
    }
    let first = next
        .trim_start_matches(['"', '\'', '“', '‘', '(', '[', '«'])
        .chars()
        .next()
        .unwrap_or(' ');
    if first.is_lowercase() || matches!(first, ',' | ';' | ':') {
        return false;
    }
    if !text[at..].starts_with('.') {
        return true;
    }
    !is_abbreviation(&text[start..at], next)
}

/// Whether the word before a full stop is an abbreviation that goes on with `next`.
fn is_abbreviation(before: &str, next: &str) -> bool {
    let word_start = before
        .rfind(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '“' | '–' | '—' | '/'));
    let word = &before[word_start.map_or(0, |at| {
        at + before[at..].chars().next().map_or(1, char::len_utf8)
    })..];
    if word.is_empty() || word.len() > 8 {
        return false;
    }
    let lower = word.to_lowercase();
    if NEVER_LAST.contains(&lower.as_str()) {
        return true;
    }
    let next_word = next
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| !word.is_empty())
        .unwrap_or("");
    let number_next = next_word.starts_with(|c: char| c.is_ascii_digit());
    if BEFORE_NUMBERS.contains(&lower.as_str()) && word != "P" {
        return number_next || next_word.len() == 1;
    }
    if SOMETIMES_LAST.contains(&lower.as_str()) {
        return number_next || lower != "etc" && !STARTERS.contains(&next_word);
    }
    is_initial(word) && !STARTERS.contains(&next_word)
}

/// `J`, `J.-P`, `A.B`: capitals with stops, as in names.
fn is_initial(word: &str) -> bool {
    word.split(['.', '-'])
        .filter(|part| !part.is_empty())
        .all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(char::is_uppercase) && chars.next().is_none()
        })
}

/// Adds a range without the blanks around it, unless nothing is left.
fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let slice = &text[range.clone()];
    let trimmed = slice.trim_start();
    let start = range.start + slice.len() - trimmed.len();
    let end = start + trimmed.trim_end().len();
    if start < end {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[&str]) {
        let found: Vec<&str> = sentences(text)
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn stops_end_sentences() {
        check(
            "One is here. Two is there! Is three?  Yes.",
            &["One is here.", "Two is there!", "Is three?", "Yes."],
        );
        check(
            "He said \"no.\" She left (early.) Fine",
            &["He said \"no.\"", "She left (early.)", "Fine"],
        );
        check("Wait... what? Well.", &["Wait... what?", "Well."]);
    }

    #[test]
    fn abbreviations_do_not() {
        check(
            "Smith et al. (2020) agree. Done.",
            &["Smith et al. (2020) agree.", "Done."],
        );
        check(
            "See Fig. 3 and Eq. (4). It holds.",
            &["See Fig. 3 and Eq. (4).", "It holds."],
        );
        check(
            "Some, e.g. BERT, vs. i.e. GPT cf. Table 1.",
            &["Some, e.g. BERT, vs. i.e. GPT cf. Table 1."],
        );
        check(
            "Dr. J. R. Hobbs met Prof. A. Lee.",
            &["Dr. J. R. Hobbs met Prof. A. Lee."],
        );
        check(
            "The U.S. Army won. In the U.S. The law differs.",
            &["The U.S. Army won.", "In the U.S.", "The law differs."],
        );
    }

    #[test]
    fn numbers_keep_their_points() {
        check(
            "It rose 3.5 % to .53 in v1.2.3 of x.y. Next.",
            &["It rose 3.5 % to .53 in v1.2.3 of x.y.", "Next."],
        );
    }

    #[test]
    fn paragraphs_headings_and_items_are_apart() {
        check(
            "1 Introduction\n\nGraphs help\npeople. Yes",
            &["1 Introduction", "Graphs help\npeople.", "Yes"],
        );
        check(
            "We have:\n- one thing\n• two things. More\n1. First. Good",
            &[
                "We have:",
                "one thing",
                "two things.",
                "More",
                "First.",
                "Good",
            ],
        );
        check(
            "II. THE METHOD\n\n2.1. Names\n\nIt is V. Next",
            &["II. THE METHOD", "2.1. Names", "It is V. Next"],
        );
    }

    #[test]
    fn text_without_stops_is_cut() {
        let long = "word ".repeat(10_000);
        assert!(
            sentences(&long)
                .iter()
                .all(|range| range.len() <= MAX_LEN + 5)
        );
        let solid = "x".repeat(50_000);
        assert!(
            sentences(&solid)
                .iter()
                .all(|range| range.len() <= 2 * MAX_LEN)
        );
    }
}
