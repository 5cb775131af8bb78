//! What is known of a loaded encoder.

use std::fmt;
use std::path::Path;

/// What is known of a loaded encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderInfo {
    /// The last part of the name under which the model was published, else its directory's name.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// Values of one row.
    pub n_dims: usize,
    /// Tokens of a text at most, with the special ones; longer texts are cut.
    pub max_tokens: usize,
    /// Numbers that were learned and are used here.
    pub n_parameters: u64,
    /// Bytes of memory that the loaded model takes.
    pub n_bytes: u64,
    /// How the vectors of a text's tokens become one.
    pub pooling: Pooling,
    /// What is put before every text, because the model's files say so; mostly empty.
    pub prompt: String,
    /// Whether rows have length 1, so that a dot product is a cosine.
    pub normalised: bool,
    /// Whether images can be encoded.
    pub images: bool,
}

/// A family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// BERT, `MiniLM`, and all others of BERT's shape.
    Bert,
    /// `RoBERTa`.
    Roberta,
    /// `XLM-RoBERTa`, for many languages.
    XlmRoberta,
    /// Nomic BERT, for texts of up to 8,192 tokens.
    NomicBert,
    /// `ModernBERT`, for texts of up to 8,192 tokens.
    ModernBert,
    /// CLIP, for texts and images.
    Clip,
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The vector of the token that ends the text.
    End,
}

impl Family {
    /// The families that can be run, by the names that settings give them.
    pub(super) const SERVED: &'static str =
        "bert, roberta, xlm-roberta, nomic_bert, modernbert, clip";

    /// The family that a `model_type` names.
    pub(super) fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "bert" => Some(Self::Bert),
            "roberta" => Some(Self::Roberta),
            "xlm-roberta" => Some(Self::XlmRoberta),
            "nomic_bert" => Some(Self::NomicBert),
            "modernbert" => Some(Self::ModernBert),
            "clip" => Some(Self::Clip),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::XlmRoberta => "xlm-roberta",
            Self::NomicBert => "nomic_bert",
            Self::ModernBert => "modernbert",
            Self::Clip => "clip",
        })
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::End => "end",
        })
    }
}

/// A model's name for people, from where it came from or where it lies.
pub(super) fn name(directory: &Path, origin: &str) -> String {
    let last = origin.trim_end_matches('/').rsplit('/').next();
    match last {
        Some(last) if !last.is_empty() && last != "." => last.to_owned(),
        _ => directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}
