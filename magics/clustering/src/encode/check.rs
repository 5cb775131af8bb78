//! What a table must be like to be encoded.

use super::{EncodeOptions, Method, estimate};
use crate::codes::{Codes, shape};
use crate::error::ClusteringError;
use crate::table::{Column, Table};

/// Sees whether the table can be encoded as wanted.
pub(super) fn check(table: &Table, options: &EncodeOptions) -> Result<(), ClusteringError> {
    if table.columns.is_empty() && table.numeric.is_empty() {
        return Err(ClusteringError::NoColumns);
    }
    check_lengths(table)?;
    if table.n_rows() == 0 {
        return Err(ClusteringError::Empty {
            n_rows: 0,
            dims: table.columns.len() + table.numeric.len(),
        });
    }
    if let Method::Mca(0) | Method::Ppmi(0) | Method::Coupling(0) = options.method {
        let possible = table
            .columns
            .iter()
            .map(|column| column.levels.len().saturating_sub(1))
            .sum();
        return Err(ClusteringError::Dimensions {
            wanted: 0,
            possible,
        });
    }
    if let Some(column) = table
        .columns
        .iter()
        .find(|column| column.levels.len() > options.max_levels)
    {
        return Err(ClusteringError::TooManyLevels {
            column: column.name.clone(),
            levels: column.levels.len(),
            limit: options.max_levels,
        });
    }
    let needed = estimate(table, options.method);
    match options.memory {
        Some(limit) if needed > limit => Err(ClusteringError::Memory {
            what: format!("{} on this table", options.method),
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Sees whether all columns have the same rows, and codes their levels.
pub(super) fn check_lengths(table: &Table) -> Result<(), ClusteringError> {
    let n_rows = table.n_rows();
    let lengths = table
        .columns
        .iter()
        .map(|column| (&column.name, column.codes.len()));
    let mut lengths = lengths.chain(
        table
            .numeric
            .iter()
            .map(|column| (&column.name, column.values.len())),
    );
    if let Some((name, found)) = lengths.find(|&(_, length)| length != n_rows) {
        return Err(shape(&format!("rows of column `{name}`"), found, n_rows));
    }
    let bad = |column: &&Column| {
        column
            .codes
            .iter()
            .any(|&code| code != Codes::MISSING && code as usize >= column.levels.len())
    };
    match table.columns.iter().find(bad) {
        Some(column) => Err(shape(
            &format!("levels of column `{}`", column.name),
            column.levels.len(),
            column.levels.len() + 1,
        )),
        None => Ok(()),
    }
}
