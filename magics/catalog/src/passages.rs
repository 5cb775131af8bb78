//! Texts that vectors are made of: documents cut into passages, rows of frames.

use mlk8s_corpus::{Corpus, Document};
use polars::prelude::{DataFrame, DataType};

use crate::error::{ErrorKind, MagicError};
use crate::rows;

/// A stretch of a document.
pub(crate) struct Passage<'a> {
    pub(crate) document: &'a Document,
    /// Its number in the document, from 0.
    pub(crate) number: usize,
    /// Where it stands in the document's cleaned text, in bytes.
    pub(crate) range: std::ops::Range<usize>,
}

impl Passage<'_> {
    /// Its words.
    pub(crate) fn text(&self) -> &str {
        self.document.text[self.range.clone()].trim()
    }

    /// Its words without the document's title, which stands before them in the first passage and says nothing more there.
    pub(crate) fn body(&self) -> &str {
        let text = self.text();
        let rest = text
            .strip_prefix(self.document.title.as_str())
            .map(str::trim_start);
        rest.filter(|rest| !rest.is_empty()).unwrap_or(text)
    }

    /// What it is called.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.document.id, self.number)
    }
}

/// The documents in passages of at most `words` words.
pub(crate) fn passages(corpus: &Corpus, words: usize) -> Vec<Passage<'_>> {
    let mut all = Vec::new();
    for document in &corpus.documents {
        let chunks = mlk8s_corpus::chunks(&document.text, words.max(1));
        for (number, chunk) in chunks.into_iter().enumerate() {
            let passage = Passage {
                document,
                number,
                range: chunk.range,
            };
            if !passage.text().is_empty() {
                all.push(passage);
            }
        }
    }
    all
}

/// The column of `frame` that holds texts: the one that is named, or the only one, or `text`.
pub(crate) fn column(frame: &DataFrame, wanted: Option<&str>) -> Result<String, MagicError> {
    if let Some(name) = wanted {
        let column = rows::column(frame, name)?;
        if column.dtype() != &DataType::String {
            let message = format!("`{name}` holds {}, not texts", column.dtype());
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint("in a Rust cell `cast(&DataType::String)` makes texts of a column"));
        }
        return Ok(name.to_owned());
    }
    let texts: Vec<String> = frame
        .columns()
        .iter()
        .filter(|column| column.dtype() == &DataType::String)
        .map(|column| column.name().to_string())
        .collect();
    match texts.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(
            MagicError::new(ErrorKind::Input, "there is no column of texts")
                .with_hint("in a Rust cell `cast(&DataType::String)` makes texts of a column"),
        ),
        several => {
            let usual = several.iter().find(|name| name.as_str() == "text");
            usual.cloned().ok_or_else(|| {
                let known: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
                MagicError::new(
                    ErrorKind::Usage,
                    "several columns hold texts, and none was named",
                )
                .with_hint(format!("`--column` names one of {}", known.join(", ")))
            })
        }
    }
}

/// The texts of a column; one that is missing is empty.
pub(crate) fn texts(frame: &DataFrame, column: &str) -> Result<Vec<String>, MagicError> {
    let texts = frame.column(column)?.str()?;
    Ok(texts
        .iter()
        .map(|text| text.unwrap_or_default().to_owned())
        .collect())
}
