//! What is searched: items with a text, a source and fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::date::Date;

/// A document, a chunk of one, a row of a data frame or an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// Names it; adding another item with the same id replaces it.
    pub id: String,
    /// Searched with the text, and counts as a part of it.
    pub title: String,
    /// What is searched.
    pub text: String,
    /// Path or URL it comes from; may be empty.
    pub source: String,
    /// Bytes of the source it covers: start and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(u64, u64)>,
    /// Path of a small picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// Values for filters, by name.
    pub fields: BTreeMap<String, Value>,
}

impl Item {
    /// Whether there are words to find it by.
    pub(crate) fn has_words(&self) -> bool {
        [&self.title, &self.text]
            .iter()
            .any(|part| part.chars().any(char::is_alphanumeric))
    }
}

/// The first eight bytes of the SHA-256 of a serialized item.
pub(crate) fn digest(serialized: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&Sha256::digest(serialized)[..8]);
    u64::from_le_bytes(bytes)
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Any text.
    Text(String),
    /// A number; NaN and infinities count as absent.
    Number(f64),
    /// A day or a second.
    Date(Date),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::Date(_) => Kind::Date,
            Self::Bool(_) => Kind::Bool,
        }
    }
}

/// What kind of values a field has; one kind per name in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Days or seconds.
    Date,
    /// Yes or no.
    Bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Date => "date",
            Self::Bool => "truth value",
        })
    }
}
