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
