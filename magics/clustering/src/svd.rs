//! The largest singular values of a matrix that can only be multiplied.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use crate::product::Product;

/// Rows that are summed before the sums are added up, so that the number of threads changes no bit.
const CHUNK: usize = 4096;
/// Columns up to which the decomposition is exact.
pub(crate) const SMALL: usize = 160;
/// Values (rows times columns) up to which it is exact although fewer directions would do.
const EXACT: usize = 1 << 26;
/// Directions whose share of the largest is below this are rounding errors.
const NOISE: f64 = 1e-10;

/// How well to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SvdOptions {
    /// Singular values wanted.
    pub rank: usize,
    /// Directions that are followed beyond those wanted.
    pub oversample: usize,
    /// Power iterations.
    pub power: usize,
    /// Seed of the first directions.
    pub seed: u64,
}

impl SvdOptions {
    /// The defaults for `rank` singular values.
    pub fn new(rank: usize) -> SvdOptions {
        SvdOptions {
            rank,
            oversample: 10,
            power: 4,
            seed: 0,
        }
    }

    /// Directions that are followed, if the matrix has as many.
    pub(crate) fn wide(&self) -> usize {
        self.rank + self.oversample
    }
}

/// The largest singular values and their right vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// Singular values found: the rank asked for, or the rank of the matrix.
    pub rank: usize,
    /// Singular values, largest first.
    pub singular: Vec<f32>,
    /// Right singular vectors, row-major `dims × rank`; the sign makes the largest entry of each positive.
    pub right: Vec<f32>,
}

/// Finds the largest singular values of `matrix` by randomised subspace iteration (Halko, Martinsson and Tropp 2011,
/// algorithms 4.4 and 5.1), exactly where the matrix has few columns: `O(power · rank)` products.
pub fn svd(matrix: &impl Product, options: &SvdOptions) -> Svd {
    let dims = matrix.dims();
    if dims == 0 || matrix.rows() == 0 {
        return Svd {
            rank: 0,
            singular: Vec::new(),
            right: Vec::new(),
        };
    }
    let wide = options.wide().min(dims).min(matrix.rows().max(1));
    if (dims <= SMALL && matrix.rows() <= EXACT / dims) || wide == dims {
        let mut identity = vec![0.0; dims * dims];
        for one in identity.iter_mut().step_by(dims + 1) {
            *one = 1.0;
        }
        let (values, vectors) = eigen(&gram(&times(matrix, &identity, dims), dims));
        let vectors = vectors.columns(0, dims).into_owned();
        return finish(&values, &vectors, dims, options.rank);
    }
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let mut basis: Vec<f32> = (0..dims * wide).map(|_| normal(&mut rng)).collect();
    for _ in 0..options.power {
        let mut left = times(matrix, &basis, wide);
        orthonormalise(&mut left, wide);
        basis = transposed_times(matrix, &left, wide);
        orthonormalise(&mut basis, wide);
    }
    let mut left = times(matrix, &basis, wide);
    orthonormalise(&mut left, wide);
    orthonormalise(&mut left, wide);
    let projected = transposed_times(matrix, &left, wide);
    let (values, vectors) = eigen(&gram(&projected, wide));
    let mut right = DMatrix::zeros(dims, wide);
    for (row, values_of_row) in projected.chunks(wide).enumerate() {
        for column in 0..wide {
            let sum: f64 = values_of_row
                .iter()
                .zip(vectors.column(column).iter())
                .map(|(&x, v)| f64::from(x) * v)
                .sum();
            right[(row, column)] = if values[column] > 0.0 {
                sum / values[column].sqrt()
            } else {
                0.0
            };
        }
    }
    finish(&values, &right, dims, options.rank)
}

fn times(matrix: &impl Product, right: &[f32], m: usize) -> Vec<f32> {
    let mut result = vec![0.0; matrix.rows() * m];
    matrix.times(right, m, &mut result);
    result
}

fn transposed_times(matrix: &impl Product, left: &[f32], m: usize) -> Vec<f32> {
    let mut result = vec![0.0; matrix.dims() * m];
    matrix.transposed_times(left, m, &mut result);
    result.into_iter().map(|value| value as f32).collect()
}

/// Makes the columns of row-major `values` orthonormal; those that depend on others become zero (Stathopoulos and Wu
/// 2002).
pub(crate) fn orthonormalise(values: &mut [f32], width: usize) {
    let (lengths, vectors) = eigen(&gram(values, width));
    let mut change = vec![0.0; width * width];
    for column in (0..width).filter(|&column| lengths[column] > NOISE * lengths[0]) {
        for row in 0..width {
            change[row * width + column] = vectors[(row, column)] / lengths[column].sqrt();
        }
    }
    values.par_chunks_mut(width * CHUNK).for_each(|rows| {
        let mut changed = vec![0.0; width];
        for row in rows.chunks_mut(width) {
            changed.fill(0.0);
            for (&value, change) in row.iter().zip(change.chunks(width)) {
                for (changed, &change) in changed.iter_mut().zip(change) {
                    *changed += f64::from(value) * change;
                }
            }
            for (value, &changed) in row.iter_mut().zip(&changed) {
                *value = changed as f32;
            }
        }
    });
}

/// The products of the columns of row-major `values` with each other.
pub(crate) fn gram(values: &[f32], width: usize) -> DMatrix<f64> {
    let parts: Vec<Vec<f64>> = values
        .par_chunks(width * CHUNK)
        .map(|rows| {
            let mut sums = vec![0.0; width * width];
            let mut row64 = vec![0.0; width];
            for row in rows.chunks(width) {
                for (wide, &value) in row64.iter_mut().zip(row) {
                    *wide = f64::from(value);
                }
                for (at, &value) in row64.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                    for (sum, &other) in sums[at * width + at..(at + 1) * width]
                        .iter_mut()
                        .zip(&row64[at..])
                    {
                        *sum += value * other;
                    }
                }
            }
            sums
        })
        .collect();
    DMatrix::from_fn(width, width, |row, column| {
        parts
            .iter()
            .map(|part| part[row.min(column) * width + row.max(column)])
            .sum()
    })
}

/// Eigenvalues, largest first, and their vectors as columns.
pub(crate) fn eigen(symmetric: &DMatrix<f64>) -> (Vec<f64>, DMatrix<f64>) {
    let found = SymmetricEigen::new(symmetric.clone());
    let mut order: Vec<usize> = (0..found.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| found.eigenvalues[b].total_cmp(&found.eigenvalues[a]));
    let values = order
        .iter()
        .map(|&at| found.eigenvalues[at].max(0.0))
        .collect();
    (values, found.eigenvectors.select_columns(&order))
}

fn finish(squares: &[f64], vectors: &DMatrix<f64>, dims: usize, rank: usize) -> Svd {
    let largest = squares.first().copied().unwrap_or(0.0);
    let rank = squares
        .iter()
        .take(rank)
        .filter(|&&square| square > NOISE * largest && square > 0.0)
        .count();
    let mut right = vec![0.0; dims * rank];
    for column in 0..rank {
        let vector = vectors.column(column);
        let largest = vector.iter().fold(0.0_f64, |most, &x| {
            if x.abs() > most.abs() * (1.0 + 1e-6) {
                x
            } else {
                most
            }
        });
        for (row, &value) in vector.iter().enumerate() {
            right[row * rank + column] = (value * largest.signum()) as f32;
        }
    }
    Svd {
        rank,
        singular: squares[..rank]
            .iter()
            .map(|square| square.sqrt() as f32)
            .collect(),
        right,
    }
}

/// A normal random number (Box and Muller 1958).
pub(crate) fn normal(rng: &mut fastrand::Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr::Csr;

    /// All values of a matrix, kept as if it were sparse.
    fn full(dims: usize, values: Vec<f32>) -> Csr {
        let indices = (0..values.len()).map(|at| (at % dims) as u32).collect();
        Csr::new(
            dims,
            (0..=values.len()).step_by(dims).collect(),
            indices,
            values,
        )
        .unwrap()
    }

    /// Rows with singular values 100, 50, 25, … in random directions.
    fn known(n_rows: usize, dims: usize, rank: usize) -> Csr {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut factor = |rows: usize| {
            let mut values: Vec<f32> = (0..rows * rank).map(|_| normal(&mut rng)).collect();
            orthonormalise(&mut values, rank);
            orthonormalise(&mut values, rank);
            values
        };
        let (left, right) = (factor(n_rows), factor(dims));
        let value = |row: usize, column: usize| {
            (0..rank)
                .map(|at| {
                    left[row * rank + at]
                        * right[column * rank + at]
                        * 100.0
                        * 0.5_f32.powf(at as f32)
                })
                .sum()
        };
        let values = (0..n_rows)
            .flat_map(|row| (0..dims).map(move |column| (row, column)))
            .map(|(r, c)| value(r, c));
        full(dims, values.collect())
    }

    #[test]
    fn finds_known_singular_values() {
        for dims in [60, 300] {
            let found = svd(&known(400, dims, 8), &SvdOptions::new(5));
            assert_eq!(found.rank, 5);
            for (at, &value) in found.singular.iter().enumerate() {
                let wanted = 100.0 * 0.5_f32.powf(at as f32);
                assert!(
                    (value - wanted).abs() < 1e-3 * wanted,
                    "dims {dims}, singular value {at}: {value}"
                );
            }
            for a in 0..5 {
                for b in 0..5 {
                    let dot: f32 = found.right.chunks(5).map(|row| row[a] * row[b]).sum();
                    assert!(
                        (dot - f32::from(u8::from(a == b))).abs() < 1e-4,
                        "vectors {a}, {b}: {dot}"
                    );
                }
            }
        }
    }

    #[test]
    fn stops_at_the_rank_of_the_matrix() {
        assert_eq!(svd(&known(300, 200, 4), &SvdOptions::new(20)).rank, 4);
        assert_eq!(svd(&full(5, vec![0.0; 50]), &SvdOptions::new(3)).rank, 0);
    }
}
