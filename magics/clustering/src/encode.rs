//! Categories become vectors in which near means alike.

mod check;
mod coupling;
mod entity;
mod estimate;
mod levels;
mod numbers;
mod options;
mod ppmi;
#[cfg(test)]
mod tests;
mod vectors;

use crate::codes::Codes;
use crate::error::ClusteringError;
use crate::points::Points;
use crate::product::Product;
use crate::svd::{Svd, SvdOptions, svd};
use crate::table::Table;
use crate::watch::Watch;
use check::{check, check_lengths};
pub use entity::{Answers, Entity, EntityOptions};
pub use estimate::estimate;
use levels::Question;
use numbers::Scaled;
pub use options::{EncodeOptions, Method, Missing};
pub use vectors::Vectors;

/// What was learnt from a table, and encodes rows of it or further rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    method: Method,
    questions: Vec<Question>,
    numeric: Vec<Scaled>,
    /// Factors of the one-hot columns.
    scale: Vec<f32>,
    space: Space,
    explained: Vec<f32>,
    notes: Vec<String>,
}

/// Where the rows end up.
#[derive(Debug, Clone, PartialEq)]
enum Space {
    /// In the one-hot columns, scaled.
    OneHot,
    /// In `dims` columns: the scaled one-hot columns minus `centre` times `axes` (row-major); `own` numeric columns keep
    /// columns of their own behind them.
    Reduced {
        centre: Vec<f32>,
        axes: Vec<f32>,
        dims: usize,
        own: usize,
    },
}

/// Learns an encoding of `table` and encodes it.
pub fn encode(
    table: &Table,
    options: &EncodeOptions,
    watch: &dyn Watch,
) -> Result<(Encoder, Vectors), ClusteringError> {
    let encoder = Encoder::fit(table, options, watch)?;
    let vectors = encoder.encode(table)?;
    Ok((encoder, vectors))
}

impl Encoder {
    /// Learns levels, scales and axes from `table`: nothing but counts for one-hot columns, a few passes over the codes
    /// for each reduction.
    pub fn fit(
        table: &Table,
        options: &EncodeOptions,
        watch: &dyn Watch,
    ) -> Result<Encoder, ClusteringError> {
        check(table, options)?;
        let mut notes = Vec::new();
        let questions = levels::questions(table, options, &mut notes);
        let numeric = numbers::scaled(table, &mut notes);
        if questions.is_empty() && numeric.is_empty() {
            return Err(ClusteringError::Constant);
        }
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        let mut encoder = Encoder {
            method: options.method,
            scale: Vec::new(),
            space: Space::OneHot,
            explained: Vec::new(),
            questions,
            numeric,
            notes,
        };
        encoder.learn(table, options)?;
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        if encoder.dims() == 0 {
            return Err(ClusteringError::Unrelated);
        }
        Ok(encoder)
    }

    /// Encodes rows with the columns of the fitted table (found by name); a level that was not there then is `other`
    /// where there is one, and missing where not.
    pub fn encode(&self, table: &Table) -> Result<Vectors, ClusteringError> {
        check_lengths(table)?;
        let codes = self.codes(table)?;
        let Space::Reduced {
            centre,
            axes,
            dims,
            own,
        } = &self.space
        else {
            return Ok(Vectors::Codes(codes));
        };
        let n_rows = Points::rows(&codes);
        let (own, wide) = (*own, dims + own);
        let values = if *dims == 0 {
            Vec::new()
        } else {
            reduced(codes, centre, axes, *dims, own)?
        };
        if own == 0 {
            return Ok(Vectors::Dense {
                values,
                n_rows,
                dims: wide,
            });
        }
        let mut all = vec![0.0; n_rows * wide];
        let numbers = self.numbers(table)?;
        for (row, into) in all.chunks_mut(wide).enumerate() {
            into[..*dims].copy_from_slice(&values[row * dims..(row + 1) * dims]);
            into[*dims..]
                .iter_mut()
                .zip(&numbers)
                .for_each(|(into, column)| *into = column[row]);
        }
        Ok(Vectors::Dense {
            values: all,
            n_rows,
            dims: wide,
        })
    }

    /// Columns of the encoded rows.
    pub fn dims(&self) -> usize {
        match &self.space {
            Space::OneHot => self.scale.len() + self.numeric.len(),
            Space::Reduced { dims, own, .. } => dims + own,
        }
    }

    /// What the columns of the encoded rows are called.
    pub fn names(&self) -> Vec<String> {
        let (mut names, own) = match &self.space {
            Space::OneHot => {
                let levels = |question: &Question| -> Vec<String> {
                    question
                        .levels
                        .iter()
                        .map(|level| format!("{}={level}", question.name))
                        .collect()
                };
                (
                    self.questions.iter().flat_map(levels).collect::<Vec<_>>(),
                    self.numeric.len(),
                )
            }
            Space::Reduced { dims, own, .. } => {
                let method = match self.method {
                    Method::Ppmi(_) => "ppmi",
                    Method::Coupling(_) => "coupling",
                    _ => "mca",
                };
                (
                    (1..=*dims).map(|axis| format!("{method} {axis}")).collect(),
                    *own,
                )
            }
        };
        names.extend(
            self.numeric
                .iter()
                .take(own)
                .map(|column| column.name.clone()),
        );
        names
    }

    /// Question, answer and factor of each column, where rows end up in the columns of answers.
    pub fn dimensions(&self) -> Option<Vec<(String, String, f32)>> {
        let each = self.questions.iter().flat_map(|question| {
            let levels = question.levels.iter();
            levels.map(|level| (question.name.clone(), level.clone()))
        });
        let named = each.zip(&self.scale);
        (self.space == Space::OneHot).then(|| {
            named
                .map(|((question, level), scale)| (question, level, *scale))
                .collect()
        })
    }

    /// Share of the inertia on each axis, for [`Method::Mca`].
    pub fn explained(&self) -> &[f32] {
        &self.explained
    }

    /// What was done that a person should know: columns left out, levels put together.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn learn(&mut self, table: &Table, options: &EncodeOptions) -> Result<(), ClusteringError> {
        let plain = self.answers(table)?;
        let n_rows = Points::rows(&plain) as f64;
        let shares: Vec<f64> = plain
            .counts()
            .iter()
            .map(|&count| count as f64 / n_rows)
            .collect();
        let questions = self.questions.len().max(1) as f64;
        self.scale = match options.method {
            Method::OneHot => vec![1.0; shares.len()],
            Method::Chi2 => shares
                .iter()
                .map(|share| share.sqrt().recip() as f32)
                .collect(),
            Method::Mca(_) => shares
                .iter()
                .map(|share| (share * questions).sqrt().recip() as f32)
                .collect(),
            Method::Ppmi(_) | Method::Coupling(_) => vec![questions.recip() as f32; shares.len()],
        };
        let scaled = plain.clone().scaled(&self.scale)?;
        let inertia = if self.questions.is_empty() {
            1.0
        } else {
            scaled.clone().centred().variance() / questions
        };
        for column in &mut self.numeric {
            column.weigh(inertia.sqrt());
        }
        let of = |wanted: usize| SvdOptions {
            seed: options.seed,
            ..SvdOptions::new(wanted)
        };
        match options.method {
            Method::OneHot | Method::Chi2 => {}
            Method::Mca(wanted) => {
                let rows = scaled.centred().with_numeric(self.numbers(table)?)?;
                let found = svd(&rows, &of(wanted));
                let total = rows.variance() * n_rows;
                self.explained = found
                    .singular
                    .iter()
                    .map(|&value| (f64::from(value).powi(2) / total) as f32)
                    .collect();
                self.reduce(&rows, found.right.clone(), &found, 0, wanted);
            }
            Method::Ppmi(wanted) => {
                let found = svd(&ppmi::Ppmi::new(&plain), &of(wanted));
                let axes = found.right.chunks(found.rank.max(1)).flat_map(|row| {
                    row.iter()
                        .zip(&found.singular)
                        .map(|(value, singular)| value * singular.sqrt())
                });
                let axes: Vec<f32> = axes.collect();
                self.reduce_apart(&scaled.centred(), axes, &found, wanted);
            }
            Method::Coupling(wanted) => {
                let coupling = coupling::Coupling::new(&plain, &self.scale);
                let found = svd(&coupling, &of(wanted));
                let axes = coupling.values(&found.right, found.rank);
                self.reduce_apart(&scaled.centred(), axes, &found, wanted);
            }
        }
        Ok(())
    }

    /// Keeps numeric columns apart, weighted to what the categories weigh in the reduced space.
    fn reduce_apart(&mut self, rows: &Codes, axes: Vec<f32>, found: &Svd, wanted: usize) {
        let (n_rows, dims) = (Points::rows(rows), found.rank);
        if !self.numeric.is_empty() && !self.questions.is_empty() {
            let mut values = vec![0.0; n_rows * dims];
            rows.times(&axes, dims, &mut values);
            let sum: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let inertia = sum / (n_rows * self.questions.len()) as f64;
            for column in &mut self.numeric {
                column.weigh(inertia.sqrt());
            }
        }
        self.reduce(rows, axes, found, self.numeric.len(), wanted);
    }

    fn reduce(&mut self, rows: &Codes, axes: Vec<f32>, found: &Svd, own: usize, wanted: usize) {
        if found.rank < wanted {
            self.notes.push(format!(
                "{} dimensions are all there are; {wanted} were asked for",
                found.rank
            ));
        }
        self.space = Space::Reduced {
            centre: rows.centre().to_vec(),
            axes,
            dims: found.rank,
            own,
        };
    }

    fn codes(&self, table: &Table) -> Result<Codes, ClusteringError> {
        self.answers(table)?
            .scaled(&self.scale)?
            .with_numeric(self.numbers(table)?)
    }

    fn answers(&self, table: &Table) -> Result<Codes, ClusteringError> {
        let columns: Vec<Vec<u32>> = self
            .questions
            .iter()
            .map(|question| question.recode(table))
            .collect::<Result<_, _>>()?;
        let levels: Vec<usize> = self
            .questions
            .iter()
            .map(|question| question.levels.len())
            .collect();
        Ok(Codes::new(&columns, &levels)?.with_rows(table.n_rows()))
    }

    fn numbers(&self, table: &Table) -> Result<Vec<Vec<f32>>, ClusteringError> {
        self.numeric
            .iter()
            .map(|column| column.rescale(table))
            .collect()
    }
}

/// Rows along the axes; `own` numeric columns are no part of them.
fn reduced(
    codes: Codes,
    centre: &[f32],
    axes: &[f32],
    dims: usize,
    own: usize,
) -> Result<Vec<f32>, ClusteringError> {
    let codes = codes.centred_at(centre)?;
    let codes = if own > 0 {
        codes.with_numeric(Vec::new())?
    } else {
        codes
    };
    let mut values = vec![0.0; Points::rows(&codes) * dims];
    codes.times(axes, dims, &mut values);
    Ok(values)
}
