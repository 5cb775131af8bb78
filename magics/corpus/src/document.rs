//! What a read yields: documents, and files that could not be read with the reason.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clean::CleaningStep;
use crate::span::SpanMap;

/// A document: its text as extracted, its text as cleaned, and the way back from one to the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// 16 hexadecimal digits of SHA-256 over kind, file name and original bytes: the same file has the same id.
    pub id: String,
    /// Title as the file states it, else its first heading, else the file name.
    pub title: String,
    /// The file it was read from.
    pub source: PathBuf,
    /// The format it was read as.
    pub kind: Kind,
    /// Pages, where the format has pages.
    pub n_pages: Option<u32>,
    /// The text as extracted, in reading order.
    pub original: String,
    /// The cleaned text; paragraphs are separated by an empty line.
    pub text: String,
    /// What each cleaning rule did, in the order applied; rules that found nothing are listed too.
    pub steps: Vec<CleaningStep>,
    /// Maps byte ranges of `text` to byte ranges of `original`.
    pub spans: SpanMap,
    /// What the reader had to do to get at the text, for people: replaced bytes, pages without text.
    pub remarks: Vec<String>,
}

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// HTML, or XHTML.
    Html,
    /// Markdown, `CommonMark` with tables and front matter.
    Markdown,
    /// Plain text.
    Text,
    /// A record of a JSON object, array or JSON-lines file.
    Json,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pdf => "PDF",
            Self::Html => "HTML",
            Self::Markdown => "Markdown",
            Self::Text => "text",
            Self::Json => "JSON",
        })
    }
}

/// The documents of a read and the files that gave none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Corpus {
    /// Sorted by source, then by place in the source.
    pub documents: Vec<Document>,
    /// Sorted by source.
    pub unreadable: Vec<Unreadable>,
}

/// A file (or a record of a file) that gave no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The file.
    pub source: PathBuf,
    /// Why it gave none.
    pub reason: Reason,
}

/// Why a file gave no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Needs a password.
    Encrypted,
    /// Has pages but no text on them: a scan.
    NoText {
        /// Pages of the file.
        pages: u32,
    },
    /// Does not follow its format; the text says where.
    Broken(String),
    /// Holds nothing, or nothing but blanks.
    Empty,
    /// Larger than the options allow, as it lies on disk or once decompressed.
    TooLarge {
        /// Bytes found (at least).
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Has more pages than the options allow.
    TooManyPages {
        /// Pages of the file.
        pages: u32,
        /// Pages allowed.
        limit: u32,
    },
    /// Drawing the pages takes more steps than any honest document of its size.
    TooMuchWork {
        /// Steps allowed.
        limit: u64,
    },
    /// Has text, but no running text: the cleaning rules left nothing.
    NothingLeft,
    /// Not one of the formats read here.
    Unsupported,
    /// The same file name and content as another file of the read.
    Duplicate {
        /// The file that was kept.
        of: PathBuf,
    },
    /// The operating system did not give the file.
    Io(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => f.write_str("encrypted: needs a password"),
            Self::NoText { pages: 1 } => f.write_str("no text on its page: a scan?"),
            Self::NoText { pages } => write!(f, "no text on its {pages} pages: a scan?"),
            Self::Broken(what) => write!(f, "broken: {what}"),
            Self::Empty => f.write_str("empty"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "too large: {bytes} bytes, {limit} allowed")
            }
            Self::TooManyPages { pages, limit } => {
                write!(f, "too many pages: {pages}, {limit} allowed")
            }
            Self::TooMuchWork { limit } => write!(f, "too much to draw: more than {limit} steps"),
            Self::NothingLeft => f.write_str("no running text: nothing is left after cleaning"),
            Self::Unsupported => f.write_str("not a format that is read here"),
            Self::Duplicate { of } => write!(f, "the same as `{}`", of.display()),
            Self::Io(what) => write!(f, "not readable: {what}"),
        }
    }
}
