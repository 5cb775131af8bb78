//! A sentence as the clause rules see it: words with a class made for English syntax.

use crate::tag::{Class, Form, Tag};
use crate::tagger::Tagger;

/// What a word does in its clause: universal tags, with the small words of English told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pos {
    Adjective,
    Adverb,
    Auxiliary,
    /// "and", "or", "but"
    Conjunction,
    Determiner,
    /// "my", "his", "whose"
    PossessivePronoun,
    /// "'s" that marks an owner
    Possessive,
    Noun,
    Name,
    Number,
    /// "not", "n't"
    Not,
    /// "to" before an infinitive
    To,
    Preposition,
    Pronoun,
    /// "who", "which", and "that" after a noun
    Relative,
    Mark,
    Subordinator,
    Symbol,
    Verb,
    Other,
}

/// One word of a sentence.
#[derive(Debug, Clone)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) lower: String,
    pub(crate) pos: Pos,
    pub(crate) form: Form,
}

impl Word<'_> {
    pub(crate) fn is(&self, words: &[&str]) -> bool {
        words.contains(&self.lower.as_str())
    }

    pub(crate) fn is_comma(&self) -> bool {
        self.text == ","
    }

    /// A mark no argument goes across.
    pub(crate) fn is_stop(&self) -> bool {
        matches!(
            self.text,
            "." | ";" | ":" | "?" | "!" | "--" | "—" | "–" | "..." | "…"
        ) || self.opens()
            || self.closes()
    }

    pub(crate) fn opens(&self) -> bool {
        matches!(self.text, "(" | "[" | "-LRB-" | "-lrb-" | "-LSB-")
    }

    pub(crate) fn closes(&self) -> bool {
        matches!(self.text, ")" | "]" | "-RRB-" | "-rrb-" | "-RSB-")
    }

    pub(crate) fn is_quote(&self) -> bool {
        matches!(
            self.text,
            "``" | "''" | "\"" | "“" | "”" | "`" | "'" | "‘" | "’"
        )
    }

    pub(crate) fn is_noun(&self) -> bool {
        matches!(self.pos, Pos::Noun | Pos::Name)
    }

    pub(crate) fn is_verbal(&self) -> bool {
        matches!(self.pos, Pos::Verb | Pos::Auxiliary)
    }
}

/// Forms of "to be".
pub(crate) const BE: [&str; 12] = [
    "is", "are", "was", "were", "be", "been", "being", "am", "'s", "'re", "'m", "’s",
];

const HAVE: [&str; 7] = ["have", "has", "had", "having", "'ve", "’ve", "'d"];

const MODALS: [&str; 14] = [
    "will", "would", "can", "could", "may", "might", "shall", "should", "must", "'ll", "wo", "ca",
    "cannot", "’ll",
];

/// The words of a sentence, tagged and with the tagger's commonest mistakes repaired.
pub(crate) fn words<'a>(texts: &[&'a str]) -> Vec<Word<'a>> {
    let classes = Tagger::embedded().classes(texts);
    let mut words: Vec<Word<'a>> = texts
        .iter()
        .zip(classes)
        .map(|(&text, class)| {
            let lower = text.to_lowercase();
            Word {
                text,
                pos: pos(text, &lower, class),
                lower,
                form: class.form(),
            }
        })
        .collect();
    join_hyphened(&mut words);
    for i in 0..words.len() {
        let pos = repaired(&words, i);
        words[i].pos = pos;
        words[i].form = form(&words, i);
    }
    words
}

/// In "per - share", "locking - in" and "FHA - insured" every part belongs to a noun phrase.
fn join_hyphened(words: &mut [Word]) {
    for i in 1..words.len().saturating_sub(1) {
        if !matches!(words[i].text, "-" | "‐" | "‑")
            || words[i - 1].pos == Pos::Mark
            || words[i + 1].pos == Pos::Mark
        {
            continue;
        }
        words[i].pos = Pos::Mark;
        if !words[i - 1].is_noun() && words[i - 1].pos != Pos::Number {
            words[i - 1].pos = Pos::Adjective;
        }
        if !words[i + 1].is_noun() && words[i + 1].pos != Pos::Number {
            words[i + 1].pos = Pos::Adjective;
        }
    }
}

fn pos(text: &str, lower: &str, class: Class) -> Pos {
    if matches!(text, "$" | "%" | "£" | "€" | "&" | "#" | "°" | "+" | "=") {
        return Pos::Symbol;
    }
    if text.chars().all(|c| !c.is_alphanumeric())
        || matches!(lower, "-lrb-" | "-rrb-" | "-lsb-" | "-rsb-")
    {
        return Pos::Mark;
    }
    if (BE.contains(&lower) || MODALS.contains(&lower))
        && !lower.starts_with(['\'', '’'])
        && class.tag() != Tag::Noun
        && class.tag() != Tag::Propn
    {
        return Pos::Auxiliary;
    }
    match class.tag() {
        Tag::Adj => Pos::Adjective,
        Tag::Adp => Pos::Preposition,
        Tag::Adv => Pos::Adverb,
        Tag::Aux => Pos::Auxiliary,
        Tag::Cconj => Pos::Conjunction,
        Tag::Det if lower == "whose" => Pos::PossessivePronoun,
        Tag::Det => Pos::Determiner,
        Tag::Noun => Pos::Noun,
        Tag::Num => Pos::Number,
        Tag::Part if matches!(lower, "not" | "n't" | "n’t") => Pos::Not,
        Tag::Part if lower == "to" => Pos::To,
        Tag::Part => Pos::Possessive,
        Tag::Pron => pronoun(lower),
        Tag::Propn => Pos::Name,
        Tag::Punct => Pos::Mark,
        Tag::Sconj => Pos::Subordinator,
        Tag::Sym => Pos::Symbol,
        Tag::Verb => Pos::Verb,
        Tag::Intj | Tag::X => Pos::Other,
    }
}

fn pronoun(lower: &str) -> Pos {
    match lower {
        "my" | "your" | "his" | "her" | "its" | "our" | "their" | "whose" => Pos::PossessivePronoun,
        "who" | "which" | "whom" | "that" | "what" | "where" | "when" | "how" | "why" => {
            Pos::Relative
        }
        _ => Pos::Pronoun,
    }
}

/// The class of word `i` in the light of its neighbours; those before it are repaired already.
fn repaired(words: &[Word], i: usize) -> Pos {
    let word = &words[i];
    let before = i.checked_sub(1).map(|i| &words[i]);
    let after = words.get(i + 1);
    let before_pos = before.map(|word| word.pos);
    let after_pos = after.map(|word| word.pos);
    let nominal_after = matches!(after_pos, Some(Pos::Noun | Pos::Name | Pos::Adjective));
    match word.lower.as_str() {
        "'" | "’"
            if before.is_some_and(|b| b.is_noun() && b.lower.ends_with('s'))
                && nominal_after
                && !opened_single(&words[..i]) =>
        {
            Pos::Possessive
        }
        "'s" | "’s" if word.pos != Pos::Auxiliary && word.pos != Pos::Pronoun => Pos::Possessive,
        "to" if after.is_some_and(|after| {
            after.pos == Pos::Verb && !matches!(after.form, Form::Participle | Form::Gerund)
        }) || after_pos == Some(Pos::Auxiliary) =>
        {
            Pos::To
        }
        "to" => Pos::Preposition,
        "her"
            if !matches!(
                after_pos,
                Some(Pos::Noun | Pos::Name | Pos::Adjective | Pos::Number | Pos::Verb)
            ) =>
        {
            Pos::Pronoun
        }
        "that"
            if word.pos == Pos::Subordinator
                || word.pos == Pos::Relative
                || word.pos == Pos::Determiner =>
        {
            that(words, i)
        }
        "which" | "who" | "whom" => Pos::Relative,
        "where" | "when" if before.is_some_and(|b| b.is_noun() || b.is_comma()) => {
            Pos::Subordinator
        }
        _ if word.pos == Pos::Subordinator
            && word.is(GERUND_PREPOSITIONS)
            && after.is_some_and(|after| after.form == Form::Gerund || after.lower == "being") =>
        {
            Pos::Preposition
        }
        _ if word.pos == Pos::Verb => verb(words, i, nominal_after),
        _ if matches!(word.pos, Pos::Noun | Pos::Adjective) && is_missed_verb(words, i) => {
            Pos::Verb
        }
        _ if word.pos == Pos::Adjective && ends_phrase(words, i) => Pos::Noun,
        _ if word.pos == Pos::Other => other(word),
        _ => word.pos,
    }
}

/// Prepositions that treebanks call subordinators before a form in -ing.
const GERUND_PREPOSITIONS: &[&str] = &[
    "of", "by", "for", "in", "from", "on", "with", "without", "after", "before", "at", "about",
    "into", "to", "through", "upon", "than", "like", "against", "despite", "besides", "over",
    "instead",
];

/// A word in -s or -ed between a noun and the start of another phrase: "the model outperforms all", "Apollo 11 landed on".
fn is_missed_verb(words: &[Word], i: usize) -> bool {
    let word = &words[i];
    let Some(before) = i.checked_sub(1).map(|i| &words[i]) else {
        return false;
    };
    let Some(after) = words.get(i + 1) else {
        return false;
    };
    if before.is_verbal()
        || !(before.is_noun() || before.pos == Pos::Number)
        || word.text.starts_with(char::is_uppercase)
    {
        return false;
    }
    let phrase = matches!(
        after.pos,
        Pos::Determiner | Pos::PossessivePronoun | Pos::Pronoun
    );
    let verbless = || {
        let clause_mark = |word: &&Word| {
            !(word.is_comma()
                || word.is_stop()
                || matches!(word.pos, Pos::Subordinator | Pos::Conjunction))
        };
        !words[..i]
            .iter()
            .rev()
            .take_while(clause_mark)
            .any(Word::is_verbal)
            && !words[i + 1..].iter().take_while(clause_mark).any(|word| {
                word.pos == Pos::Auxiliary || (word.pos == Pos::Verb && word.form == Form::Finite)
            })
    };
    let third = word.lower.ends_with('s') && !word.lower.ends_with("ss") && phrase;
    let past = word.lower.ends_with("ed") && (phrase || after.pos == Pos::Preposition);
    (third || past) && verbless()
}

/// An adjective where a noun phrase needs its noun: "its objective ,".
fn ends_phrase(words: &[Word], i: usize) -> bool {
    let opener = words[..i]
        .iter()
        .rev()
        .find(|word| word.pos != Pos::Adjective && word.text != "-");
    let opened = opener.is_some_and(|word| {
        matches!(word.pos, Pos::PossessivePronoun | Pos::Possessive) || word.is(&["the", "a", "an"])
    });
    let next = words.get(i + 1);
    let verb = next.is_some_and(|next| {
        next.is_verbal() || next.is_stop() || next.is_comma() || next.pos == Pos::Preposition
    });
    opened && verb
}

/// Whether a single quotation mark is still open.
fn opened_single(words: &[Word]) -> bool {
    words
        .iter()
        .rev()
        .take_while(|word| word.text != "'")
        .any(|word| word.text == "`" || word.text == "‘")
}

/// "that" after a noun and before a verb stands for the noun.
fn that(words: &[Word], i: usize) -> Pos {
    let verb_next = words[i + 1..]
        .iter()
        .find(|word| word.pos != Pos::Adverb)
        .is_some_and(Word::is_verbal);
    let plural = words.get(i + 1).is_some_and(|word| {
        matches!(
            word.pos,
            Pos::Determiner | Pos::Pronoun | Pos::Name | Pos::PossessivePronoun
        ) || (word.lower.ends_with('s') && word.pos == Pos::Noun)
            || (word.pos == Pos::Adjective
                && words
                    .get(i + 2)
                    .is_some_and(|noun| noun.pos == Pos::Noun && noun.lower.ends_with('s')))
    });
    if words[i].pos == Pos::Determiner && !verb_next && !plural {
        return Pos::Determiner;
    }
    let noun_before = i > 0
        && (words[i - 1].is_noun() || (words[i - 1].is_comma() && i > 1 && words[i - 2].is_noun()));
    match (noun_before, verb_next) {
        (true, true) => Pos::Relative,
        (false, true) if i > 0 && words[i - 1].is_verbal() || i == 0 => Pos::Pronoun,
        _ if words[i].pos == Pos::Relative => Pos::Relative,
        _ => Pos::Subordinator,
    }
}

/// Participles inside a noun phrase are adjectives; a "verb" right after a determiner is a noun.
fn verb(words: &[Word], i: usize, nominal_after: bool) -> Pos {
    let word = &words[i];
    let Some(before) = i.checked_sub(1).map(|i| &words[i]) else {
        return Pos::Verb;
    };
    let in_phrase = matches!(
        before.pos,
        Pos::Determiner | Pos::Possessive | Pos::PossessivePronoun
    ) && !before.is(&[
        "that", "which", "this", "those", "these", "all", "both", "each",
    ]);
    let participle =
        word.lower.ends_with("ed") || word.lower.ends_with("ing") || word.lower.ends_with("en");
    if participle
        && nominal_after
        && (in_phrase || matches!(before.pos, Pos::Adjective | Pos::Number))
    {
        return Pos::Adjective;
    }
    if in_phrase && nominal_after {
        Pos::Adjective
    } else if in_phrase {
        Pos::Noun
    } else {
        Pos::Verb
    }
}

/// A guess for words of no class.
fn other(word: &Word) -> Pos {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.lower.ends_with(ending));
    match word.text.chars().next() {
        Some(c) if c.is_numeric() => Pos::Number,
        Some(c) if c.is_uppercase() => Pos::Name,
        _ if ends(&["ly"]) => Pos::Adverb,
        _ if ends(&["ous", "ive", "able", "ible", "ical"]) => Pos::Adjective,
        _ => Pos::Noun,
    }
}

/// The form of a verb: past forms after "have" or "be" are participles, whatever the tagger took them for.
fn form(words: &[Word], i: usize) -> Form {
    let word = &words[i];
    if word.pos != Pos::Verb {
        return Form::None;
    }
    let helper = words[..i]
        .iter()
        .rev()
        .find(|word| !matches!(word.pos, Pos::Adverb | Pos::Not));
    let helped = helper
        .is_some_and(|helper| helper.pos == Pos::Auxiliary && (helper.is(&BE) || helper.is(&HAVE)));
    match word.form {
        Form::None => Form::Finite,
        Form::Finite if helped && (word.lower.ends_with("ed") || word.lower.ends_with("en")) => {
            Form::Participle
        }
        Form::Base
            if helper.is_none_or(|helper| !matches!(helper.pos, Pos::Auxiliary | Pos::To)) =>
        {
            Form::Finite
        }
        form => form,
    }
}
