//! Whether what is given can go into an index.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Index, Vectors};
use crate::error::SearchError;
use crate::item::{Item, Kind};

impl Index {
    /// What [`Index::add`] would refuse of these items whatever their vectors are: asked before vectors are made, which
    /// may take hours.
    pub fn check(&self, items: &[Item], with_vectors: bool) -> Result<(), SearchError> {
        check_items(items, with_vectors)?;
        let mut fields = self.snapshot.commit.fields.clone();
        name_fields(&mut fields, items.iter())
    }

    /// Whether vectors of `dims` dimensions are like those that are there.
    pub fn check_dims(&self, dims: usize) -> Result<(), SearchError> {
        match self.snapshot.commit.dims.filter(|&wanted| wanted != dims) {
            Some(wanted) => Err(SearchError::Dims {
                found: dims,
                wanted,
            }),
            None => Ok(()),
        }
    }

    /// The length of each vector, if all have one and fit the index.
    pub(super) fn check_vectors(
        &self,
        vectors: Vectors<'_>,
        n_items: usize,
    ) -> Result<Vec<f32>, SearchError> {
        let Vectors { values, dims } = vectors;
        if dims == 0 || values.len() != n_items * dims {
            return Err(SearchError::Shape {
                n_values: values.len(),
                dims,
                n_items,
            });
        }
        self.check_dims(dims)?;
        let norms: Vec<f32> = values.par_chunks(dims).map(norm).collect();
        match norms
            .iter()
            .position(|norm| !(norm.is_finite() && *norm > 0.0))
        {
            None => Ok(norms),
            Some(row) => Err(no_direction(row, &values[row * dims..(row + 1) * dims])),
        }
    }
}

/// Length of a vector, without overflow.
pub(crate) fn norm(vector: &[f32]) -> f32 {
    vector
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt() as f32
}

/// Says why a vector has no length.
pub(crate) fn no_direction(row: usize, vector: &[f32]) -> SearchError {
    match vector.iter().position(|v| !v.is_finite()) {
        Some(column) => SearchError::NotFinite {
            row,
            column,
            value: vector[column],
        },
        None => SearchError::ZeroVector { row },
    }
}

/// Whether items have ids, different ones, and something to be found by.
pub(super) fn check_items(items: &[Item], with_vectors: bool) -> Result<(), SearchError> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, item) in items.iter().enumerate() {
        if item.id.is_empty() || !with_vectors && !item.has_words() {
            return Err(SearchError::EmptyItem {
                row,
                id: item.id.clone(),
            });
        }
        if let Some(first) = seen.insert(&item.id, row) {
            return Err(SearchError::Duplicate {
                id: item.id.clone(),
                first,
                second: row,
            });
        }
    }
    Ok(())
}

/// Gives new fields a place, and refuses values of another kind than their field has.
pub(super) fn name_fields<'a>(
    fields: &mut Vec<(String, Kind)>,
    items: impl Iterator<Item = &'a Item>,
) -> Result<(), SearchError> {
    let mut kinds: BTreeMap<String, Kind> = fields.iter().cloned().collect();
    for item in items {
        for (name, value) in &item.fields {
            match kinds.get(name) {
                None => {
                    kinds.insert(name.clone(), value.kind());
                    fields.push((name.clone(), value.kind()));
                }
                Some(&wanted) if wanted != value.kind() => {
                    return Err(SearchError::FieldKind {
                        name: name.clone(),
                        id: item.id.clone(),
                        found: value.kind(),
                        wanted,
                    });
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}
