//! Encoded rows, in the form that suits them.

use crate::codes::Codes;
use crate::points::Points;

/// Encoded rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Vectors {
    /// Rows whose one-hot columns are never made.
    Codes(Codes),
    /// Rows with few columns.
    Dense {
        /// Row-major `n_rows × dims`.
        values: Vec<f32>,
        /// Rows.
        n_rows: usize,
        /// Columns.
        dims: usize,
    },
}

impl Vectors {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        match self {
            Vectors::Codes(codes) => Points::rows(codes),
            Vectors::Dense { n_rows, .. } => *n_rows,
        }
    }

    /// Columns, as if all were dense.
    pub fn dims(&self) -> usize {
        match self {
            Vectors::Codes(codes) => Points::dims(codes),
            Vectors::Dense { dims, .. } => *dims,
        }
    }

    /// All values, row-major `n_rows × dims`; codes need `4 · n_rows · dims` bytes so.
    pub fn dense(&self) -> Vec<f32> {
        match self {
            Vectors::Dense { values, .. } => values.clone(),
            Vectors::Codes(codes) => {
                let mut values = vec![0.0; self.n_rows() * self.dims()];
                for (row, into) in values.chunks_mut(self.dims()).enumerate() {
                    codes.copy(row, into);
                }
                values
            }
        }
    }
}
