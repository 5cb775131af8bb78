//! Numeric columns beside categories: standardised, and as heavy as a column of categories.

use super::levels::note_constant;
use crate::error::ClusteringError;
use crate::table::{Numeric, Table};

/// A numeric column as it was when the encoder was fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaled {
    pub(super) name: String,
    mean: f64,
    deviation: f64,
    weight: f64,
}

/// The numeric columns that tell rows apart; `notes` gets what was left out.
pub(super) fn scaled(table: &Table, notes: &mut Vec<String>) -> Vec<Scaled> {
    let (kept, constant): (Vec<Scaled>, Vec<Scaled>) = table
        .numeric
        .iter()
        .map(Scaled::new)
        .partition(|column| column.deviation > 0.0);
    note_constant(constant.iter().map(|column| column.name.as_str()), notes);
    kept
}

impl Scaled {
    fn new(column: &Numeric) -> Scaled {
        let known = || {
            column
                .values
                .iter()
                .filter(|value| value.is_finite())
                .map(|&value| f64::from(value))
        };
        let count = known().count().max(1) as f64;
        let mean = known().sum::<f64>() / count;
        let variance = known().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        // Below the rounding of f32 a column is constant.
        let deviation = if variance.sqrt() > mean.abs() * 1e-7 {
            variance.sqrt()
        } else {
            0.0
        };
        Scaled {
            name: column.name.clone(),
            mean,
            deviation,
            weight: 1.0,
        }
    }

    /// Gives the column the standard deviation `weight`.
    pub(super) fn weigh(&mut self, weight: f64) {
        self.weight = weight;
    }

    /// The column of `table`; what is missing stands at the mean.
    pub(super) fn rescale(&self, table: &Table) -> Result<Vec<f32>, ClusteringError> {
        let found = table.numeric.iter().find(|column| column.name == self.name);
        let column = found.ok_or_else(|| ClusteringError::MissingColumn {
            column: self.name.clone(),
        })?;
        let scale = self.weight / self.deviation;
        let place = |&value: &f32| {
            if value.is_finite() {
                ((f64::from(value) - self.mean) * scale) as f32
            } else {
                0.0
            }
        };
        Ok(column.values.iter().map(place).collect())
    }
}
