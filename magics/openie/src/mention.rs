//! Noun phrases fit to be nodes of a graph: no pronouns, no formulas, no citations, no figure numbers.

use std::ops::Range;

use crate::chunk::Phrases;
use crate::sentence::{Pos, Word};

/// Longest mention, in words.
const MAX_WORDS: usize = 8;

/// Words that only point or count and do not belong to a name.
#[rustfmt::skip]
const LEADING: &[&str] = &[
    "eleven", "twelve", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty",
    "ninety", "million", "billion", "trillion", "thousand", "hundred", "dozen", "many", "several",
    "few", "other", "such", "same", "own", "various", "different", "certain", "more", "most",
    "further", "another", "both", "all", "some", "any", "each", "every", "no", "one", "two",
    "three", "four", "five", "six", "seven", "eight", "nine", "ten", "first", "second", "third",
    "last", "next", "previous", "following", "numerous", "additional", "about", "almost", "only",
    "very", "former", "latter", "particular", "individual", "overall", "whole", "entire", "main",
    "recent", "current", "subsequent", "respective", "corresponding", "half", "much", "less",
    "least",
];

/// Nouns that say nothing by themselves.
#[rustfmt::skip]
const EMPTY: &[&str] = &[
    "fig", "fig.", "figs.", "eq", "eq.", "eqs.", "sec.", "tab.", "ref", "ref.", "pp.", "no.",
    "vol.", "figures", "tables", "sections", "way", "ways", "thing", "things", "lot", "kind",
    "kinds", "sort", "example", "examples", "fact", "case", "cases", "instance", "addition",
    "order", "part", "parts", "number", "numbers", "one", "ones", "other", "others", "something",
    "anything", "nothing", "everything", "someone", "anyone", "everyone", "time", "times",
    "today", "year", "years", "day", "days", "month", "months", "week", "weeks", "hour", "hours",
    "minute", "minutes", "second", "seconds", "moment", "end", "beginning", "top", "bottom",
    "rest", "majority", "use", "term", "terms", "hand", "contrast", "particular", "general",
    "sense", "point", "respect", "et", "al", "al.", "ie", "eg", "i.e.", "e.g.", "etc", "etc.",
    "vs", "cf", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "work", "paper", "section", "figure", "table", "appendix",
    "result", "results", "set", "type", "types", "form", "respectively", "thanks", "percent",
    "per", "bit", "couple", "series", "variety", "range", "total", "need",
];

/// Parts of an article that are numbered.
#[rustfmt::skip]
const NUMBERED: &[&str] = &[
    "figure", "figures", "fig", "fig.", "figs.", "table", "tables", "tab.", "section", "sections",
    "sec.", "sect.", "equation", "equations", "eq", "eq.", "eqs.", "appendix", "chapter",
    "algorithm", "theorem", "lemma", "ref", "ref.", "refs.", "page", "pp.", "no.", "vol.", "step",
    "line", "panel", "footnote", "arxiv", "doi",
];

/// Nouns that make one name with the person before "'s": "Bayes' theorem".
#[rustfmt::skip]
pub(crate) const EPONYMS: &[&str] = &[
    "theorem", "law", "laws", "algorithm", "disease", "syndrome", "method", "equation",
    "equations", "principle", "paradox", "test", "distribution", "rule", "effect", "formula",
    "conjecture", "lemma", "constant", "number", "transform", "filter", "code", "inequality",
    "criterion", "score", "coefficient", "index", "day",
];

/// Word ranges of the mentions of a sentence, with whether each ends in a name, in order.
pub(crate) fn mentions(words: &[Word], phrases: &Phrases) -> Vec<(Range<usize>, bool)> {
    let mut mentions: Vec<(Range<usize>, bool)> = Vec::new();
    for phrase in &phrases.all {
        for part in parts(words, phrase) {
            let Some(mention) = trimmed(words, part) else {
                continue;
            };
            let proper = words[mention.end - 1].pos == Pos::Name;
            let capital = words[mention.start].text.starts_with(char::is_uppercase);
            match mentions.last_mut() {
                Some((last, true)) if capital && joined_by_of(words, last, &mention) => {
                    last.end = mention.end;
                }
                _ => mentions.push((mention, proper)),
            }
        }
    }
    mentions.retain(|(mention, _)| says_something(words, mention));
    mentions
}

/// Owner and owned apart, unless they make one name.
fn parts(words: &[Word], phrase: &Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::with_capacity(1);
    let mut start = phrase.start;
    for mark in phrase
        .clone()
        .filter(|&at| words[at].pos == Pos::Possessive)
    {
        let one_name = words[mark - 1].pos == Pos::Name
            && mark + 1 < phrase.end
            && words[phrase.end - 1].is(EPONYMS);
        if !one_name {
            parts.push(start..mark);
            start = mark + 1;
        }
    }
    parts.push(start..phrase.end);
    parts
}

/// Without determiners, quantities, marks at the ends, and the common noun that introduces a name.
fn trimmed(words: &[Word], part: Range<usize>) -> Option<Range<usize>> {
    let drops = |word: &Word| {
        matches!(
            word.pos,
            Pos::Determiner
                | Pos::PossessivePronoun
                | Pos::Pronoun
                | Pos::Mark
                | Pos::Symbol
                | Pos::Adverb
        ) || word.is(LEADING)
            || (word.pos == Pos::Number && !word.text.contains(char::is_alphabetic))
    };
    let mut start = part.start;
    while start < part.end && drops(&words[start]) {
        start += 1;
    }
    let mut end = part.end;
    while end > start
        && matches!(
            words[end - 1].pos,
            Pos::Mark | Pos::Symbol | Pos::Possessive | Pos::Pronoun | Pos::Adjective | Pos::Adverb
        )
    {
        end -= 1;
    }
    if start >= end || !(words[end - 1].is_noun() || numbered_name(words, start..end)) {
        return None;
    }
    let names = (start..end)
        .rev()
        .take_while(|&at| words[at].pos == Pos::Name)
        .last();
    if let Some(first) = names.filter(|&first| first > start && words[first - 1].pos == Pos::Noun) {
        let lower = words[first - 1].text.chars().all(char::is_lowercase);
        if lower
            && words[first..end]
                .iter()
                .any(|word| word.text.chars().count() > 1)
        {
            start = first;
        }
    }
    Some(start..end)
}

/// "GPT 4", "Apollo 11": a name with a number.
fn numbered_name(words: &[Word], range: Range<usize>) -> bool {
    range.len() >= 2
        && words[range.end - 1].pos == Pos::Number
        && words[range.end - 2].pos == Pos::Name
}

fn joined_by_of(words: &[Word], last: &Range<usize>, next: &Range<usize>) -> bool {
    let between = &words[last.end..next.start];
    let preposition = between.first().filter(|word| word.is(&["of", "for"]));
    let Some(preposition) = preposition else {
        return false;
    };
    let body = words[last.end - 1].is(BODIES);
    let joins = body || (preposition.lower == "of" && last.len() == 1);
    joins
        && between[1..].iter().all(|word| word.lower == "the")
        && next.end - last.start <= MAX_WORDS
}

/// What names of places, bodies and works have before "of": "University of Washington", but not "Ada Lovelace of London".
#[rustfmt::skip]
const BODIES: &[&str] = &[
    "university", "institute", "institution", "college", "school", "academy", "department",
    "ministry", "faculty", "centre", "center", "laboratory", "bank", "house", "museum", "library",
    "society", "association", "council", "board", "bureau", "office", "court", "church", "order",
    "union", "league", "republic", "kingdom", "states", "state", "city", "isle", "gulf", "bay",
    "cape", "battle", "treaty", "siege", "duke", "king", "queen", "prince", "bishop",
    "archbishop", "lord", "journal", "proceedings", "annals", "history", "book", "tower",
    "statue", "temple", "hall", "commission", "committee", "organization", "organisation",
    "agency", "foundation", "fund", "federation", "chamber", "secretary", "minister", "president",
    "director", "master", "bachelor", "doctor", "game", "tree", "bill", "declaration",
    "encyclopedia", "dictionary", "theory", "district", "province", "county",
];

/// Parts of dates.
#[rustfmt::skip]
const DATES: &[&str] = &[
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "jan.", "feb.", "mar.", "apr.", "jun.", "jul.", "aug.",
    "sep.", "sept.", "oct.", "nov.", "dec.", "early", "late", "mid", "monday", "tuesday",
    "wednesday", "thursday", "friday", "saturday", "sunday", "spring", "summer", "autumn",
    "winter",
];

/// Letters enough, no formula, no address, no citation, no empty noun.
fn says_something(words: &[Word], mention: &Range<usize>) -> bool {
    let words = &words[mention.clone()];
    if words.len() > MAX_WORDS || (words.len() == 1 && words[0].is(EMPTY)) {
        return false;
    }
    if words[0].is(NUMBERED)
        && words
            .get(1)
            .is_some_and(|word| word.pos == Pos::Number || word.text.chars().count() <= 2)
    {
        return false;
    }
    if words
        .iter()
        .all(|word| word.is(DATES) || word.pos == Pos::Number)
    {
        return false;
    }
    let odd = |c: char| {
        matches!(
            c,
            '=' | '<'
                | '>'
                | '^'
                | '\\'
                | '{'
                | '}'
                | '@'
                | '|'
                | '~'
                | '∑'
                | '∈'
                | '≤'
                | '≥'
                | '['
                | ']'
                | '*'
                | '_'
                | '→'
                | '×'
        )
    };
    if words.iter().any(|word| {
        word.text.contains(odd) || word.text.contains("://") || word.lower.starts_with("www.")
    }) {
        return false;
    }
    let code = |word: &Word| {
        word.text.starts_with(char::is_uppercase) && word.text.contains(char::is_numeric)
    };
    let wordlike =
        |word: &Word| code(word) || word.text.chars().filter(|c| c.is_alphabetic()).count() >= 2;
    words.iter().any(wordlike)
        && words
            .last()
            .is_some_and(|word| wordlike(word) || words.len() > 1)
}
