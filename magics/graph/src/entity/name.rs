//! Names: the form under which two ways of writing are the same, and what cannot be a name at all.

use unicode_normalization::UnicodeNormalization;

use super::lists::{AFTER_HEADS, BEFORE_NAMES, CALENDAR, GENERIC, SINGULAR, listed};

/// Longest name in words; a longer one is cut to its head.
const MOST_WORDS: usize = 8;
/// Words of the head that a long name is cut to.
const HEAD_WORDS: usize = 4;
/// Longest name in bytes.
const MOST_BYTES: usize = 100;

/// The form in which names are compared: small letters, no punctuation, no leading determiner, last word singular.
///
/// `The Knowledge-Graphs` and `knowledge graph` are the same; `U.S.` is `us`.
pub(crate) fn normal(name: &str) -> String {
    let plain = plain(name);
    let mut words: Vec<&str> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    while words.len() > 1 && listed(BEFORE_NAMES, words[0]) {
        words.remove(0);
    }
    let Some(last) = words.pop() else {
        return String::new();
    };
    let mut key = words.join(" ");
    if !key.is_empty() {
        key.push(' ');
    }
    push_singular(&mut key, last);
    key
}

/// Small letters and digits, everything else a space; a possessive `'s` is dropped, `U.S.` is `us`, `3.5` stays.
fn plain(name: &str) -> String {
    let composed: String;
    let name = if name.is_ascii() {
        name
    } else {
        composed = name.nfkc().collect();
        &composed
    };
    let chars: Vec<char> = name.chars().collect();
    let mut plain = String::with_capacity(name.len());
    let mut i = 0;
    while i < chars.len() {
        let (before, c, after) = (
            i.checked_sub(1).map(|b| chars[b]),
            chars[i],
            chars.get(i + 1).copied(),
        );
        let between = |is: fn(char) -> bool| before.is_some_and(is) && after.is_some_and(is);
        match c {
            _ if c.is_alphanumeric() => plain.extend(c.to_lowercase()),
            '+' | '#' if before.is_some_and(|b| b.is_alphanumeric() || b == '+') => plain.push(c),
            '.' if between(|c| c.is_ascii_digit()) => plain.push('.'),
            '.' if between(char::is_alphabetic) => {}
            '\'' | '’' => {
                let possessive = after.is_some_and(|a| a == 's' || a == 'S')
                    && chars.get(i + 2).is_none_or(|c| !c.is_alphanumeric());
                i += usize::from(possessive);
            }
            _ => plain.push(' '),
        }
        i += 1;
    }
    plain
}

fn push_singular(key: &mut String, word: &str) {
    let long = word.chars().count() > 3 && word.is_ascii() && !listed(SINGULAR, word);
    let ends = |ending: &str| word.ends_with(ending);
    let cut = |n: usize| &word[..word.len() - n];
    if !long || !ends("s") || ["ss", "us", "is", "ics", "'s"].iter().any(|e| ends(e)) {
        // Short acronyms have plurals too: `LMs`, but by then they are small letters, and `gas` is not `ga`.
        key.push_str(word);
    } else if ends("ies") && word.len() > 4 {
        key.push_str(cut(3));
        key.push('y');
    } else if ["sses", "shes", "ches", "xes", "zzes"]
        .iter()
        .any(|e| ends(e))
    {
        key.push_str(cut(2));
    } else {
        key.push_str(cut(1));
    }
}

/// The name, or its head when it is longer than a name is: `graph` of `graph of …`.
pub(crate) fn head(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    if words.len() <= MOST_WORDS && name.len() <= MOST_BYTES {
        return name.to_owned();
    }
    let ends = |word: &&str| listed(AFTER_HEADS, &word.to_lowercase());
    let end = words
        .iter()
        .skip(1)
        .position(ends)
        .map_or(words.len(), |at| at + 1);
    words[end.saturating_sub(HEAD_WORDS)..end].join(" ")
}

/// Whether a name with this normal form can be looked for at all: no bare numbers, dates, addresses, formulas.
pub(crate) fn usable(name: &str, key: &str) -> bool {
    let n_chars = name.chars().count();
    let n_plain = name
        .chars()
        .filter(|c| c.is_alphabetic() || *c == ' ')
        .count();
    let n_letters = key.chars().filter(|c| c.is_alphabetic()).count();
    let dated = key.split(' ').all(|word| {
        listed(CALENDAR, word) || word.chars().all(|c| !c.is_alphabetic()) || ordinal(word)
    });
    let address = ["http", "www.", "@", "\\", "://"]
        .iter()
        .any(|part| name.contains(part));
    n_letters >= 2
        && key.len() <= MOST_BYTES
        && n_plain * 2 >= n_chars
        && !(dated && key.chars().any(|c| c.is_ascii_digit()))
        && !address
}

/// Whether a name says something by itself; those that do not are no nodes of the visible graph.
pub(crate) fn telling(key: &str) -> bool {
    !listed(GENERIC, key) && !listed(CALENDAR, key) && !listed(BEFORE_NAMES, key)
}

/// Whether a word is a number with an ending, such as `19th` or `1990s`.
fn ordinal(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < word.len() && ["st", "nd", "rd", "th", "s"].contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_writing_meet_in_one_form() {
        for (name, key) in [
            ("The Knowledge-Graphs", "knowledge graph"),
            ("knowledge graph", "knowledge graph"),
            ("U.S.", "us"),
            ("GPT-3.5", "gpt 3.5"),
            ("Bob's stores", "bob store"),
            ("these two entities", "two entity"),
            ("Kubernetes", "kubernetes"),
            ("analysis", "analysis"),
            ("ﬁnite classes", "finite class"),
            ("C++", "c++"),
            ("the", "the"),
            ("…", ""),
        ] {
            assert_eq!(normal(name), key, "{name}");
        }
    }

    #[test]
    fn long_names_are_cut_to_their_heads() {
        assert_eq!(head("short name"), "short name");
        assert_eq!(
            head("the very large old knowledge graph of all the things in the world"),
            "large old knowledge graph"
        );
    }

    #[test]
    fn numbers_dates_addresses_and_formulas_are_no_names() {
        let usable = |name| usable(name, &normal(name));
        for name in [
            "x",
            "12",
            "3 May 1990",
            "the 1990s",
            "19th century",
            "https://a.b/c",
            "a_1 = b^{2}",
        ] {
            assert!(!usable(name), "{name}");
        }
        for name in ["BERT", "19th century novel", "May", "Windows 95", "QA"] {
            assert!(usable(name), "{name}");
        }
        assert!(!telling("number") && telling("knowledge graph"));
    }
}
