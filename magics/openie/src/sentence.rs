//! A sentence as the clause rules see it: words with a class made for English syntax.

use crate::repair::{join_hyphened, repaired, restore_verbs};
use crate::tag::{Class, Form, Tag};
use crate::tagger::{Judgement, Tagger};

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
    /// How far the tagger was from taking it for a finite verb
    pub(crate) verb_gap: i32,
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
#[rustfmt::skip]
pub(crate) const BE: [&str; 12] = [
    "is", "are", "was", "were", "be", "been", "being", "am", "'s", "'re", "'m", "’s",
];

pub(crate) const HAVE: [&str; 7] = ["have", "has", "had", "having", "'ve", "’ve", "'d"];

#[rustfmt::skip]
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
        .map(|(&text, Judgement { class, verb_gap })| {
            let lower = text.to_lowercase();
            Word {
                text,
                pos: pos(text, &lower, class),
                lower,
                form: class.form(),
                verb_gap,
            }
        })
        .collect();
    join_hyphened(&mut words);
    restore_verbs(&mut words);
    for i in 0..words.len() {
        let pos = repaired(&words, i);
        words[i].pos = pos;
        words[i].form = form(&words, i);
    }
    words
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
    let perfect = helper
        .is_some_and(|helper| helper.pos == Pos::Auxiliary && (helper.is(&BE) || helper.is(&HAVE)));
    let listed = i > 1
        && words[i - 1].pos == Pos::Conjunction
        && words[i - 2].form == Form::Participle
        && word.lower.ends_with("ed");
    match word.form {
        Form::None => Form::Finite,
        Form::Finite if listed => Form::Participle,
        Form::Finite if perfect && (word.lower.ends_with("ed") || word.lower.ends_with("en")) => {
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
