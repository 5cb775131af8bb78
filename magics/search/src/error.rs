//! What can go wrong with an index, and what to do about it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::item::Kind;

/// Why an index could not be made, opened, changed or searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file or folder could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the index is not what it should be.
    #[error("index file `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The index was written by a newer version of this program.
    #[error("index `{}` has format {found}, and this program knows format {known}", path.display())]
    Format {
        /// The directory of the index.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// There is an index where a new one was to be made.
    #[error("there is an index in `{}` already", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds other things than an index.
    #[error("no index in `{}`", path.display())]
    NotIndex {
        /// The directory.
        path: PathBuf,
    },
    /// Another writer has the index.
    #[error("index `{}` is being written by another process{}", path.display(), holder.map_or(String::new(), |pid| format!(": {pid}")))]
    Busy {
        /// The directory of the index.
        path: PathBuf,
        /// Process that holds the lock, if it said so.
        holder: Option<u32>,
    },
    /// Vectors have another length than those of the index.
    #[error("vectors have {found} dimensions, and those of the index have {wanted}")]
    Dims {
        /// Dimensions of the vectors that were given.
        found: usize,
        /// Dimensions of the vectors in the index.
        wanted: usize,
    },
    /// The number of values is not what items and dimensions make of it.
    #[error("{n_values} values are no vectors of {dims} dimensions for {n_items} items")]
    Shape {
        /// Values that were given.
        n_values: usize,
        /// Dimensions of a vector.
        dims: usize,
        /// Items, each with a vector.
        n_items: usize,
    },
    /// A vector holds a value that is not a finite number.
    #[error("vector {row} has a value that is not a finite number at position {column}: {value}")]
    NotFinite {
        /// The first vector with such a value, counted from 0.
        row: usize,
        /// Where in the vector.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A vector without direction has no cosine.
    #[error("vector {row} is zero, and zero has no direction")]
    ZeroVector {
        /// The first such vector, counted from 0.
        row: usize,
    },
    /// An item has nothing to be found by, or no id.
    #[error("item {row}, `{id}`, has {}", if id.is_empty() { "no id" } else { "no text, no title and no vector" })]
    EmptyItem {
        /// Position among the items that were given, from 0.
        row: usize,
        /// Its id.
        id: String,
    },
    /// Two items that were given together have one id.
    #[error("items {first} and {second} have the same id: `{id}`")]
    Duplicate {
        /// The id.
        id: String,
        /// Position of the first of them.
        first: usize,
        /// Position of the second.
        second: usize,
    },
    /// A field has values of another kind in the index.
    #[error(
        "field `{name}` of item `{id}` holds a {found}, and in this index `{name}` is a {wanted}"
    )]
    FieldKind {
        /// The field.
        name: String,
        /// The item.
        id: String,
        /// What the item has there.
        found: Kind,
        /// What the index has there.
        wanted: Kind,
    },
    /// A filter cannot be read.
    #[error("cannot read the filter at position {}: {what}\n  {filter}\n  {}", at.start + 1, caret(filter, at))]
    Filter {
        /// The whole filter.
        filter: String,
        /// Which bytes of it are in question.
        at: Range<usize>,
        /// What is wrong there.
        what: String,
        /// What could stand there: fields or operators.
        known: Vec<String>,
    },
    /// A date is written in a way that is not known.
    #[error("no date: `{text}`")]
    Date {
        /// What was given.
        text: String,
    },
    /// There is nothing to search for.
    #[error("the query has neither words nor a vector")]
    EmptyQuery,
    /// The mode needs words, and the query has none.
    #[error("the query has no words to search for: `{text}`")]
    NoWords {
        /// The text of the query.
        text: String,
    },
    /// The mode needs a vector, and the query or the index has none.
    #[error("{} has no vectors to search with", if *in_query { "the query" } else { "the index" })]
    NoVectors {
        /// Whether it is the query that lacks one.
        in_query: bool,
    },
    /// The work was stopped before anything was changed.
    #[error("the work was stopped")]
    Stopped,
    /// The word index failed.
    #[error("the word index in `{}` failed: {source}", path.display())]
    Words {
        /// The directory of the index.
        path: PathBuf,
        /// What it said.
        source: Box<tantivy::TantivyError>,
    },
}

impl SearchError {
    /// What to do next; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => {
                "is there room on the disk, and may this user write there?".to_owned()
            }
            Self::Damaged { .. } | Self::Words { .. } => {
                "restore the index from a copy, or remove its folder and build it again".to_owned()
            }
            Self::Format { .. } => "update the program, or build into another folder".to_owned(),
            Self::Exists { .. } => "add to it, or name another folder".to_owned(),
            Self::NotIndex { .. } => {
                "build an index there first, or name another folder".to_owned()
            }
            Self::Busy { .. } => "wait until it is done; searching goes on meanwhile".to_owned(),
            Self::Dims { .. } => {
                "one index holds vectors of one model: use the same model, or another folder"
                    .to_owned()
            }
            Self::NotFinite { .. } | Self::ZeroVector { .. } => {
                "was the model given empty input there?".to_owned()
            }
            Self::Duplicate { .. } => "make ids unique, or leave one of the two out".to_owned(),
            Self::FieldKind { .. } => {
                "give the field another name, convert its values, or remove the index and build it anew".to_owned()
            }
            Self::Filter { known, .. } if !known.is_empty() => {
                format!("known here: `{}`", known.join("`, `"))
            }
            Self::Date { .. } => "write it like 2024-05-01 or 2024-05-01T12:30:00".to_owned(),
            Self::NoWords { .. } => "give words, or search by vector".to_owned(),
            Self::NoVectors { in_query: false } => {
                "search by words, or add the items again with vectors".to_owned()
            }
            _ => String::new(),
        }
    }
}

/// Spaces and carets that point at a range of a one-line text.
fn caret(filter: &str, at: &Range<usize>) -> String {
    let before = filter.get(..at.start).unwrap_or(filter).chars().count();
    let width = filter
        .get(at.clone())
        .map_or(1, |text| text.chars().count())
        .max(1);
    format!("{}{}", " ".repeat(before), "^".repeat(width))
}

/// Says which file a failure of the operating system was about.
pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> SearchError + '_ {
    move |source| SearchError::File {
        path: path.to_owned(),
        source,
    }
}

/// Says which directory a failure of the word index was about; failures of the operating system and damage keep their file.
pub(crate) fn words(dir: &Path) -> impl Fn(tantivy::TantivyError) -> SearchError + '_ {
    use tantivy::TantivyError as T;
    use tantivy::directory::error::{OpenReadError, OpenWriteError};
    let named = |path: PathBuf| {
        if path.is_absolute() {
            path
        } else {
            dir.join(path)
        }
    };
    move |error| match error {
        T::IoError(io) => SearchError::File {
            path: dir.to_owned(),
            source: std::io::Error::new(io.kind(), io.to_string()),
        },
        T::OpenReadError(OpenReadError::FileDoesNotExist(path)) => SearchError::Damaged {
            path: named(path),
            what: "it is missing".to_owned(),
        },
        T::OpenReadError(OpenReadError::IoError { io_error, filepath })
        | T::OpenWriteError(OpenWriteError::IoError { io_error, filepath }) => SearchError::File {
            path: named(filepath),
            source: std::io::Error::new(io_error.kind(), io_error.to_string()),
        },
        T::DataCorruption(damage) => SearchError::Damaged {
            path: dir.to_owned(),
            what: format!("{damage:?}"),
        },
        other => SearchError::Words {
            path: dir.to_owned(),
            source: Box::new(other),
        },
    }
}
