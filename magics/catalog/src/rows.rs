//! Rows that magics group, encode and search: where they come from, and how one speaks of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlk8s_clustering::Codes;
use mlk8s_values::Columns;
use polars::prelude::{
    Column, DataFrame, DataType, LazyCsvReader, LazyFileListReader as _, LazyFrame, PlRefPath,
};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::near;
use crate::session::{Session, Value};

/// Endings of files that are tables.
const ENDINGS: [&str; 5] = ["parquet", "arrow", "ipc", "csv", "tsv"];
/// Characters of a row's label.
const LABEL: usize = 80;

/// Rows as points, with what is known of them.
#[derive(Debug)]
pub struct Rows {
    /// The points.
    pub(crate) points: Points,
    /// Names of the dimensions; none where they mean nothing one by one.
    pub(crate) names: Vec<String>,
    /// A few words for each row; none where there are none.
    pub(crate) labels: Vec<String>,
    /// What the points were made of.
    pub(crate) columns: Columns,
    /// What was taken from each dimension, and what it was then divided by; empty for neither.
    pub(crate) standard: Vec<(f32, f32)>,
    /// How they were made, in a few words.
    pub(crate) origin: String,
}

/// Points in the form in which they are compared.
#[derive(Debug)]
pub(crate) enum Points {
    /// Row by row.
    Dense {
        /// Rows × dimensions.
        values: Vec<f32>,
        /// Numbers of a row.
        dims: usize,
    },
    /// Answers to questions, one dimension an answer.
    Codes(Codes),
}

impl Rows {
    /// How many there are.
    pub(crate) fn n_rows(&self) -> usize {
        use mlk8s_clustering::Points as _;
        match &self.points {
            Points::Dense { values, dims } => values.len() / (*dims).max(1),
            Points::Codes(codes) => codes.rows(),
        }
    }

    /// Numbers of a row, as if every one were written out.
    pub(crate) fn dims(&self) -> usize {
        use mlk8s_clustering::Points as _;
        match &self.points {
            Points::Dense { dims, .. } => *dims,
            Points::Codes(codes) => codes.dims(),
        }
    }

    /// The words for a row.
    pub(crate) fn label(&self, row: usize) -> String {
        self.labels
            .get(row)
            .cloned()
            .unwrap_or_else(|| format!("row {row}"))
    }
}

/// What a person named as a source.
pub(crate) enum Source {
    /// A table.
    Frame(DataFrame),
    /// A table in a file that was not read yet.
    File(PathBuf, Box<LazyFrame>),
    /// Points that a magic made.
    Rows(Arc<Rows>),
    /// Documents.
    Documents(Arc<mlk8s_corpus::Corpus>),
}

impl Source {
    /// Finds what is called `name`: a file, a value of a magic, or a variable of Rust cells.
    pub(crate) fn find(name: &str, call: &Call) -> Result<Source, MagicError> {
        if name.contains(['/', '.', '~']) {
            return file(&call.session.resolve(Path::new(name)));
        }
        match call.session.value(name) {
            Some(Value::Rows(rows)) => return Ok(Source::Rows(Arc::clone(rows))),
            Some(Value::Documents(corpus)) => return Ok(Source::Documents(Arc::clone(corpus))),
            Some(other @ (Value::Graph { .. } | Value::Text(_) | Value::Clusters(_))) => {
                let message = format!("`{name}` holds {}, not a table", other.sort());
                return Err(MagicError::new(ErrorKind::Input, message).with_hint(
                    "documents, frames, vectors and files ending in .parquet, .arrow or .csv have rows",
                ));
            }
            Some(Value::Frame(_)) | None => {}
        }
        match (call.frame)(name) {
            Some(Ok(path)) => Ok(Source::Frame(mlk8s_values::read_frame(&path)?)),
            Some(Err(why)) => {
                let message = format!("`{name}` is no table: {why}");
                Err(MagicError::new(ErrorKind::Input, message).with_hint(
                    "a DataFrame, LazyFrame, Series, Vec<Vec<f32>> or a vector of numbers or texts is one",
                ))
            }
            None => match call.session.value(name) {
                Some(Value::Frame(path)) => Ok(Source::Frame(mlk8s_values::read_frame(path)?)),
                _ => Err(unknown(name, call)),
            },
        }
    }

    /// The table of what is called `name`, read whole.
    pub(crate) fn frame(name: &str, call: &Call) -> Result<DataFrame, MagicError> {
        match Source::find(name, call)? {
            Source::Frame(frame) => Ok(frame),
            Source::File(_, lazy) => Ok(lazy.collect()?),
            Source::Documents(corpus) => Ok(crate::all::documents_frame(&corpus.documents)?),
            Source::Rows(_) => {
                let message = format!("`{name}` is made of vectors already");
                Err(MagicError::new(ErrorKind::Input, message)
                    .with_hint(format!("`%kmeans {name} -k 8` groups them")))
            }
        }
    }
}

/// No table is called `name`: those that there are, and what else is one.
fn unknown(name: &str, call: &Call) -> MagicError {
    let of_magics = call.session.names().filter(|(_, sort)| is_table(sort));
    let mut known: Vec<String> = of_magics.map(|(name, _)| name.to_owned()).collect();
    known.extend((call.frames)());
    known.sort();
    known.dedup();
    let meant = near::names(name, known.iter().map(String::as_str));
    let mut hint = match meant.first() {
        Some(meant) => format!("did you mean `{meant}`? "),
        None => String::new(),
    };
    if !known.is_empty() {
        let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        hint.extend(["there is ", &known.join(", "), "; "]);
    }
    hint += "a DataFrame of a Rust cell is a table, a file such as `data.csv`, and what `%corpus` reads";
    let message = format!("nothing is called `{name}`, and a table is needed here");
    MagicError::new(ErrorKind::NotFound, message).with_hint(hint)
}

/// Whether a value of this sort has rows.
pub(crate) fn is_table(sort: &str) -> bool {
    !["a graph", "a text", "groups of rows"].contains(&sort)
}

/// The table in a file.
fn file(path: &Path) -> Result<Source, MagicError> {
    if !path.exists() {
        let message = format!("there is no file `{}`", path.display());
        return Err(MagicError::new(ErrorKind::NotFound, message)
            .with_hint("paths begin where the notebook is; `~/` is your home folder"));
    }
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let place = PlRefPath::try_from_path(path)?;
    let lazy = match ending.to_lowercase().as_str() {
        "parquet" => LazyFrame::scan_parquet(place, polars::prelude::ScanArgsParquet::default())?,
        "arrow" | "ipc" => LazyFrame::scan_ipc(
            place,
            polars::prelude::IpcScanOptions::default(),
            polars::prelude::UnifiedScanArgs::default(),
        )?,
        "csv" => LazyCsvReader::new(place).finish()?,
        "tsv" => LazyCsvReader::new(place).with_separator(b'\t').finish()?,
        _ => {
            let message = format!("`{}` is no table that can be read", path.display());
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint(format!("files end in .{}", ENDINGS.join(", ."))));
        }
    };
    Ok(Source::File(path.to_owned(), Box::new(lazy)))
}

/// Columns of the table called `name`, as far as they can be told without reading it.
pub(crate) fn known_columns(name: &str, session: &Session) -> Vec<String> {
    let named = |columns: &[Column]| columns.iter().map(|c| c.name().to_string()).collect();
    let path = match session.value(name) {
        Some(Value::Documents(_)) => {
            let empty = crate::all::documents_frame(&[]);
            return empty.map_or_else(|_| Vec::new(), |frame| named(frame.columns()));
        }
        Some(Value::Rows(rows)) => return rows.names.clone(),
        Some(Value::Frame(path)) => path.clone(),
        Some(Value::Graph { .. } | Value::Text(_) | Value::Clusters(_)) => return Vec::new(),
        None => session.resolve(Path::new(name)),
    };
    match file(&path) {
        Ok(Source::File(_, mut lazy)) => lazy.collect_schema().map_or_else(
            |_| Vec::new(),
            |schema| schema.iter_names().map(ToString::to_string).collect(),
        ),
        _ => Vec::new(),
    }
}

/// The columns of `frame` that `wanted` names, in that order; all where it names none.
pub(crate) fn chosen(frame: &DataFrame, wanted: &[String]) -> Result<Vec<Column>, MagicError> {
    if wanted.is_empty() {
        return Ok(frame.columns().to_vec());
    }
    wanted
        .iter()
        .map(|name| column(frame, name).cloned())
        .collect()
}

/// The column called `name`.
pub(crate) fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, MagicError> {
    frame.column(name).map_err(|_| {
        let names = frame.get_column_names();
        let meant = near::names(name, names.iter().map(|name| name.as_str()));
        let meant = match meant.first() {
            Some(meant) => format!("did you mean `{meant}`? "),
            None => String::new(),
        };
        let known = names.iter().take(20).map(|name| format!("`{name}`"));
        let known: Vec<String> = known.collect();
        MagicError::new(ErrorKind::NotFound, format!("there is no column `{name}`"))
            .with_hint(format!("{meant}there are {}", known.join(", ")))
    })
}

/// A few words for each row: of the column `wanted`, or of the one that looks most like a name.
pub(crate) fn labels(frame: &DataFrame, wanted: Option<&str>) -> Result<Vec<String>, MagicError> {
    let usual = ["title", "name", "label", "text", "id"];
    let is_text =
        |column: &&Column| matches!(column.dtype(), DataType::String | DataType::Categorical(..));
    let found = match wanted {
        Some(name) => Some(column(frame, name)?),
        None => usual.iter().find_map(|name| frame.column(name).ok()),
    };
    let Some(found) = found.filter(|column| wanted.is_some() || is_text(column)) else {
        return Ok(Vec::new());
    };
    let words = found.cast(&DataType::String)?;
    Ok(words
        .str()?
        .iter()
        .map(|text| shortened(text.unwrap_or_default(), LABEL))
        .collect())
}

/// `text` on one line, of at most `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    // A long text has its beginning looked at only.
    let begin: String = text.chars().take(most * 4).collect();
    let line = begin.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
        None => line,
    }
}

/// Bytes of memory that nobody uses; `None` where the system does not say.
pub(crate) fn memory_available() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().split(' ').next()?.parse().ok()?;
    Some(kib * 1024)
}
