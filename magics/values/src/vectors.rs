//! Vectors as a column of a frame: lists of as many numbers each.

use polars::prelude::{
    Column, DataType, Float32Type, IntoColumn as _, IntoSeries as _, ListBuilderTrait as _,
    ListPrimitiveChunkedBuilder, PolarsResult, polars_bail,
};

/// A column of `Float32` lists, one row for each `dims` of `values`; one row without numbers where `dims` is 0.
pub fn vector_column(name: &str, values: &[f32], dims: usize) -> Column {
    let n_rows = values.len() / dims.max(1);
    let mut builder = ListPrimitiveChunkedBuilder::<Float32Type>::new(
        name.into(),
        n_rows,
        values.len(),
        DataType::Float32,
    );
    for row in values.chunks(dims.max(1)) {
        builder.append_slice(row);
    }
    builder.finish().into_series().into_column()
}

/// The numbers of a column of lists, row by row, and how many each row has.
///
/// # Errors
///
/// When the column holds no lists of numbers, or a row is missing or longer or shorter than the first.
pub fn vectors_of(column: &Column) -> PolarsResult<(Vec<f32>, usize)> {
    let lists = column.list()?;
    let mut values: Vec<f32> = Vec::new();
    let mut dims = None;
    for (row, list) in lists.amortized_iter().enumerate() {
        let Some(list) = list else {
            polars_bail!(ComputeError: "row {row} of `{}` has no vector", column.name());
        };
        let numbers = list.as_ref().cast(&DataType::Float32)?;
        if !list.as_ref().dtype().is_primitive_numeric() {
            polars_bail!(ComputeError: "`{}` holds lists of {}, not of numbers", column.name(), list.as_ref().dtype());
        }
        let wanted = *dims.get_or_insert(numbers.len());
        if numbers.len() != wanted {
            polars_bail!(
                ComputeError: "row {row} of `{}` has {} numbers, and the first row has {wanted}",
                column.name(),
                numbers.len()
            );
        }
        for number in numbers.f32()?.iter() {
            values.push(number.unwrap_or(f32::NAN));
        }
    }
    Ok((values, dims.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::df;
    use polars::prelude::{NamedFrom as _, Series};

    #[test]
    fn vectors_come_back_as_they_were() {
        let column = vector_column("vector", &[1.0, 2.0, 3.0, 4.5, 5.0, 6.0], 3);
        assert_eq!(column.len(), 2);
        let (values, dims) = vectors_of(&column).unwrap();
        assert_eq!((values, dims), (vec![1.0, 2.0, 3.0, 4.5, 5.0, 6.0], 3));
    }

    #[test]
    fn what_is_no_matrix_is_named() {
        let ragged =
            df!("v" => [Series::new("".into(), [1i64, 2]), Series::new("".into(), [3i64])])
                .unwrap();
        let error = vectors_of(ragged.column("v").unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("row 1 of `v` has 1 numbers"),
            "{error}"
        );
        let words = df!("v" => [Series::new("".into(), ["a"])]).unwrap();
        assert!(vectors_of(words.column("v").unwrap()).is_err());
        assert!(vectors_of(&Column::new("v".into(), [1.0])).is_err());
    }
}
