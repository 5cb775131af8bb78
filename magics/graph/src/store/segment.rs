//! A segment: some documents with what was found in them, as four Parquet tables in a folder.
//!
//! Rows refer to rows: a sentence to its document, mentions and triples to their sentence; `mention` columns of
//! triples count the mentions of the same sentence. All other numbers are bytes of the document's text.

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use polars::df;
use polars::prelude::{
    ChunkedArray, DataFrame, DataType, IntoColumn, IntoSeries, ListBuilderTrait,
    ListPrimitiveChunkedBuilder, ParquetReader, ParquetWriter, PolarsResult, SerReader, UInt32Type,
};

use super::manifest::sync_folder;
use crate::error::{GraphError, at};
use crate::extract::{Analysed, Mention, Sentence, Span, Text, Triple};

const DOCUMENTS: &str = "documents.parquet";
const SENTENCES: &str = "sentences.parquet";
const MENTIONS: &str = "mentions.parquet";
const TRIPLES: &str = "triples.parquet";

/// Writes `documents` as the segment `name` below `segments`; it counts once a manifest names it.
pub(super) fn write(segments: &Path, name: &str, documents: &[Analysed]) -> Result<(), GraphError> {
    let unfinished = segments.join(format!("{name}.unfinished"));
    fs::create_dir_all(&unfinished).map_err(at(&unfinished))?;
    let sentences: Vec<(u32, &Sentence)> = documents
        .iter()
        .enumerate()
        .flat_map(|(row, document)| document.sentences.iter().map(move |s| (row as u32, s)))
        .collect();
    let tables = [
        (DOCUMENTS, document_table(documents)),
        (SENTENCES, sentence_table(&sentences)),
        (MENTIONS, mention_table(&sentences)),
        (TRIPLES, triple_table(&sentences)),
    ];
    for (file, table) in tables {
        let path = unfinished.join(file);
        let wrong = |source| GraphError::Table {
            path: path.clone(),
            source,
        };
        let mut table = table.map_err(wrong)?;
        let mut out = File::create(&path).map_err(at(&path))?;
        ParquetWriter::new(&mut out)
            .finish(&mut table)
            .map_err(wrong)?;
        out.sync_all().map_err(at(&path))?;
    }
    sync_folder(&unfinished)?;
    let finished = segments.join(name);
    fs::rename(&unfinished, &finished).map_err(at(&finished))?;
    sync_folder(segments)
}

/// Reads the segment in the folder `dir`.
pub(super) fn read(dir: &Path) -> Result<Vec<Analysed>, GraphError> {
    let table = |file: &str| -> Result<DataFrame, GraphError> {
        let path = dir.join(file);
        let input = File::open(&path).map_err(at(&path))?;
        ParquetReader::new(input)
            .finish()
            .map_err(|error| GraphError::Damaged {
                path,
                what: error.to_string(),
            })
    };
    let damaged = |what: String| GraphError::Damaged {
        path: dir.to_owned(),
        what,
    };
    let wrong = |error: polars::error::PolarsError| damaged(error.to_string());
    let mut documents = read_documents(&table(DOCUMENTS)?).map_err(wrong)?;
    let mut sentences = read_sentences(&table(SENTENCES)?).map_err(wrong)?;
    let mentions = add_mentions(&mut sentences, &table(MENTIONS)?).map_err(wrong)?;
    let triples = add_triples(&mut sentences, &table(TRIPLES)?).map_err(wrong)?;
    if !(mentions && triples) {
        return Err(damaged(
            "a row points at a sentence that does not exist".to_owned(),
        ));
    }
    for (row, sentence) in sentences {
        let Some(document) = documents.get_mut(row as usize) else {
            return Err(damaged(format!(
                "a sentence is of document {row}, which does not exist"
            )));
        };
        document.sentences.push(sentence);
    }
    match documents.iter().find(|document| !consistent(document)) {
        Some(document) => Err(damaged(format!(
            "places in document {} do not exist",
            document.text.id
        ))),
        None => Ok(documents),
    }
}

/// Whether every place and index points at something; later code relies on it.
fn consistent(document: &Analysed) -> bool {
    let text = document.text.body.as_str();
    let place = |span: &Span| text.get(span.start as usize..span.end as usize).is_some();
    document.sentences.iter().all(|sentence| {
        let known = |&mention: &u32| (mention as usize) < sentence.mentions.len();
        place(&sentence.span)
            && sentence.mentions.iter().all(|mention| place(&mention.span))
            && sentence.triples.iter().all(|triple| {
                place(&triple.subject)
                    && place(&triple.object)
                    && triple.subject_mention.iter().all(known)
                    && triple.object_mentions.iter().all(known)
            })
    })
}

fn document_table(documents: &[Analysed]) -> PolarsResult<DataFrame> {
    let texts = || documents.iter().map(|document| &document.text);
    df!(
        "id" => texts().map(|t| t.id.as_str()).collect::<Vec<_>>(),
        "title" => texts().map(|t| t.title.as_str()).collect::<Vec<_>>(),
        "source" => texts().map(|t| t.source.as_str()).collect::<Vec<_>>(),
        "kind" => texts().map(|t| t.kind.as_str()).collect::<Vec<_>>(),
        "text" => texts().map(|t| t.body.as_str()).collect::<Vec<_>>(),
    )
}

fn sentence_table(sentences: &[(u32, &Sentence)]) -> PolarsResult<DataFrame> {
    df!(
        "document" => sentences.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        "passage" => sentences.iter().map(|(_, s)| s.passage).collect::<Vec<_>>(),
        "start" => sentences.iter().map(|(_, s)| s.span.start).collect::<Vec<_>>(),
        "end" => sentences.iter().map(|(_, s)| s.span.end).collect::<Vec<_>>(),
    )
}

fn mention_table(sentences: &[(u32, &Sentence)]) -> PolarsResult<DataFrame> {
    let rows: Vec<(u32, &Mention)> = sentences
        .iter()
        .enumerate()
        .flat_map(|(row, (_, s))| s.mentions.iter().map(move |m| (row as u32, m)))
        .collect();
    df!(
        "sentence" => rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        "start" => rows.iter().map(|(_, m)| m.span.start).collect::<Vec<_>>(),
        "end" => rows.iter().map(|(_, m)| m.span.end).collect::<Vec<_>>(),
        "name" => rows.iter().map(|(_, m)| m.name.as_str()).collect::<Vec<_>>(),
        "proper" => rows.iter().map(|(_, m)| m.proper).collect::<Vec<_>>(),
    )
}

fn triple_table(sentences: &[(u32, &Sentence)]) -> PolarsResult<DataFrame> {
    let rows: Vec<(u32, &Triple)> = sentences
        .iter()
        .enumerate()
        .flat_map(|(row, (_, s))| s.triples.iter().map(move |t| (row as u32, t)))
        .collect();
    let n_objects = rows.iter().map(|(_, t)| t.object_mentions.len()).sum();
    let mut objects = ListPrimitiveChunkedBuilder::<UInt32Type>::new(
        "object_mentions".into(),
        rows.len(),
        n_objects,
        DataType::UInt32,
    );
    for (_, triple) in &rows {
        objects.append_slice(&triple.object_mentions);
    }
    let column =
        |number: fn(&Triple) -> u32| rows.iter().map(|(_, t)| number(t)).collect::<Vec<_>>();
    let adverbial = |number: fn(&Span) -> u32| {
        let of = |(_, t): &(u32, &Triple)| t.adverbial.as_ref().map(number);
        rows.iter().map(of).collect::<Vec<Option<u32>>>()
    };
    let mut table = df!(
        "sentence" => rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        "subject_start" => column(|t| t.subject.start),
        "subject_end" => column(|t| t.subject.end),
        "relation" => rows.iter().map(|(_, t)| t.relation.as_str()).collect::<Vec<_>>(),
        "relation_start" => column(|t| t.relation_span.start),
        "relation_end" => column(|t| t.relation_span.end),
        "object_start" => column(|t| t.object.start),
        "object_end" => column(|t| t.object.end),
        "adverbial_start" => adverbial(|span| span.start),
        "adverbial_end" => adverbial(|span| span.end),
        "confidence" => rows.iter().map(|(_, t)| t.confidence).collect::<Vec<_>>(),
        "subject_mention" => rows.iter().map(|(_, t)| t.subject_mention).collect::<Vec<_>>(),
        "by_model" => rows.iter().map(|(_, t)| t.by_model).collect::<Vec<_>>(),
    )?;
    table.with_column(objects.finish().into_series().into_column())?;
    Ok(table)
}

fn read_documents(table: &DataFrame) -> PolarsResult<Vec<Analysed>> {
    let [id, title, source, kind, text] = ["id", "title", "source", "kind", "text"]
        .map(|name| table.column(name).and_then(|c| c.str()));
    let (id, title, source, kind, text) = (id?, title?, source?, kind?, text?);
    let rows = 0..table.height();
    Ok(rows
        .map(|row| Analysed {
            text: Text {
                id: id.get(row).unwrap_or_default().to_owned(),
                title: title.get(row).unwrap_or_default().to_owned(),
                source: source.get(row).unwrap_or_default().to_owned(),
                kind: kind.get(row).unwrap_or_default().to_owned(),
                body: text.get(row).unwrap_or_default().to_owned(),
            },
            sentences: Vec::new(),
        })
        .collect())
}

fn numbers(table: &DataFrame, name: &str) -> PolarsResult<Vec<Option<u32>>> {
    let column: &ChunkedArray<UInt32Type> = table.column(name)?.u32()?;
    Ok(column.iter().collect())
}

/// Spans from a column of starts and one of ends.
fn spans(table: &DataFrame, start: &str, end: &str) -> PolarsResult<Vec<Option<Range<u32>>>> {
    let pairs = numbers(table, start)?.into_iter().zip(numbers(table, end)?);
    Ok(pairs.map(|(start, end)| Some(start?..end?)).collect())
}

fn read_sentences(table: &DataFrame) -> PolarsResult<Vec<(u32, Sentence)>> {
    let (documents, passages) = (numbers(table, "document")?, numbers(table, "passage")?);
    let spans = spans(table, "start", "end")?;
    let rows = documents.into_iter().zip(passages).zip(spans);
    Ok(rows
        .map(|((document, passage), span)| {
            let sentence = Sentence {
                span: span.unwrap_or_default(),
                passage: passage.unwrap_or_default(),
                ..Sentence::default()
            };
            (document.unwrap_or(u32::MAX), sentence)
        })
        .collect())
}

/// Adds the mentions to their sentences; false when one points nowhere.
fn add_mentions(sentences: &mut [(u32, Sentence)], table: &DataFrame) -> PolarsResult<bool> {
    let rows = numbers(table, "sentence")?;
    let spans = spans(table, "start", "end")?;
    let (names, proper) = (
        table.column("name")?.str()?,
        table.column("proper")?.bool()?,
    );
    for (i, (row, span)) in rows.into_iter().zip(spans).enumerate() {
        let Some((_, sentence)) = row.and_then(|row| sentences.get_mut(row as usize)) else {
            return Ok(false);
        };
        sentence.mentions.push(Mention {
            span: span.unwrap_or_default(),
            name: names.get(i).unwrap_or_default().to_owned(),
            proper: proper.get(i).unwrap_or_default(),
        });
    }
    Ok(true)
}

/// Adds the triples to their sentences; false when one points nowhere.
fn add_triples(sentences: &mut [(u32, Sentence)], table: &DataFrame) -> PolarsResult<bool> {
    let rows = numbers(table, "sentence")?;
    let subjects = spans(table, "subject_start", "subject_end")?;
    let relation_spans = spans(table, "relation_start", "relation_end")?;
    let objects = spans(table, "object_start", "object_end")?;
    let adverbials = spans(table, "adverbial_start", "adverbial_end")?;
    let subject_mentions = numbers(table, "subject_mention")?;
    let relations = table.column("relation")?.str()?;
    let confidences = table.column("confidence")?.f32()?;
    let object_mentions = table.column("object_mentions")?.list()?;
    // Stores of before there were models have no such column.
    let by_model = match table.column("by_model") {
        Ok(column) => Some(column.bool()?),
        Err(_) => None,
    };
    for (i, row) in rows.into_iter().enumerate() {
        let Some((_, sentence)) = row.and_then(|row| sentences.get_mut(row as usize)) else {
            return Ok(false);
        };
        let mentions = match object_mentions.get_as_series(i) {
            Some(list) => list.u32()?.iter().flatten().collect(),
            None => Vec::new(),
        };
        sentence.triples.push(Triple {
            subject: subjects[i].clone().unwrap_or_default(),
            relation: relations.get(i).unwrap_or_default().to_owned(),
            relation_span: relation_spans[i].clone().unwrap_or_default(),
            object: objects[i].clone().unwrap_or_default(),
            adverbial: adverbials[i].clone(),
            confidence: confidences.get(i).unwrap_or_default(),
            subject_mention: subject_mentions[i],
            object_mentions: mentions,
            by_model: by_model
                .and_then(|column| column.get(i))
                .unwrap_or_default(),
        });
    }
    Ok(true)
}
