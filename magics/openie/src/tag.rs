//! Word classes: the universal part-of-speech tags, and the verb forms the clause rules need besides.

use serde::{Deserialize, Serialize};

/// A universal part-of-speech tag (UPOS, <https://universaldependencies.org/u/pos/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Tag {
    /// Adjective
    Adj,
    /// Preposition or postposition
    Adp,
    /// Adverb
    Adv,
    /// Auxiliary, modal or copula
    Aux,
    /// Coordinating conjunction
    Cconj,
    /// Determiner
    Det,
    /// Interjection
    Intj,
    /// Common noun
    Noun,
    /// Numeral
    Num,
    /// Particle: infinitive "to", "not", possessive "'s"
    Part,
    /// Pronoun
    Pron,
    /// Proper noun
    Propn,
    /// Punctuation
    Punct,
    /// Subordinating conjunction
    Sconj,
    /// Symbol
    Sym,
    /// Full verb
    Verb,
    /// Anything else
    X,
}

impl Tag {
    /// Every tag, in the order of the enumeration.
    pub const ALL: [Self; 17] = [
        Self::Adj,
        Self::Adp,
        Self::Adv,
        Self::Aux,
        Self::Cconj,
        Self::Det,
        Self::Intj,
        Self::Noun,
        Self::Num,
        Self::Part,
        Self::Pron,
        Self::Propn,
        Self::Punct,
        Self::Sconj,
        Self::Sym,
        Self::Verb,
        Self::X,
    ];

    /// The tag's name in treebanks, such as `NOUN`.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON",
            "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
        ];
        NAMES[self as usize]
    }

    /// The tag of that name in treebanks.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.name() == name)
    }
}

/// What the tagger tells apart: the universal tags, with verbs by form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Not a full verb
    None,
    /// Present or past tense
    Finite,
    /// Infinitive or imperative
    Base,
    /// Past participle
    Participle,
    /// Form in -ing
    Gerund,
}

/// Number of classes: a tag each, then the forms of verbs that are not finite.
pub(crate) const N_CLASSES: usize = 20;

/// A universal tag together with the form of a verb, as a number below [`N_CLASSES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class(pub(crate) u8);

impl Class {
    /// The class of a word that a treebank gives these universal and Penn tags.
    pub(crate) fn of(tag: Tag, penn: &str) -> Self {
        Self(match (tag, penn) {
            (Tag::Verb, "VB") => 17,
            (Tag::Verb, "VBN") => 18,
            (Tag::Verb, "VBG") => 19,
            _ => tag as u8,
        })
    }

    pub(crate) fn tag(self) -> Tag {
        Tag::ALL
            .get(usize::from(self.0))
            .copied()
            .unwrap_or(Tag::Verb)
    }

    pub(crate) fn form(self) -> Form {
        match self.0 {
            15 => Form::Finite,
            17 => Form::Base,
            18 => Form::Participle,
            19 => Form::Gerund,
            _ => Form::None,
        }
    }
}
