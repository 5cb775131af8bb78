//! How a variable of a Rust cell gets to a magic that wants a frame.

use std::path::Path;

use mlk8s_values::{Clusters, vector_column};
use polars::prelude::{
    Column, DataFrame, IntoColumn as _, LazyFrame, NamedFrom as _, PolarsError, PolarsResult,
    Series, polars_bail,
};

/// A value that is a frame, or that can be seen as one.
pub trait HandOver {
    /// The frame.
    fn frame(&self) -> PolarsResult<DataFrame>;
}

/// Writes `value` as the Arrow file `path`.
pub fn hand_over(value: &impl HandOver, path: &str) -> PolarsResult<()> {
    let wrong =
        |error: mlk8s_values::ValueError| PolarsError::ComputeError(error.to_string().into());
    mlk8s_values::write_frame(Path::new(path), &mut value.frame()?).map_err(wrong)
}

impl HandOver for DataFrame {
    fn frame(&self) -> PolarsResult<DataFrame> {
        Ok(self.clone())
    }
}

impl HandOver for LazyFrame {
    fn frame(&self) -> PolarsResult<DataFrame> {
        self.clone().collect()
    }
}

impl HandOver for Series {
    fn frame(&self) -> PolarsResult<DataFrame> {
        one(self.clone().into_column())
    }
}

impl HandOver for Column {
    fn frame(&self) -> PolarsResult<DataFrame> {
        one(self.clone())
    }
}

impl HandOver for Clusters {
    fn frame(&self) -> PolarsResult<DataFrame> {
        Ok(self.centroids.clone())
    }
}

macro_rules! lists {
    ($($type:ty),*) => { $(
        impl HandOver for Vec<$type> {
            fn frame(&self) -> PolarsResult<DataFrame> {
                one(Series::new("value".into(), self.as_slice()).into_column())
            }
        }
    )* };
}

lists!(i32, i64, u32, u64, f32, f64, bool, String, &str);

impl HandOver for Vec<Vec<f32>> {
    fn frame(&self) -> PolarsResult<DataFrame> {
        vectors(self.len(), |row| self[row].clone())
    }
}

impl HandOver for Vec<Vec<f64>> {
    fn frame(&self) -> PolarsResult<DataFrame> {
        vectors(self.len(), |row| {
            self[row].iter().map(|x| *x as f32).collect()
        })
    }
}

fn one(column: Column) -> PolarsResult<DataFrame> {
    DataFrame::new(column.len(), vec![column])
}

fn vectors(n_rows: usize, row: impl Fn(usize) -> Vec<f32>) -> PolarsResult<DataFrame> {
    let dims = if n_rows == 0 { 0 } else { row(0).len() };
    let mut values = Vec::with_capacity(n_rows * dims);
    for at in 0..n_rows {
        let numbers = row(at);
        if numbers.len() != dims {
            polars_bail!(ComputeError: "row {at} has {} numbers, and the first row has {dims}", numbers.len());
        }
        values.extend(numbers);
    }
    one(vector_column("vector", &values, dims))
}
