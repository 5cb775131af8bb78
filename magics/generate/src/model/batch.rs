//! What a decoder on any device asks of a batch.

use crate::error::GenerateError;
use crate::forward::{Batch, PAGE, Shape};

/// Refuses a batch that would read or write where nothing is.
pub(super) fn check(batch: &Batch, n_pages: usize, shape: &Shape) -> Result<(), GenerateError> {
    let n = batch.tokens.len();
    let mut next = 0;
    for (number, part) in batch.parts.iter().enumerate() {
        let wrong = if part.start != next || part.len == 0 || part.len > part.length {
            format!(
                "rows {}+{} of length {} behind row {next}",
                part.start, part.len, part.length
            )
        } else if part.pages.len() < part.length.div_ceil(PAGE) {
            format!("{} pages for {} tokens", part.pages.len(), part.length)
        } else if let Some(page) = part.pages.iter().find(|page| **page as usize >= n_pages) {
            format!("page {page} of {n_pages}")
        } else if part.length > shape.context {
            format!("{} tokens in a context of {}", part.length, shape.context)
        } else {
            next += part.len;
            continue;
        };
        return Err(step(format!("part {number} of a batch: {wrong}")));
    }
    if next != n {
        return Err(step(format!(
            "a batch of {n} tokens whose parts have {next}"
        )));
    }
    let vocabulary = shape.vocabulary;
    if let Some(token) = batch
        .tokens
        .iter()
        .find(|token| **token as usize >= vocabulary)
    {
        return Err(step(format!(
            "token {token} in a vocabulary of {vocabulary}"
        )));
    }
    match batch.rows.iter().find(|row| **row >= n) {
        Some(row) => Err(step(format!("row {row} of a batch of {n}"))),
        None => Ok(()),
    }
}

fn step(reason: String) -> GenerateError {
    GenerateError::Step { reason }
}
