//! PDF: positioned glyphs from the file, then an own layout analysis into paragraphs in reading order.
//!
//! Word-sequence similarity with the LaTeX source of the running text (recall / precision of the longest matching
//! blocks) on the papers of `tests/fixtures/papers`; what is left over in our cleaned text is the title, captions,
//! section numbers and footnotes:
//!
//! | | two columns, Computer Modern | one column, Latin Modern | conference, Times |
//! |---|---|---|---|
//! | `pdftotext` | .725 / .569 | 1.000 / .807 | .920 / .712 |
//! | `pdftotext -layout` | .593 / .453 | .999 / .806 | .702 / .538 |
//! | `pdftotext -raw` (order of drawing) | .970 / .742 | .999 / .806 | .987 / .761 |
//! | pdf-extract 0.12 (order of drawing) | .970 / .741 | .999 / .807 | .987 / .762 |
//! | here, extracted | .970 / .743 | .999 / .807 | .987 / .762 |
//! | here, cleaned | 1.000 / .945 | 1.000 / .945 | .993 / .945 |
//!
//! A page of the conference paper printed by Chromium: `pdftotext` .998 / .991, pdf-extract .986 / .953, here 1.000 / .993.
//! The order of drawing is the order of reading in files that LaTeX makes, but not in general; here the order comes
//! from the places of the words, and a test shuffles them.

mod assemble;
mod blocks;
mod columns;
mod fonts;
mod furniture;
mod glyphs;
mod guard;
mod lines;
mod roles;
mod unpack;
mod words;

use std::sync::Arc;

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use self::fonts::Fonts;
use self::furniture::PageWords;
use self::glyphs::UNKNOWN;
use self::guard::Budget;
use super::Extracted;
use crate::document::{Kind, Reason};
use crate::read::ReadOptions;
use crate::watch::Watch;

/// Reads a PDF: text in reading order, with marks for what is no running text.
pub(crate) fn read(
    bytes: &[u8],
    options: &ReadOptions,
    watch: &dyn Watch,
) -> Result<Extracted, Reason> {
    let budget = Budget::new(options.max_bytes);
    budget.admit_file(bytes)?;
    let pdf = Pdf::new(Arc::new(bytes.to_vec())).map_err(|error| match error {
        LoadPdfError::Decryption(
            DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm,
        ) => Reason::Encrypted,
        LoadPdfError::Decryption(_) => {
            Reason::Broken("its encryption does not follow the format".to_owned())
        }
        LoadPdfError::Invalid => Reason::Broken("no table of objects was found".to_owned()),
    })?;
    let n_pages = pdf.pages().len() as u32;
    if n_pages == 0 {
        return Err(Reason::Broken("it has no pages".to_owned()));
    }
    if n_pages > options.max_pages {
        return Err(Reason::TooManyPages {
            pages: n_pages,
            limit: options.max_pages,
        });
    }
    let (mut pages, remarks) = pages(&pdf, &budget, watch)?;
    if pages.iter().all(|page| page.words.is_empty()) {
        return Err(Reason::NoText { pages: n_pages });
    }
    let furniture = furniture::take(&mut pages);
    let stated = pdf
        .metadata()
        .title
        .as_deref()
        .map(decode_title)
        .filter(|title| is_title(title));
    let assembled = assemble::assemble(pages, furniture);
    Ok(Extracted {
        kind: Kind::Pdf,
        title: assembled.title.or(stated),
        n_pages: Some(n_pages),
        original: assembled.text,
        marks: assembled.marks,
        remarks,
    })
}

/// The words of every page, and remarks on pages that have none or cannot be told.
fn pages(
    pdf: &Pdf,
    budget: &Budget,
    watch: &dyn Watch,
) -> Result<(Vec<PageWords>, Vec<String>), Reason> {
    let fonts = Fonts::new();
    let mut pages = Vec::new();
    let (mut n_unknown, mut n_known) = (0_usize, 0_usize);
    for page in pdf.pages().iter() {
        if watch.cancelled() {
            break;
        }
        let glyphs = glyphs::glyphs(page, &fonts, budget);
        budget.verdict()?;
        let unknown = glyphs.iter().filter(|glyph| glyph.c == UNKNOWN).count();
        n_unknown += unknown;
        n_known += glyphs.len() - unknown;
        let (width, height) = page.render_dimensions();
        pages.push(PageWords {
            width,
            height,
            words: words::words(&glyphs),
        });
    }
    if n_unknown > 4 * n_known {
        return Err(Reason::NoText {
            pages: pages.len() as u32,
        });
    }
    let mut remarks = Vec::new();
    if n_unknown > 0 {
        remarks.push(format!(
            "{n_unknown} of {} glyphs do not say which character they are",
            n_unknown + n_known
        ));
    }
    let blank = pages.iter().filter(|page| page.words.is_empty()).count();
    if blank > 0 {
        remarks.push(format!("{blank} of {} pages have no text", pages.len()));
    }
    Ok((pages, remarks))
}

/// Text strings of a PDF are UTF-16 with a mark, UTF-8 with a mark, or nearly Latin-1 (PDF 32000, 7.9.2.2).
fn decode_title(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0xef, 0xbb, 0xbf, ..] => {
            super::text::decode(bytes).0
        }
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// False for the names that programs put into the title field.
fn is_title(title: &str) -> bool {
    let lower = title.trim().to_lowercase();
    let program = ["microsoft word", "untitled", "powerpoint"]
        .iter()
        .any(|name| lower.starts_with(name));
    let file = [".dvi", ".tex", ".doc", ".docx", ".pdf"]
        .iter()
        .any(|ending| lower.ends_with(ending));
    lower.chars().filter(|c| c.is_alphabetic()).count() > 3 && !program && !file
}

#[cfg(test)]
mod tests;
