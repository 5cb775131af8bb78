//! `%embed`: texts and pictures become vectors by which their meanings can be compared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use mlk8s_corpus::Corpus;
use mlk8s_llm::row::Class;
use mlk8s_values::{Columns, vector_column};
use polars::df;
use polars::prelude::DataFrame;

use super::ask::dollars;
use crate::call::Call;
use crate::encoders::{Embedder, Vectors, normalise};
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::passages::{self, Passage};
use crate::rows::{self, Points, Rows, Source, shortened};
use crate::session::{Import, ImportKind, Value};
use crate::view::{Column, Table, ToView, View};

/// Characters of a text that stand for it.
const LABEL: usize = 80;

/// Make vectors of texts, by which their meanings can be compared
#[derive(Debug, Parser)]
pub(super) struct Embed {
    /// Documents, a frame, or a file that ends in .parquet, .arrow or .csv
    #[arg(value_name = "TEXTS")]
    source: String,
    /// The column of a frame that holds the texts
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// The column holds paths of pictures, and the model is one that sees them (CLIP)
    #[arg(long)]
    images: bool,
    /// The model: a directory, a name, ORG/NAME of the hub, or MODEL@ENDPOINT; else `minilm`
    #[arg(long)]
    model: Option<String>,
    /// Of documents: a vector for each document, or for each passage
    #[arg(long, default_value = "document")]
    by: By,
    /// Words of a passage
    #[arg(long, value_name = "N", default_value = "150")]
    words: usize,
    /// Name of the vectors, for other magics and as a frame in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "vectors")]
    name: ValueName,
}

/// What of a document has a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// The document: the mean of its passages
    Document,
    /// Each passage
    Passage,
}

/// What was made.
pub(super) struct Made(Table);

impl Magic for Embed {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%embed --help",
        about: "what can be typed; documents become vectors by `%embed docs --as vectors`",
        shows: "meanings can be compared",
    }];
    type Outcome = Made;

    fn run(self, call: &mut Call) -> Result<Made, MagicError> {
        let begun = Instant::now();
        let source = Source::find(&self.source, call)?;
        let run = format!("embed {}", self.name);
        let embedder = Embedder::find(self.model.as_deref(), &run, Class::Batch, call)?;
        let (frame, rows, vectors) = match source {
            Source::Documents(corpus) => self.documents(&corpus, &embedder, call)?,
            Source::Rows(_) => {
                let message = format!("`{}` is made of vectors already", self.source);
                return Err(MagicError::new(ErrorKind::Input, message)
                    .with_hint(format!("`%kmeans {}` groups them", self.source)));
            }
            Source::Frame(frame) => self.rows(frame, &embedder, call)?,
            Source::File(_, lazy) => self.rows(lazy.collect()?, &embedder, call)?,
        };
        let table = self.table(&rows, &vectors, &embedder, begun.elapsed().as_secs_f64());
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut frame.clone())?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path,
        };
        call.session.put(
            self.name.as_str(),
            Value::Rows(Arc::new(rows)),
            vec![import],
        );
        Ok(Made(table))
    }
}

type Outcome = (DataFrame, Rows, Vectors);

impl Embed {
    fn documents(
        &self,
        corpus: &Corpus,
        embedder: &Embedder,
        call: &mut Call,
    ) -> Result<Outcome, MagicError> {
        let passages = passages::passages(corpus, self.words);
        let texts: Vec<&str> = passages.iter().map(Passage::text).collect();
        if texts.is_empty() {
            let message = format!("there is no text in `{}`", self.source);
            return Err(MagicError::new(ErrorKind::Input, message));
        }
        let mut vectors = embedder.encode(&texts, call)?;
        let dims = vectors.dims;
        match self.by {
            By::Passage => {
                let frame = df!(
                    "id" => passages.iter().map(Passage::id).collect::<Vec<_>>(),
                    "document" => passages.iter().map(|p| p.document.id.as_str()).collect::<Vec<_>>(),
                    "title" => passages.iter().map(|p| p.document.title.as_str()).collect::<Vec<_>>(),
                    "start" => passages.iter().map(|p| p.range.start as u64).collect::<Vec<_>>(),
                    "end" => passages.iter().map(|p| p.range.end as u64).collect::<Vec<_>>(),
                    "text" => &texts,
                )?;
                let labels = texts.iter().map(|text| shortened(text, LABEL)).collect();
                outcome(frame, labels, vectors)
            }
            By::Document => {
                let mut values = vec![0.0; corpus.documents.len() * dims];
                let mut at = 0;
                for (document, row) in corpus.documents.iter().zip(values.chunks_mut(dims.max(1))) {
                    while passages
                        .get(at)
                        .is_some_and(|passage| std::ptr::eq(passage.document, document))
                    {
                        let passage = &vectors.values[at * dims..(at + 1) * dims];
                        row.iter_mut().zip(passage).for_each(|(sum, x)| *sum += x);
                        at += 1;
                    }
                }
                normalise(&mut values, dims);
                vectors.values = values;
                let documents = &corpus.documents;
                let frame = df!(
                    "id" => documents.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(),
                    "title" => documents.iter().map(|d| d.title.as_str()).collect::<Vec<_>>(),
                    "source" => documents.iter().map(|d| d.source.display().to_string()).collect::<Vec<_>>(),
                )?;
                let labels = documents
                    .iter()
                    .map(|d| shortened(&d.title, LABEL))
                    .collect();
                outcome(frame, labels, vectors)
            }
        }
    }

    fn rows(
        &self,
        frame: DataFrame,
        embedder: &Embedder,
        call: &mut Call,
    ) -> Result<Outcome, MagicError> {
        let column = passages::column(&frame, self.column.as_deref())?;
        let texts = passages::texts(&frame, &column)?;
        let vectors = if self.images {
            let files: Vec<PathBuf> = texts
                .iter()
                .map(|path| call.session.resolve(path.as_ref()))
                .collect();
            embedder.encode_images(&files, call)?
        } else {
            embedder.encode(&texts, call)?
        };
        let mut labels = rows::labels(&frame, None)?;
        if labels.is_empty() {
            labels = texts.iter().map(|text| shortened(text, LABEL)).collect();
        }
        outcome(frame, labels, vectors)
    }

    fn table(&self, made: &Rows, vectors: &Vectors, embedder: &Embedder, took_s: f64) -> Table {
        let n = made.n_rows();
        let mut rows = vec![
            vec!["vectors".to_owned(), n.to_string()],
            vec!["numbers of each".to_owned(), vectors.dims.to_string()],
            vec!["tokens".to_owned(), vectors.n_tokens.to_string()],
            vec![
                "tokens a second".to_owned(),
                format!("{:.0}", vectors.n_tokens as f64 / took_s.max(1e-3)),
            ],
        ];
        if vectors.usd > 0.0 {
            rows.push(vec!["paid".to_owned(), dollars(vectors.usd)]);
        }
        let mut notes: Vec<String> = embedder.remark().map(str::to_owned).into_iter().collect();
        if vectors.n_cut > 0 {
            notes.push(format!(
                "{} texts are longer than the model reads, and were cut; `--words` makes passages shorter",
                vectors.n_cut
            ));
        }
        if vectors.n_reused > 0 {
            notes.push(format!("{} were there from before", vectors.n_reused));
        }
        notes.push(format!(
            "in Rust cells `{0}` is a frame with the column `vector`; `%kmeans {0}` groups them",
            self.name
        ));
        Table {
            title: format!(
                "{}: made by {} in {took_s:.1} s",
                self.name,
                embedder.name()
            ),
            columns: vec![Column::text("what"), Column::number("number")],
            rows,
            note: notes.join("; "),
        }
    }
}

/// The frame with its vectors, and the same as rows.
fn outcome(
    mut frame: DataFrame,
    labels: Vec<String>,
    vectors: Vectors,
) -> Result<Outcome, MagicError> {
    frame.with_column(vector_column("vector", &vectors.values, vectors.dims))?;
    let rows = Rows {
        points: Points::Dense {
            values: vectors.values.clone(),
            dims: vectors.dims,
        },
        names: Vec::new(),
        labels,
        columns: Columns::Vector("vector".to_owned()),
        standard: Vec::new(),
        origin: "vectors".to_owned(),
    };
    Ok((frame, rows, vectors))
}

impl ToView for Made {
    fn to_view(&self) -> View {
        View::Table(self.0.clone())
    }
}
