//! Clusters of rows as Rust cells have them, and their files.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn as _, NamedFrom as _, PolarsResult, Series, polars_bail,
};
use serde::{Deserialize, Serialize};

use crate::ValueError;
use crate::frame::{file_error, format_error, read_frame, write_frame};
use crate::vectors::{vector_column, vectors_of};

const ASSIGNMENTS: &str = "assignments.arrow";
const MATRIX: &str = "matrix.arrow";
const ABOUT: &str = "about.json";
/// What an answer is called that was not given, and what rare ones are called, where they count as answers.
const MISSING: &str = "missing";
const OTHER: &str = "other";
/// Name of the column of cluster numbers.
const CLUSTER: &str = "cluster";

/// Groups of rows that k-means found.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// Number of the cluster of each row, from 0: a column called `cluster`.
    pub assignments: Series,
    /// The centres. Of named columns and of vectors: one row a cluster. Of answers: one row an answer, one column a
    /// cluster, because there can be tens of thousands of answers.
    pub centroids: DataFrame,
    /// Rows in each cluster.
    pub sizes: Vec<usize>,
    /// Sum of squared distances of the rows to their centres.
    pub inertia: f64,
    /// How rows are read that are to be compared with the centres.
    pub basis: Basis,
    /// Row-major, clusters × dimensions.
    matrix: Vec<f32>,
}

/// How rows of a frame become points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Which columns they come from.
    pub columns: Columns,
    /// Rows are scaled to length 1.
    pub cosine: bool,
    /// What is taken from each dimension, and what it is then divided by; empty for neither.
    pub standard: Vec<(f32, f32)>,
}

/// Columns that make a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Columns {
    /// A number from each of these.
    Numbers(Vec<String>),
    /// A list of numbers from this one.
    Vector(String),
    /// An answer from each of these questions: question, answer, and the length of its dimension.
    Answers(Vec<(String, String, f32)>),
}

#[derive(Serialize, Deserialize)]
struct About {
    basis: Basis,
    sizes: Vec<usize>,
    inertia: f64,
}

impl Clusters {
    /// Clusters from their parts; `matrix` is row-major, clusters × dimensions.
    pub fn new(
        labels: &[u32],
        matrix: Vec<f32>,
        sizes: Vec<usize>,
        inertia: f64,
        basis: Basis,
    ) -> PolarsResult<Clusters> {
        Ok(Clusters {
            assignments: Series::new(CLUSTER.into(), labels),
            centroids: centroids(&matrix, sizes.len(), &basis)?,
            sizes,
            inertia,
            basis,
            matrix,
        })
    }

    /// How many there are.
    pub fn k(&self) -> usize {
        self.sizes.len()
    }

    /// The centres as numbers, row-major, clusters × dimensions, in the scale in which they were found.
    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// The nearest cluster of each row of `frame`, which has the columns that the clusters were made of.
    ///
    /// # Errors
    ///
    /// When a column is missing or of another type.
    pub fn predict(&self, frame: &DataFrame) -> PolarsResult<Series> {
        let distances = self.squared(frame)?;
        let nearest: Vec<u32> = distances
            .chunks(self.k())
            .map(|row| {
                let best = row.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
                best.map_or(0, |(at, _)| at as u32)
            })
            .collect();
        Ok(Series::new(CLUSTER.into(), nearest))
    }

    /// The distance of each row of `frame` to each centre: one column a cluster, named by its number.
    ///
    /// # Errors
    ///
    /// When a column is missing or of another type.
    pub fn transform(&self, frame: &DataFrame) -> PolarsResult<DataFrame> {
        let k = self.k();
        let distances = self.squared(frame)?;
        let columns = (0..k)
            .map(|c| {
                let one = distances.iter().skip(c).step_by(k);
                Column::new(
                    c.to_string().into(),
                    one.map(|d| d.max(0.0).sqrt()).collect::<Vec<f32>>(),
                )
            })
            .collect();
        DataFrame::new(frame.height(), columns)
    }

    /// Squared distances, rows × clusters.
    fn squared(&self, frame: &DataFrame) -> PolarsResult<Vec<f32>> {
        let k = self.k();
        let dims = self.matrix.len() / k.max(1);
        let norms: Vec<f32> = self
            .matrix
            .chunks(dims.max(1))
            .map(|row| row.iter().map(|x| x * x).sum())
            .collect();
        let mut out = vec![0.0; frame.height() * k];
        let mut put = |row: usize, length: f32, dot: &dyn Fn(usize) -> f32| {
            for c in 0..k {
                out[row * k + c] = length + norms[c] - 2.0 * dot(c);
            }
        };
        match &self.basis.columns {
            Columns::Answers(answers) => {
                for (row, chosen) in chosen(frame, answers)?.iter().enumerate() {
                    let mut length: f32 = chosen.iter().map(|&at| answers[at].2.powi(2)).sum();
                    let scale = if self.basis.cosine && length > 0.0 {
                        length.sqrt()
                    } else {
                        1.0
                    };
                    length /= scale * scale;
                    put(row, length, &|c| {
                        let centre = &self.matrix[c * dims..(c + 1) * dims];
                        chosen
                            .iter()
                            .map(|&at| centre[at] * answers[at].2 / scale)
                            .sum()
                    });
                }
            }
            Columns::Numbers(_) | Columns::Vector(_) => {
                let mut points = points(frame, &self.basis.columns, dims)?;
                for (row, point) in points.chunks_mut(dims.max(1)).enumerate() {
                    self.basis.apply(point);
                    let length = point.iter().map(|x| x * x).sum();
                    put(row, length, &|c| {
                        let centre = &self.matrix[c * dims..(c + 1) * dims];
                        centre.iter().zip(&*point).map(|(a, b)| a * b).sum()
                    });
                }
            }
        }
        Ok(out)
    }
}

impl Basis {
    /// Brings a point into the scale of the centres.
    pub fn apply(&self, point: &mut [f32]) {
        for (x, (shift, scale)) in point.iter_mut().zip(&self.standard) {
            *x = (*x - shift) / scale;
        }
        if self.cosine {
            let length = point.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                for x in point {
                    *x /= length;
                }
            }
        }
    }
}

/// The centres as a frame, in the units of the columns.
fn centroids(matrix: &[f32], k: usize, basis: &Basis) -> PolarsResult<DataFrame> {
    let dims = matrix.len() / k.max(1);
    let number = Column::new(CLUSTER.into(), (0..k as u32).collect::<Vec<_>>());
    match &basis.columns {
        Columns::Vector(name) => DataFrame::new(k, vec![number, vector_column(name, matrix, dims)]),
        Columns::Numbers(names) => {
            let mut columns = vec![number];
            for (d, name) in names.iter().enumerate() {
                let (shift, scale) = basis.standard.get(d).copied().unwrap_or((0.0, 1.0));
                let values = matrix.iter().skip(d).step_by(dims.max(1));
                let values: Vec<f32> = values.map(|x| x * scale + shift).collect();
                columns.push(Column::new(name.as_str().into(), values));
            }
            DataFrame::new(k, columns)
        }
        Columns::Answers(answers) => {
            let words = |take: fn(&(String, String, f32)) -> &str| {
                answers.iter().map(take).collect::<Vec<_>>()
            };
            let mut columns = vec![
                Column::new("question".into(), words(|a| &a.0)),
                Column::new("answer".into(), words(|a| &a.1)),
            ];
            for c in 0..k {
                // Of a dimension with the length 1 this is the share of the cluster's rows that gave the answer.
                let centre = &matrix[c * dims..(c + 1) * dims];
                let shares = centre.iter().zip(answers).map(|(x, answer)| x / answer.2);
                columns.push(Column::new(
                    c.to_string().into(),
                    shares.collect::<Vec<f32>>(),
                ));
            }
            DataFrame::new(answers.len(), columns)
        }
    }
}

/// Points of a frame, row-major.
fn points(frame: &DataFrame, columns: &Columns, dims: usize) -> PolarsResult<Vec<f32>> {
    match columns {
        Columns::Vector(name) => {
            let (values, found) = vectors_of(frame.column(name)?)?;
            if found != dims && frame.height() > 0 {
                polars_bail!(ComputeError: "vectors of `{name}` have {found} numbers, and the clusters {dims}");
            }
            Ok(values)
        }
        Columns::Numbers(names) => {
            let mut values = vec![0.0; frame.height() * dims];
            for (d, name) in names.iter().enumerate() {
                let column = frame.column(name)?.cast(&DataType::Float32)?;
                for (row, value) in column.f32()?.iter().enumerate() {
                    let Some(value) = value.filter(|x| x.is_finite()) else {
                        polars_bail!(ComputeError: "row {row} of `{name}` is missing or no finite number");
                    };
                    values[row * dims + d] = value;
                }
            }
            Ok(values)
        }
        Columns::Answers(_) => Ok(Vec::new()),
    }
}

/// For each row, the answers that it gave, by number; answers that nobody had given before are left out.
fn chosen(frame: &DataFrame, answers: &[(String, String, f32)]) -> PolarsResult<Vec<Vec<usize>>> {
    let mut questions: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for (at, (question, answer, _)) in answers.iter().enumerate() {
        questions.entry(question).or_default().insert(answer, at);
    }
    let mut out = vec![Vec::new(); frame.height()];
    for (question, known) in questions {
        let column = frame.column(question)?.cast(&DataType::String)?;
        for (row, answer) in column.str()?.iter().enumerate() {
            let known = known
                .get(answer.unwrap_or(MISSING))
                .or_else(|| known.get(OTHER));
            out[row].extend(known);
        }
    }
    for row in &mut out {
        row.sort_unstable();
    }
    Ok(out)
}

/// Writes `clusters` into the directory `path`.
pub fn write_clusters(path: &Path, clusters: &Clusters) -> Result<(), ValueError> {
    std::fs::create_dir_all(path).map_err(|source| file_error(path, source))?;
    let frame = |column: Column| {
        DataFrame::new(column.len(), vec![column]).map_err(|source| format_error(path, source))
    };
    let mut assignments = frame(clusters.assignments.clone().into_column())?;
    let mut matrix = frame(Column::new("x".into(), &clusters.matrix))?;
    write_frame(&path.join(ASSIGNMENTS), &mut assignments)?;
    write_frame(&path.join(MATRIX), &mut matrix)?;
    let about = About {
        basis: clusters.basis.clone(),
        sizes: clusters.sizes.clone(),
        inertia: clusters.inertia,
    };
    let file = path.join(ABOUT);
    let text = serde_json::to_vec(&about).map_err(|error| file_error(&file, error.into()))?;
    std::fs::write(&file, text).map_err(|source| file_error(&file, source))
}

/// Reads the clusters that [`write_clusters`] wrote into the directory `path`.
pub fn read_clusters(path: &Path) -> Result<Clusters, ValueError> {
    let file = path.join(ABOUT);
    let text = std::fs::read(&file).map_err(|source| file_error(&file, source))?;
    let about: About =
        serde_json::from_slice(&text).map_err(|error| file_error(&file, error.into()))?;
    let read = |name: &str| read_frame(&path.join(name));
    let wrong = |source| format_error(path, source);
    let (assignments, matrix) = (read(ASSIGNMENTS)?, read(MATRIX)?);
    let numbers = matrix
        .column("x")
        .and_then(|column| column.f32())
        .map_err(wrong)?;
    let matrix: Vec<f32> = numbers.iter().map(Option::unwrap_or_default).collect();
    let labels = assignments.column(CLUSTER).map_err(wrong)?;
    Ok(Clusters {
        assignments: labels.as_materialized_series().clone(),
        centroids: centroids(&matrix, about.sizes.len(), &about.basis).map_err(wrong)?,
        sizes: about.sizes,
        inertia: about.inertia,
        basis: about.basis,
        matrix,
    })
}
