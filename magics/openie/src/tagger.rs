//! Word classes for the words of a sentence.

use crate::tag::Tag;

/// Gives each word of a sentence its class.
#[derive(Debug, Clone)]
pub struct Tagger {
    _private: (),
}

impl Tagger {
    /// The tagger that comes with the crate.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: Tagger = Tagger { _private: () };
        &EMBEDDED
    }

    /// One tag for each word.
    pub fn tag(&self, words: &[&str]) -> Vec<Tag> {
        words
            .iter()
            .enumerate()
            .map(|(i, word)| guess(word, i == 0))
            .collect()
    }
}

/// Closed classes by list, open classes by ending and capital.
fn guess(word: &str, first: bool) -> Tag {
    const CLOSED: [(Tag, &str); 9] = [
        (
            Tag::Aux,
            " is are was were be been being am has have had do does did will would can could may might shall should must 's 're 've 'll 'd 'm ",
        ),
        (
            Tag::Det,
            " the a an this these those each every some any no all both either ",
        ),
        (
            Tag::Adp,
            " of in on at by for with from into onto over under between through during about against among within without toward towards via per ",
        ),
        (
            Tag::Pron,
            " he she it they we i you who which whom whose his her its their our my your him them us what itself themselves that ",
        ),
        (Tag::Cconj, " and or but nor "),
        (
            Tag::Sconj,
            " if because although while whereas since unless whether as than ",
        ),
        (Tag::Part, " to not n't "),
        (
            Tag::Adv,
            " also very more most often then there here now still only just even ",
        ),
        (
            Tag::Verb,
            " use uses used show shows make makes made give gives gave take takes took find finds found need needs become becomes became run runs ",
        ),
    ];
    let lower = word.to_lowercase();
    let padded = format!(" {lower} ");
    if let Some((tag, _)) = CLOSED.iter().find(|(_, list)| list.contains(&padded)) {
        return *tag;
    }
    let Some(c) = word.chars().next() else {
        return Tag::X;
    };
    if word.chars().all(|c| !c.is_alphanumeric()) {
        return if "$%+=<>".contains(c) {
            Tag::Sym
        } else {
            Tag::Punct
        };
    }
    match () {
        () if c.is_numeric() => Tag::Num,
        () if c.is_uppercase() && !first => Tag::Propn,
        () if lower.ends_with("ly") => Tag::Adv,
        () if lower.ends_with("ed") || lower.ends_with("ing") => Tag::Verb,
        () if ["ous", "ive", "able", "ible", "ical", "ful", "al"]
            .iter()
            .any(|end| lower.ends_with(end)) =>
        {
            Tag::Adj
        }
        () => Tag::Noun,
    }
}
