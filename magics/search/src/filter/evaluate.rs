//! Which items a filter lets through, column by column.

use std::io;

use tantivy::columnar::{Column as Values, DynamicColumn, StrColumn};
use tantivy::{Searcher, SegmentReader};

use super::{Column, Filter, Test};
use crate::vectors::Bits;

/// The rows of `alive` that the filter lets through; `rows` has the row of each document, per segment.
pub(crate) fn evaluate(
    filter: &Filter,
    searcher: &Searcher,
    rows: &[Vec<u32>],
    alive: &Bits,
) -> tantivy::Result<Bits> {
    let mut mask = alive.emptied();
    for (segment, rows) in searcher.segment_readers().iter().zip(rows) {
        let documents = in_segment(filter, segment)?;
        for (doc, &row) in (0..).zip(rows) {
            if documents.get(doc) {
                mask.set(row);
            }
        }
    }
    mask.and(alive);
    Ok(mask)
}

/// The documents of a segment that a filter lets through; bits beyond the last document may be set.
fn in_segment(filter: &Filter, segment: &SegmentReader) -> tantivy::Result<Bits> {
    let mut parts = match filter {
        Filter::Test(column, test) => return tested(column, test, segment),
        Filter::Not(inner) => {
            let mut documents = in_segment(inner, segment)?;
            documents.not();
            return Ok(documents);
        }
        Filter::And(parts) | Filter::Or(parts) => parts.iter(),
    };
    let Some(first) = parts.next() else {
        return Ok(Bits::none(segment.max_doc() as usize));
    };
    let mut documents = in_segment(first, segment)?;
    for part in parts {
        let other = in_segment(part, segment)?;
        if matches!(filter, Filter::And(_)) {
            documents.and(&other);
        } else {
            documents.or(&other);
        }
    }
    Ok(documents)
}

fn tested(column: &Column, test: &Test, segment: &SegmentReader) -> tantivy::Result<Bits> {
    let mut documents = Bits::none(segment.max_doc() as usize);
    // Numbers may have columns of several types, each for some documents.
    for handle in segment.fast_fields().dynamic_column_handles(&column.path)? {
        match (handle.open()?, test) {
            (DynamicColumn::I64(values), Test::Between(from, to)) => {
                select(
                    &values,
                    |value| (*from..=*to).contains(&(value as f64)),
                    &mut documents,
                );
            }
            (DynamicColumn::U64(values), Test::Between(from, to)) => {
                select(
                    &values,
                    |value| (*from..=*to).contains(&(value as f64)),
                    &mut documents,
                );
            }
            (DynamicColumn::F64(values), Test::Between(from, to)) => {
                select(
                    &values,
                    |value| (*from..=*to).contains(&value),
                    &mut documents,
                );
            }
            (DynamicColumn::Bool(values), Test::Truth(truth)) => {
                select(&values, |value| value == *truth, &mut documents);
            }
            (DynamicColumn::Str(texts), _) if *test != Test::Exists => {
                let fitting = terms(&texts, test)?;
                select(
                    texts.ords(),
                    |term| fitting.get(term as u32),
                    &mut documents,
                );
            }
            (DynamicColumn::I64(values), Test::Exists) => select(&values, |_| true, &mut documents),
            (DynamicColumn::U64(values), Test::Exists) => select(&values, |_| true, &mut documents),
            (DynamicColumn::F64(values), Test::Exists) => select(&values, |_| true, &mut documents),
            (DynamicColumn::Bool(values), Test::Exists) => {
                select(&values, |_| true, &mut documents);
            }
            (DynamicColumn::Str(texts), Test::Exists) => {
                select(texts.ords(), |_| true, &mut documents);
            }
            _ => {}
        }
    }
    Ok(documents)
}

fn select<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
    values: &Values<T>,
    fits: impl Fn(T) -> bool,
    documents: &mut Bits,
) {
    for doc in 0..values.num_docs() {
        if values.first(doc).is_some_and(&fits) {
            documents.set(doc);
        }
    }
}

/// The numbers of the texts of a column that fit: each distinct text is looked at once.
fn terms(texts: &StrColumn, test: &Test) -> io::Result<Bits> {
    let mut fitting = Bits::none(texts.num_terms());
    let mut stream = texts.dictionary().stream()?;
    let mut term = 0;
    while stream.advance() {
        let fits = std::str::from_utf8(stream.key()).is_ok_and(|text| match test {
            Test::Contains(part) => contains(text, part),
            Test::Is(whole) => text.to_lowercase() == *whole,
            Test::Text { from, to } => {
                from.as_ref().is_none_or(|(from, included)| {
                    text > from.as_str() || *included && text == from
                }) && to
                    .as_ref()
                    .is_none_or(|(to, included)| text < to.as_str() || *included && text == to)
            }
            _ => false,
        });
        if fits {
            fitting.set(term);
        }
        term += 1;
    }
    Ok(fitting)
}

/// Whether a text has a part that is given in small letters, whatever its own case.
fn contains(text: &str, part: &str) -> bool {
    if text.is_ascii() && part.is_ascii() {
        part.is_empty()
            || text
                .as_bytes()
                .windows(part.len())
                .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
    } else {
        text.to_lowercase().contains(part)
    }
}
