//! `%search build`: documents, rows and pictures become an index; what is in it already costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use mlk8s_corpus::Corpus;
use mlk8s_llm::row::Class;
use mlk8s_search::{Date, Index, Item, Settings, Value};
use polars::prelude::{AnyValue, DataFrame, DataType};

use super::replace::{Old, Waiting};
use super::{claim, open, place, size};
use crate::call::Call;
use crate::encoders::{Embedder, USUAL, Vectors};
use crate::error::{ErrorKind, MagicError};
use crate::fetched;
use crate::names::ValueName;
use crate::passages::{self, passages};
use crate::rows::{self, Source};
use crate::view::{Column, Table, View};

/// Texts that become vectors between two looks at the clock: a kill loses no more than these.
const PART: usize = 512;

/// Make an index, or bring one up to date
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that can be typed"
)]
pub(super) struct Build {
    /// Documents, a frame, or a file that ends in .parquet, .arrow or .csv
    #[arg(value_name = "TEXTS")]
    source: String,
    /// Name of the index
    #[arg(long = "as", value_name = "NAME", default_value = "index")]
    name: ValueName,
    /// Of a frame: the column that holds the texts
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// The column holds paths of pictures, and the model is one that sees them (CLIP)
    #[arg(long)]
    images: bool,
    /// The model that makes vectors: a directory, a name, ORG/NAME of the hub, or MODEL@ENDPOINT; else `minilm`
    #[arg(long)]
    model: Option<String>,
    /// Search by words only, without a model
    #[arg(long, conflicts_with_all = ["model", "images"])]
    words_only: bool,
    /// Words of a passage of a document
    #[arg(long, value_name = "N", default_value = "150")]
    words: usize,
    /// Add these to the index: what is in it and not among these stays
    #[arg(long, alias = "keep")]
    add: bool,
    /// Put these in the place of what is in the index, also where both have nothing in common
    #[arg(long, conflicts_with = "add")]
    replace: bool,
}

impl Build {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let begun = Instant::now();
        let (items, what) = match Source::find(&self.source, call)? {
            Source::Documents(corpus) => (self.documents(&corpus), "passages"),
            Source::Frame(frame) => (self.rows(&frame, call)?, "rows"),
            Source::File(_, lazy) => (self.rows(&lazy.collect()?, call)?, "rows"),
            Source::Rows(_) => {
                let message = format!("`{}` is made of vectors, without their texts", self.source);
                return Err(MagicError::new(ErrorKind::Input, message)
                    .with_hint("documents and frames can be searched"));
            }
        };
        // Whoever builds removes what is left over, and what is not among its items: one notebook at a time.
        let _claim = claim(self.name.as_str(), call.session)?;
        let mut index = self.index(call)?;
        let old = Old::of(&index, &items)?;
        if !self.add && !self.replace {
            old.check(self.name.as_str(), &index, &items)?;
        }
        let is_by_words = index.settings().model.is_empty();
        index.check(&items, !is_by_words)?;
        let changed = index.changed(&items, !is_by_words)?;
        let (mut tokens, mut remarks) = (0, Vec::new());
        if is_by_words || changed.is_empty() {
            index.add(&items, None, &call.watcher())?;
        } else {
            let changed: Vec<Item> = changed.iter().map(|&at| items[at].clone()).collect();
            let (n_tokens, of_filling) = self.fill(&mut index, &old, &changed, call)?;
            tokens = n_tokens;
            remarks.extend(of_filling);
        }
        let gone = if self.add { Vec::new() } else { old.gone() };
        if !gone.is_empty() {
            remarks.push(old.told(&index)?);
            index.remove(&gone)?;
        }
        index.compact(&call.watcher())?;
        call.session.searched.index = Some(self.name.to_string());
        let took_s = begun.elapsed().as_secs_f64();
        let counts = [changed.len(), gone.len()];
        let mut table = self.table(&index, what, counts, tokens, took_s);
        remarks.push(table.note);
        table.note = remarks.join("; ");
        Ok(View::Table(table))
    }

    /// Makes the vectors of what is new or changed, and puts both into the index; says how many tokens were read, and what
    /// there is to remark.
    fn fill(
        &self,
        index: &mut Index,
        old: &Old,
        changed: &[Item],
        call: &mut Call,
    ) -> Result<(u64, Vec<String>), MagicError> {
        let model = index.settings().model.clone();
        let run = format!("search {}", self.name);
        let embedder = Embedder::find(Some(&model), &run, Class::Batch, call)?;
        self.check_sight(&embedder)?;
        // What is only added harms nothing that is there, and counts at once.
        let mut waiting = if old.has_any(changed.iter().map(|item| &item.id)) {
            Some(Waiting::open(
                self.name.as_str(),
                index,
                changed,
                call.session,
            )?)
        } else {
            None
        };
        let missing = match &waiting {
            Some(waiting) => waiting.missing(changed)?,
            None => (0..changed.len()).collect(),
        };
        let mut tokens = 0;
        for part in missing.chunks(PART) {
            let part: Vec<Item> = part.iter().map(|&at| changed[at].clone()).collect();
            let vectors = self.encode(&embedder, &part, call)?;
            tokens += vectors.n_tokens;
            index.check_dims(vectors.dims)?;
            let vectors = mlk8s_search::Vectors {
                values: &vectors.values,
                dims: vectors.dims,
            };
            match &mut waiting {
                Some(waiting) => waiting.take(&part, vectors, &call.watcher())?,
                None => {
                    index.add(&part, Some(vectors), &call.watcher())?;
                }
            }
        }
        let mut remarks: Vec<String> = embedder.remark().map(str::to_owned).into_iter().collect();
        if let Some(waiting) = waiting {
            remarks.extend(waiting.settle(changed, index, &call.watcher())?);
        }
        Ok((tokens, remarks))
    }

    /// The vectors of some items.
    fn encode(
        &self,
        embedder: &Embedder,
        items: &[Item],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        if self.images {
            let files: Vec<PathBuf> = items
                .iter()
                .map(|item| PathBuf::from(&item.source))
                .collect();
            return embedder.encode_images(&files, call);
        }
        let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        embedder.encode(&texts, call)
    }

    /// The index, made where there is none.
    fn index(&self, call: &Call) -> Result<Index, MagicError> {
        let dir = place(self.name.as_str(), call.session);
        let wanted = match &self.model {
            _ if self.words_only => String::new(),
            None => USUAL.to_owned(),
            Some(model) => fetched::remembered(model, call.session),
        };
        if !Index::is_index(&dir) {
            let settings = Settings {
                model: wanted,
                ..Settings::default()
            };
            return Ok(Index::create(&dir, settings)?);
        }
        let index = open(self.name.as_str(), call.session)?;
        let has = &index.settings().model;
        if (self.model.is_some() || self.words_only) && *has != wanted {
            let message = if has.is_empty() {
                format!("index `{}` knows words only", self.name)
            } else {
                format!("the vectors of index `{}` were made by `{has}`", self.name)
            };
            return Err(
                MagicError::new(ErrorKind::Input, message).with_hint(format!(
                    "`%search remove {0}` makes room for another; `--as` takes another name",
                    self.name
                )),
            );
        }
        Ok(index)
    }

    fn check_sight(&self, embedder: &Embedder) -> Result<(), MagicError> {
        if !self.images || embedder.sees() {
            return Ok(());
        }
        let message = format!("`{}` does not see pictures", embedder.name());
        Err(MagicError::new(ErrorKind::Input, message)
            .with_hint("`--model DIR` takes a CLIP model, which knows pictures and texts"))
    }

    fn documents(&self, corpus: &Corpus) -> Vec<Item> {
        let mut taken = BTreeSet::new();
        let passages = passages(corpus, self.words);
        // The same file twice is one document.
        let fresh = passages.iter().filter(|passage| taken.insert(passage.id()));
        fresh
            .map(|passage| Item {
                id: passage.id(),
                title: passage.document.title.clone(),
                text: passage.body().to_owned(),
                source: passage.document.source.display().to_string(),
                span: Some((passage.range.start as u64, passage.range.end as u64)),
                thumbnail: None,
                fields: BTreeMap::from([
                    (
                        "kind".to_owned(),
                        Value::Text(passage.document.kind.to_string().to_lowercase()),
                    ),
                    ("passage".to_owned(), Value::Number(passage.number as f64)),
                ]),
            })
            .collect()
    }

    /// An item for each row: its text, and its other columns as fields.
    fn rows(&self, frame: &DataFrame, call: &Call) -> Result<Vec<Item>, MagicError> {
        let column = passages::column(frame, self.column.as_deref())?;
        let texts = passages::texts(frame, &column)?;
        let labels = rows::labels(frame, None)?;
        let ids = match frame.column("id") {
            Ok(ids) => passages::texts(
                &DataFrame::new(ids.len(), vec![ids.cast(&DataType::String)?])?,
                "id",
            )?,
            // Rows of another frame have other ids, so that both can be in one index.
            Err(_) => (0..frame.height())
                .map(|row| format!("{}:{row}", self.source))
                .collect(),
        };
        let mut items = Vec::with_capacity(texts.len());
        for (row, text) in texts.into_iter().enumerate() {
            let title = labels
                .get(row)
                .cloned()
                .unwrap_or_else(|| format!("row {row}"));
            let path = call.session.resolve(text.as_ref()).display().to_string();
            items.push(Item {
                id: ids[row].clone(),
                title: if self.images && labels.is_empty() {
                    text.clone()
                } else {
                    title
                },
                source: if self.images {
                    path.clone()
                } else {
                    String::new()
                },
                thumbnail: self.images.then_some(path),
                text,
                span: None,
                fields: fields(frame, &column, row)?,
            });
        }
        Ok(items)
    }

    fn table(
        &self,
        index: &Index,
        what: &str,
        [fresh, removed]: [usize; 2],
        tokens: u64,
        took_s: f64,
    ) -> Table {
        let stats = index.stats();
        let model = &index.settings().model;
        // Beside these there may be others from before.
        let what = if self.add { "items" } else { what };
        let mut rows = vec![
            vec![what.to_owned(), stats.n_items.to_string()],
            vec!["of which new or changed".to_owned(), fresh.to_string()],
            vec!["removed".to_owned(), removed.to_string()],
            vec!["vectors".to_owned(), stats.n_vectors.to_string()],
            vec!["on disk".to_owned(), size(stats.n_bytes)],
        ];
        if let Some(recall) = stats.recall {
            rows.push(vec![
                "searched through a graph".to_owned(),
                recall.to_string(),
            ]);
        }
        if tokens > 0 {
            rows.push(vec!["tokens".to_owned(), tokens.to_string()]);
        }
        let how = if model.is_empty() {
            "by words only".to_owned()
        } else {
            format!("by words and by meaning ({model})")
        };
        let fields: Vec<String> = stats
            .fields
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        let filters = if fields.is_empty() {
            String::new()
        } else {
            format!("; `--where` filters by {}", fields.join(", "))
        };
        Table {
            title: format!(
                "{}: {} {what} in {took_s:.1} s, searched {how}",
                self.name, stats.n_items
            ),
            columns: vec![Column::text("what"), Column::number("number")],
            rows,
            note: format!(
                "`%search query what you look for --in {}` searches it{filters}",
                self.name
            ),
        }
    }
}

/// The columns of a row that can be filtered by.
fn fields(
    frame: &DataFrame,
    text: &str,
    row: usize,
) -> Result<BTreeMap<String, Value>, MagicError> {
    let mut out = BTreeMap::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        if name == text || ["id", "title", "source"].contains(&name) {
            continue;
        }
        let value = match column.get(row)? {
            AnyValue::String(text) => Value::Text(text.to_owned()),
            AnyValue::StringOwned(text) => Value::Text(text.to_string()),
            AnyValue::Boolean(yes) => Value::Bool(yes),
            AnyValue::Date(days) => Value::Date(Date(i64::from(days) * 86_400)),
            AnyValue::Datetime(at, unit, _) => {
                let a_second = match unit {
                    polars::prelude::TimeUnit::Nanoseconds => 1_000_000_000,
                    polars::prelude::TimeUnit::Microseconds => 1_000_000,
                    polars::prelude::TimeUnit::Milliseconds => 1000,
                };
                Value::Date(Date(at.div_euclid(a_second)))
            }
            value => match value.extract::<f64>().filter(|x| x.is_finite()) {
                Some(number) => Value::Number(number),
                None => continue,
            },
        };
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}
