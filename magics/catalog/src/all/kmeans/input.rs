//! What `%kmeans` groups, from whatever a person has.

use std::sync::Arc;

use mlk8s_values::{Columns, vectors_of};
use polars::prelude::{Column, DataFrame, DataType};

use super::KMeans;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::rows::{self, Points, Rows, Source};

/// The rows, how much each counts, and what is to be said about them.
type Input = (Arc<Rows>, Option<Vec<f32>>, Vec<String>);

/// The rows of `source`.
pub(super) fn rows(magic: &KMeans, source: Source, call: &Call) -> Result<Input, MagicError> {
    let frame = match source {
        Source::Frame(frame) => frame,
        Source::File(_, lazy) => lazy.collect()?,
        Source::Documents(_) => {
            let message = format!(
                "`{}` is made of documents, which have no numbers",
                magic.source
            );
            return Err(
                MagicError::new(ErrorKind::Input, message).with_hint(format!(
                    "`%embed {} --as vectors` makes some, and `%kmeans vectors` groups them",
                    magic.source
                )),
            );
        }
        Source::Rows(rows) => {
            return made(magic, rows);
        }
    };
    if call.cancel.is_raised() {
        return Err(MagicError::new(
            ErrorKind::Interrupted,
            "nothing was grouped",
        ));
    }
    let weights = magic.weights.as_deref();
    let weights = weights
        .map(|name| numbers(rows::column(&frame, name)?))
        .transpose()?;
    let (points, columns, notes) = points(magic, &frame)?;
    let mut rows = Rows {
        names: match &columns {
            Columns::Numbers(names) => names.clone(),
            _ => Vec::new(),
        },
        labels: rows::labels(&frame, magic.label.as_deref())?,
        points,
        columns,
        standard: Vec::new(),
        origin: String::new(),
    };
    if magic.standardize {
        standardize(&mut rows);
    }
    Ok((Arc::new(rows), weights, notes))
}

/// Vectors that a magic made.
fn made(magic: &KMeans, rows: Arc<Rows>) -> Result<Input, MagicError> {
    let wrong = [
        (magic.weights.is_some(), "--weights"),
        (!magic.columns.is_empty(), "--columns"),
        (magic.standardize, "--standardize"),
        (magic.label.is_some(), "--label"),
    ];
    if let Some((_, flag)) = wrong.iter().find(|(given, _)| *given) {
        let message = format!(
            "`{}` is made of vectors, which have no columns for `{flag}`",
            magic.source
        );
        return Err(MagicError::new(ErrorKind::Usage, message)
            .with_hint("the magic that made them takes columns"));
    }
    Ok((rows, None, Vec::new()))
}

/// The points of a frame, the columns they are made of, and what was left out.
fn points(magic: &KMeans, frame: &DataFrame) -> Result<(Points, Columns, Vec<String>), MagicError> {
    let chosen = rows::chosen(frame, &magic.columns)?;
    let is_vector = |column: &&Column| matches!(column.dtype(), DataType::List(_));
    if let Some(vector) = chosen.iter().find(is_vector) {
        if !magic.columns.is_empty() && chosen.len() > 1 {
            let message = format!(
                "`{}` holds vectors and cannot be compared beside other columns",
                vector.name()
            );
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint(format!("`--columns {}`", vector.name())));
        }
        let (values, dims) = vectors_of(vector)?;
        let columns = Columns::Vector(vector.name().to_string());
        return Ok((Points::Dense { values, dims }, columns, Vec::new()));
    }
    let is_given = !magic.columns.is_empty();
    let weight = magic.weights.as_deref();
    let (kept, left): (Vec<&Column>, Vec<&Column>) = chosen.iter().partition(|column| {
        column.dtype().is_primitive_numeric()
            && (is_given || weight != Some(column.name().as_str()))
    });
    let texts: Vec<String> = left
        .iter()
        .filter(|column| weight != Some(column.name().as_str()))
        .map(|column| format!("`{}`", column.name()))
        .collect();
    if kept.is_empty() || (is_given && !texts.is_empty()) {
        let message = if kept.is_empty() {
            format!("`{}` has no column of numbers", magic.source)
        } else {
            format!("{} are not numbers", texts.join(", "))
        };
        return Err(MagicError::new(ErrorKind::Input, message).with_hint(format!(
            "`%encode {} --as answers` makes numbers of texts, and `%kmeans answers` groups them",
            magic.source
        )));
    }
    let dims = kept.len();
    let mut values = vec![0.0; frame.height() * dims];
    for (d, column) in kept.iter().enumerate() {
        for (row, value) in numbers(column)?.into_iter().enumerate() {
            values[row * dims + d] = value;
        }
    }
    let names = kept
        .iter()
        .map(|column| column.name().to_string())
        .collect();
    let mut notes = Vec::new();
    if !texts.is_empty() {
        notes.push(format!("left out, being no numbers: {}", texts.join(", ")));
    }
    Ok((
        Points::Dense { values, dims },
        Columns::Numbers(names),
        notes,
    ))
}

/// The numbers of a column; one that is missing is an error that says where.
pub(super) fn numbers(column: &Column) -> Result<Vec<f32>, MagicError> {
    let n_missing = column.null_count();
    let cast = column.cast(&DataType::Float32)?;
    let values = cast.f32()?;
    if n_missing > 0 || values.null_count() > 0 {
        let first = values.iter().position(|value| value.is_none()).unwrap_or(0);
        let message = format!(
            "{} rows of `{}` have no number, first row {first}",
            values.null_count(),
            column.name()
        );
        return Err(MagicError::new(ErrorKind::Input, message).with_hint(
            "in a Rust cell `drop_nulls` leaves such rows out and `fill_null` puts something in; `--columns` takes others",
        ));
    }
    Ok(values.iter().flatten().collect())
}

/// Centres that a frame or clusters called `name` have, row by row.
pub(super) fn centres(name: &str, call: &Call, dims: usize) -> Result<Vec<f32>, MagicError> {
    if let Some(crate::session::Value::Clusters(clusters)) = call.session.value(name) {
        let matrix = clusters.matrix().to_vec();
        return fitting(
            name,
            matrix,
            clusters.matrix().len() / clusters.k().max(1),
            dims,
        );
    }
    let frame = Source::frame(name, call).map_err(|error| {
        error.with_hint(
            "`--init` takes k-means++, k-means||, random, or the name of a frame of centres",
        )
    })?;
    if let [column] = frame.columns() {
        let (values, found) = vectors_of(column)?;
        return fitting(name, values, found, dims);
    }
    let columns: Vec<Vec<f32>> = frame
        .columns()
        .iter()
        .filter(|column| column.name() != "cluster")
        .map(numbers)
        .collect::<Result<_, _>>()?;
    let values = (0..frame.height()).flat_map(|row| columns.iter().map(move |column| column[row]));
    let values: Vec<f32> = values.collect();
    fitting(name, values, columns.len(), dims)
}

fn fitting(
    name: &str,
    values: Vec<f32>,
    found: usize,
    dims: usize,
) -> Result<Vec<f32>, MagicError> {
    if found == dims {
        return Ok(values);
    }
    let message = format!("the centres in `{name}` have {found} numbers, and the rows have {dims}");
    Err(MagicError::new(ErrorKind::Input, message))
}

/// Brings every column to mean 0 and deviation 1; one that is the same everywhere becomes 0.
fn standardize(rows: &mut Rows) {
    let n = rows.n_rows().max(1) as f64;
    let Points::Dense { values, dims } = &mut rows.points else {
        return;
    };
    let dims = (*dims).max(1);
    rows.standard = (0..dims)
        .map(|d| {
            let each = || values.iter().skip(d).step_by(dims).map(|x| f64::from(*x));
            let mean = each().sum::<f64>() / n;
            let variance = each().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
            (mean as f32, scale as f32)
        })
        .collect();
    for row in values.chunks_mut(dims) {
        for (x, (mean, scale)) in row.iter_mut().zip(&rows.standard) {
            *x = (*x - mean) / scale;
        }
    }
}
