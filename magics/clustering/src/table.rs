//! A table of categories and numbers, as it is encoded.

use std::collections::HashMap;

use crate::codes::Codes;

/// A column of categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are called.
    pub levels: Vec<String>,
    /// The level of each row, or [`Codes::MISSING`].
    pub codes: Vec<u32>,
}

impl Column {
    /// Takes the value of each row as it is written; levels are numbered as they appear.
    pub fn from_texts<'a>(name: &str, texts: impl IntoIterator<Item = Option<&'a str>>) -> Column {
        let mut levels: Vec<String> = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut codes = Vec::new();
        for text in texts {
            codes.push(text.map_or(Codes::MISSING, |text| {
                *known.entry(text).or_insert_with(|| {
                    levels.push(text.to_owned());
                    levels.len() as u32 - 1
                })
            }));
        }
        Column {
            name: name.to_owned(),
            levels,
            codes,
        }
    }
}

/// A column of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Numeric {
    /// Its name.
    pub name: String,
    /// The number of each row; not a number where it is missing.
    pub values: Vec<f32>,
}

/// Columns with one value for each row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Columns of categories.
    pub columns: Vec<Column>,
    /// Columns of numbers.
    pub numeric: Vec<Numeric>,
}

impl Table {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        let of_columns = self.columns.first().map(|column| column.codes.len());
        of_columns
            .or(self.numeric.first().map(|column| column.values.len()))
            .unwrap_or(0)
    }

    /// The codes of all rows, row by row, and how many levels each column has.
    pub fn row_major(&self) -> (Vec<u32>, Vec<usize>) {
        let mut codes = Vec::with_capacity(self.n_rows() * self.columns.len());
        for row in 0..self.n_rows() {
            codes.extend(self.columns.iter().map(|column| column.codes[row]));
        }
        (
            codes,
            self.columns
                .iter()
                .map(|column| column.levels.len())
                .collect(),
        )
    }

    /// Some of the rows, in the order given, repetitions allowed.
    ///
    /// # Panics
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Table {
        let columns = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            levels: column.levels.clone(),
            codes: rows.iter().map(|&row| column.codes[row]).collect(),
        });
        let numeric = self.numeric.iter().map(|column| Numeric {
            name: column.name.clone(),
            values: rows.iter().map(|&row| column.values[row]).collect(),
        });
        Table {
            columns: columns.collect(),
            numeric: numeric.collect(),
        }
    }
}
