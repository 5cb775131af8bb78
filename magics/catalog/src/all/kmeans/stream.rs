//! `%kmeans` on a file that is larger than memory: read block by block in each iteration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlk8s_clustering::{Blocks, ClusteringError, kmeans};
use mlk8s_values::{Columns, vectors_of};
use polars::prelude::{Column, DataFrame, DataType, LazyFrame, col};

use super::input;
use super::report::{Report, remark};
use super::show::Grouped;
use super::{KMeans, On, Watcher};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::rows::{self, Points, Rows};

/// Bytes of a file for each of memory that its rows take, at least.
const PACKED: u64 = 4;
/// Numbers of a block.
const BLOCK: usize = 8 << 20;
/// Rows that stand for all where rows are shown.
const SHOWN: usize = 20_000;

/// Whether `path` is too large to be read at once.
pub(super) fn is_needed(path: &Path, magic: &KMeans) -> bool {
    let is_file = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet") || e == "arrow" || e == "ipc");
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let is_large = rows::memory_available().is_some_and(|free| size * PACKED > free / 2);
    is_file && magic.on != On::Cuda && (magic.by_block || is_large)
}

/// Groups the rows of the file `path`.
pub(super) fn run(
    magic: &KMeans,
    path: &Path,
    lazy: &LazyFrame,
    call: &mut Call,
) -> Result<Grouped, MagicError> {
    if magic.standardize || magic.weights.is_some() || !matches!(magic.k, super::count::K::One(_)) {
        let message = format!(
            "`{}` is read block by block, being larger than memory or because it was wished",
            path.display()
        );
        return Err(MagicError::new(ErrorKind::Input, message).with_hint(
            "`--standardize`, `--weights` and a range for `-k` need all rows at once; leave them out",
        ));
    }
    let mut blocks = FileBlocks::open(path, lazy, &magic.columns)?;
    let options = magic.options(call, blocks.dims)?;
    let watcher = Watcher {
        cancel: &call.cancel,
        progress: call.progress,
        most: options.max_iter,
    };
    let fit = kmeans::fit_blocks(&mut blocks, None, &options, &watcher)?;
    let n = blocks.n_rows;
    let rows = blocks.rows(magic, call)?;
    magic.publish(&rows, &fit, call)?;
    let mut notes = vec![format!(
        "{n} rows were read block by block; the map shows the first of them"
    )];
    notes.extend(remark(&fit));
    let report = Report {
        silhouette: f64::NAN,
        of_cluster: Vec::new(),
        basis: String::new(),
        typical: Vec::new(),
        apart: Vec::new(),
        remark: None,
        cost: None,
    };
    Grouped::new(magic.name.clone(), Arc::new(rows), fit, None, report, notes)
}

/// Rows of a file, some at a time.
struct FileBlocks {
    path: PathBuf,
    lazy: LazyFrame,
    columns: Columns,
    dims: usize,
    n_rows: usize,
    at: usize,
}

impl FileBlocks {
    fn open(path: &Path, lazy: &LazyFrame, wanted: &[String]) -> Result<FileBlocks, MagicError> {
        let head = lazy.clone().slice(0, 1).collect()?;
        let n_rows = lazy
            .clone()
            .select([polars::prelude::len().cast(DataType::UInt64)])
            .collect()?;
        let n_rows = n_rows.columns()[0].u64()?.get(0).unwrap_or(0) as usize;
        let chosen = rows::chosen(&head, wanted)?;
        let is_vector = |column: &&Column| matches!(column.dtype(), DataType::List(_));
        let (columns, dims) = if let Some(vector) = chosen.iter().find(is_vector) {
            let (_, dims) = vectors_of(vector)?;
            (Columns::Vector(vector.name().to_string()), dims)
        } else {
            let numbers = chosen.iter().filter(|c| c.dtype().is_primitive_numeric());
            let names: Vec<String> = numbers.map(|c| c.name().to_string()).collect();
            let dims = names.len();
            (Columns::Numbers(names), dims)
        };
        if dims == 0 {
            let message = format!("`{}` has no column of numbers", path.display());
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint("a column of lists of numbers, or columns of numbers, can be grouped"));
        }
        let names: Vec<_> = match &columns {
            Columns::Vector(name) => vec![col(name.as_str())],
            Columns::Numbers(names) => names.iter().map(|name| col(name.as_str())).collect(),
            Columns::Answers(_) => Vec::new(),
        };
        Ok(FileBlocks {
            path: path.to_owned(),
            lazy: lazy.clone().select(names),
            columns,
            dims,
            n_rows,
            at: 0,
        })
    }

    /// Rows `at..at + n` as points.
    fn read(&self, at: usize, n: usize) -> Result<Vec<f32>, MagicError> {
        let frame = self
            .lazy
            .clone()
            .slice(i64::try_from(at).unwrap_or(i64::MAX), n as u32)
            .collect()?;
        self.numbers(&frame)
    }

    fn numbers(&self, frame: &DataFrame) -> Result<Vec<f32>, MagicError> {
        if let Columns::Vector(name) = &self.columns {
            let (values, found) = vectors_of(frame.column(name)?)?;
            if found != self.dims {
                let message = format!("vectors of {found} numbers among such of {}", self.dims);
                return Err(MagicError::new(ErrorKind::Input, message));
            }
            return Ok(values);
        }
        let mut values = vec![0.0; frame.height() * self.dims];
        for (d, column) in frame.columns().iter().enumerate() {
            for (row, value) in input::numbers(column)?.into_iter().enumerate() {
                values[row * self.dims + d] = value;
            }
        }
        Ok(values)
    }

    /// The first rows, which stand for all where rows are shown.
    fn rows(&self, magic: &KMeans, call: &Call) -> Result<Rows, MagicError> {
        let n = self.n_rows.min(SHOWN);
        let values = self.read(0, n)?;
        let labels = match &magic.label {
            None => Vec::new(),
            Some(name) => {
                let source = rows::Source::find(&magic.source, call)?;
                let rows::Source::File(_, lazy) = source else {
                    return Ok(self.shown(values, Vec::new()));
                };
                let column = lazy
                    .select([col(name.as_str())])
                    .slice(0, n as u32)
                    .collect()?;
                rows::labels(&column, Some(name))?
            }
        };
        Ok(self.shown(values, labels))
    }

    fn shown(&self, values: Vec<f32>, labels: Vec<String>) -> Rows {
        Rows {
            points: Points::Dense {
                values,
                dims: self.dims,
            },
            names: match &self.columns {
                Columns::Numbers(names) => names.clone(),
                _ => Vec::new(),
            },
            labels,
            columns: self.columns.clone(),
            standard: Vec::new(),
            origin: String::new(),
        }
    }
}

impl Blocks for FileBlocks {
    fn dims(&self) -> usize {
        self.dims
    }

    fn rewind(&mut self) -> Result<(), ClusteringError> {
        self.at = 0;
        Ok(())
    }

    fn next(&mut self, into: &mut Vec<f32>) -> Result<bool, ClusteringError> {
        into.clear();
        if self.at >= self.n_rows {
            return Ok(false);
        }
        let n = (BLOCK / self.dims).max(1).min(self.n_rows - self.at);
        let read = self.read(self.at, n).map_err(|error| {
            ClusteringError::Source(format!("`{}`: {error}", self.path.display()))
        })?;
        *into = read;
        self.at += n;
        Ok(true)
    }
}
