//! Words of a sentence as byte ranges, cut as the English Web Treebank cuts them.

use std::ops::Range;

/// Splits a sentence into words and punctuation marks.
///
/// Contractions are cut ("do|n't", "Mary|'s"), hyphens and slashes between letters too, while numbers, addresses,
/// abbreviations and initials stay whole. Ranges are bytes of `sentence`, in order and without overlap; every
/// character that is not white space belongs to one of them.
pub fn tokenize(sentence: &str) -> Vec<Range<usize>> {
    let mut words = Vec::with_capacity(sentence.len() / 5 + 1);
    let mut start = None;
    for (at, c) in sentence.char_indices() {
        match (start, c.is_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                cut(sentence, from..at, &mut words);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        cut(sentence, from..sentence.len(), &mut words);
    }
    words
}

/// Cuts one run of characters without white space.
fn cut(text: &str, mut run: Range<usize>, words: &mut Vec<Range<usize>>) {
    let mut tail = Vec::new();
    while let Some(c) = text[run.clone()].chars().next() {
        if run.len() == c.len_utf8() || !opens(c, &text[run.clone()]) {
            break;
        }
        let width = leading_mark(&text[run.clone()], c);
        words.push(run.start..run.start + width);
        run.start += width;
    }
    while let Some(c) = text[run.clone()].chars().next_back() {
        if run.len() == c.len_utf8() || !closes(c, &text[run.clone()], run.end == text.len()) {
            break;
        }
        let width = trailing_mark(&text[run.clone()], c);
        tail.push(run.end - width..run.end);
        run.end -= width;
    }
    if !run.is_empty() {
        cut_core(text, run, words);
    }
    words.extend(tail.into_iter().rev());
}

fn opens(c: char, run: &str) -> bool {
    match c {
        '\'' | '’' => !is_clitic(run),
        '@' | '#' | '_' | '.' | '-' | '+' | '~' => false,
        '–' | '—' => true,
        _ => !c.is_alphanumeric(),
    }
}

/// Width of the mark a run starts with: two back-quotes, two hyphens and the like stay together.
fn leading_mark(run: &str, c: char) -> usize {
    if c == '`' || c == '\'' {
        run.len() - run.trim_start_matches(c).len()
    } else {
        c.len_utf8()
    }
}

fn trailing_mark(run: &str, c: char) -> usize {
    if matches!(c, '.' | '!' | '?' | '\'' | '-') {
        run.len() - run.trim_end_matches(c).len()
    } else {
        c.len_utf8()
    }
}

fn closes(c: char, run: &str, last: bool) -> bool {
    match c {
        '.' => !is_abbreviation(run, last),
        '\'' | '’' => !run.to_ascii_lowercase().ends_with("s'") || run.len() > 2,
        '%' | '°' | '+' | '#' | '_' | '/' => {
            c == '%' || c == '°' || (c == '/' && !run.contains("://"))
        }
        ')' => !run.contains('(') || run.ends_with("))") || !run.contains("://"),
        _ => !c.is_alphanumeric(),
    }
}

/// "U.S.", "J.", "Mr." and such keep their full stop; the last word of the sentence only when it has an inner one.
fn is_abbreviation(run: &str, last: bool) -> bool {
    const TITLES: [&str; 31] = [
        "mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "sr.", "jr.", "inc.", "corp.", "co.", "ltd.",
        "vs.", "etc.", "fig.", "figs.", "eq.", "eqs.", "sec.", "al.", "cf.", "approx.", "no.",
        "vol.", "pp.", "gen.", "sen.", "rep.", "gov.", "e.g.", "i.e.",
    ];
    let body = &run[..run.len() - 1];
    if body.contains('.')
        && body
            .split('.')
            .all(|part| part.chars().count() <= 2 && part.chars().all(char::is_alphabetic))
    {
        return true;
    }
    if last {
        return false;
    }
    TITLES.contains(&run.to_lowercase().as_str())
        || (body.chars().count() == 1 && body.chars().all(char::is_uppercase))
}

fn is_clitic(word: &str) -> bool {
    matches!(
        word.trim_start_matches(['\'', '’'])
            .to_ascii_lowercase()
            .as_str(),
        "s" | "re" | "ve" | "ll" | "d" | "m" | "em" | "til" | "cause" | "n"
    )
}

/// Cuts a run that neither starts nor ends with a mark: contractions, hyphens, slashes.
fn cut_core(text: &str, run: Range<usize>, words: &mut Vec<Range<usize>>) {
    let word = &text[run.clone()];
    if word.contains("://")
        || word.starts_with("www.")
        || (word.contains('@') && word.contains('.'))
    {
        words.push(run);
        return;
    }
    let mut start = run.start;
    let marks: Vec<(usize, char)> = word.char_indices().collect();
    for (i, &(offset, c)) in marks.iter().enumerate() {
        let at = run.start + offset;
        let before = (i > 0).then(|| marks[i - 1].1);
        let after = marks.get(i + 1).map(|&(_, c)| c);
        if at < start || !cuts(c, before, after) {
            continue;
        }
        if start < at {
            cut_contraction(text, start..at, words);
        }
        words.push(at..at + c.len_utf8());
        start = at + c.len_utf8();
    }
    if start < run.end {
        cut_contraction(text, start..run.end, words);
    }
}

fn cuts(c: char, before: Option<char>, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return false;
    };
    let digits = before.is_numeric() && after.is_numeric();
    match c {
        '-' | '‐' | '‑' => {
            before.is_alphanumeric()
                && after.is_alphanumeric()
                && (before.is_alphabetic() || after.is_alphabetic() || digits)
        }
        '/' => before.is_alphabetic() || after.is_alphabetic(),
        '–' | '—' | '(' | ')' | '[' | ']' | '"' | '“' | '”' | ';' | '…' | '=' | '<' | '>' | '|'
        | '{' | '}' => true,
        ',' | ':' => !digits,
        _ => false,
    }
}

/// Cuts "don't" into "do" and "n't", "Mary's" into "Mary" and "'s", "cannot" into "can" and "not".
fn cut_contraction(text: &str, word: Range<usize>, words: &mut Vec<Range<usize>>) {
    let lower = text[word.clone()].to_ascii_lowercase().replace('’', "'");
    let back = |ending: &str| {
        text[word.clone()]
            .char_indices()
            .rev()
            .nth(ending.chars().count() - 1)
            .map(|(at, _)| word.start + at)
    };
    for ending in ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"] {
        if lower.len() > ending.len()
            && lower.ends_with(ending)
            && let Some(at) = back(ending).filter(|&at| at > word.start)
        {
            words.push(word.start..at);
            words.push(at..word.end);
            return;
        }
    }
    if lower == "cannot" {
        words.push(word.start..word.start + 3);
        words.push(word.start + 3..word.end);
    } else {
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::tokenize;

    fn check(sentence: &str, words: &Expect) {
        let found: Vec<&str> = tokenize(sentence)
            .into_iter()
            .map(|range| &sentence[range])
            .collect();
        words.assert_eq(&found.join(" "));
    }

    #[test]
    fn contractions_and_owners() {
        check(
            "They don't know Mary's dogs' names, can't they?",
            &expect!["They do n't know Mary 's dogs ' names , ca n't they ?"],
        );
        check(
            "I’ve seen that it’s John’s; we cannot go.",
            &expect!["I ’ve seen that it ’s John ’s ; we can not go ."],
        );
    }

    #[test]
    fn abbreviations_keep_their_stop() {
        check(
            "Dr. J. Smith of the U.S. met Smith et al. in Fig. 3.",
            &expect!["Dr. J. Smith of the U.S. met Smith et al. in Fig. 3 ."],
        );
        check("He lives in the U.S.", &expect!["He lives in the U.S."]);
    }

    #[test]
    fn hyphens_numbers_addresses_and_quotes() {
        check(
            "The state-of-the-art model got 1,234.5 points (95%) at https://a.org/b-c?d=1.",
            &expect![
                "The state - of - the - art model got 1,234.5 points ( 95 % ) at https://a.org/b-c?d=1 ."
            ],
        );
        check(
            "“Well-known”, she said: \"no\" -- and/or 'yes'...",
            &expect![[r#"“ Well - known ” , she said : " no " -- and / or ' yes ' ..."#]],
        );
        check(
            "CRISPR-Cas9, 1990–2000 and x=3",
            &expect!["CRISPR - Cas9 , 1990 – 2000 and x = 3"],
        );
    }

    #[test]
    fn nothing_is_lost_and_ranges_are_in_order() {
        for text in [
            "",
            "  ",
            "a",
            "'",
            "''",
            "(((",
            "ü-ß’s—é",
            "日本語。テスト",
            "a\u{a0}b",
            "n't",
            "'s",
            "..",
            "a..b",
        ] {
            let ranges = tokenize(text);
            let kept: String = ranges.iter().map(|range| &text[range.clone()]).collect();
            let plain: String = text.split_whitespace().collect();
            assert_eq!(kept, plain, "{text}");
            assert!(
                ranges.windows(2).all(|pair| pair[0].end <= pair[1].start),
                "{text}"
            );
        }
    }
}
