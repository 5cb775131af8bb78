//! What the data and the options must be, before a card is touched.

use rayon::prelude::*;

use super::error::CudaError;
use super::{Answers, Rows};
use crate::error::ClusteringError;
use crate::options::{Metric, Options};

/// Checks dense rows and the options for them.
pub(super) fn rows(rows: &Rows<'_>, options: &Options) -> Result<(), CudaError> {
    let n_rows = rows.values.len().checked_div(rows.dims).unwrap_or(0);
    options_for(n_rows, rows.dims, options)?;
    if n_rows * rows.dims != rows.values.len() {
        return Err(shape("values", rows.values.len(), n_rows * rows.dims));
    }
    finite(rows)?;
    let Some(weights) = rows.weights else {
        return Ok(());
    };
    if weights.len() != n_rows {
        return Err(shape("weights", weights.len(), n_rows));
    }
    let bad = weights
        .iter()
        .position(|weight| !(weight.is_finite() && *weight >= 0.0));
    let none = weights.iter().all(|&weight| weight == 0.0).then_some(0);
    match bad.or(none) {
        Some(row) => Err(ClusteringError::Weight {
            row,
            value: weights[row],
        }
        .into()),
        None => Ok(()),
    }
}

fn finite(rows: &Rows<'_>) -> Result<(), CudaError> {
    // A sum of squares finds also those that are too large to be squared.
    let bad = |row: &[f32]| {
        !row.iter()
            .map(|value| value * value)
            .sum::<f32>()
            .is_finite()
    };
    let table = rows.values.par_chunks_exact(rows.dims);
    let Some(row) = table.clone().position_first(bad) else {
        return Ok(());
    };
    let values = &rows.values[row * rows.dims..(row + 1) * rows.dims];
    let largest = || (0..rows.dims).max_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()));
    let column = values
        .iter()
        .position(|value| !value.is_finite())
        .or_else(largest)
        .unwrap_or(0);
    Err(ClusteringError::NotFinite {
        n_rows: table.filter(|row| bad(row)).count(),
        row,
        column,
        value: values[column],
    }
    .into())
}

fn options_for(n_rows: usize, dims: usize, options: &Options) -> Result<(), CudaError> {
    if n_rows == 0 || dims == 0 {
        return Err(ClusteringError::Empty { n_rows, dims }.into());
    }
    if options.k == 0 {
        return Err(shape("clusters", 0, 1));
    }
    if options.k > n_rows {
        return Err(ClusteringError::TooFewRows {
            k: options.k,
            n_rows,
        }
        .into());
    }
    if options.batch.is_some() {
        return Err(CudaError::Unsupported {
            what: "mini-batches; leave `batch` out",
        });
    }
    // Row numbers have 32 bits on the card, and one of them means none.
    if u32::try_from(n_rows).is_ok_and(|n_rows| n_rows < u32::MAX) {
        return Ok(());
    }
    Err(CudaError::Unsupported {
        what: "more than 4,294,967,294 rows",
    })
}

/// Checks answers, and gives their codes as columns of the one-hot table.
pub(super) fn answers(answers: &Answers<'_>, options: &Options) -> Result<Vec<u32>, CudaError> {
    let questions = answers.levels.len();
    let n_rows = answers.codes.len().checked_div(questions).unwrap_or(0);
    options_for(n_rows, answers.levels.iter().sum(), options)?;
    if options.metric == Metric::Cosine {
        return Err(CudaError::Unsupported {
            what: "the cosine of answers",
        });
    }
    if n_rows * questions != answers.codes.len() {
        return Err(shape("answers", answers.codes.len(), n_rows * questions));
    }
    let columns: usize = answers.levels.iter().sum();
    if let Some(scales) = answers.scales.filter(|scales| scales.len() != columns) {
        return Err(shape("scales", scales.len(), columns));
    }
    let mut codes = answers.codes.to_vec();
    for row in codes.chunks_exact_mut(questions) {
        let mut first = 0;
        for (code, &levels) in row.iter_mut().zip(answers.levels) {
            if *code != Answers::MISSING {
                if *code as usize >= levels {
                    return Err(shape("level of an answer", *code as usize, levels));
                }
                *code += first as u32;
            }
            first += levels;
        }
    }
    Ok(codes)
}

fn shape(what: &str, found: usize, wanted: usize) -> CudaError {
    ClusteringError::Shape {
        what: what.to_owned(),
        found,
        wanted,
    }
    .into()
}
