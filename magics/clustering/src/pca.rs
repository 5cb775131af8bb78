//! Principal components by a randomised singular value decomposition (Halko, Martinsson and Tropp 2011).

use crate::error::ClusteringError;
use crate::product::Product;
use crate::watch::Watch;

/// Columns beyond the components that are asked for.
const OVERSAMPLING: usize = 10;
/// Multiplications by the covariance, which part near singular values.
const POWERS: usize = 4;
/// Sweeps of the Jacobi rotations; a small symmetric matrix needs fewer than ten.
const SWEEPS: usize = 30;

/// Rows seen along the directions in which they differ most.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Row-major `n × components`.
    pub coordinates: Vec<f32>,
    /// Number of components.
    pub components: usize,
    /// Directions of length 1, row-major `components × dims`; the largest value of each is positive.
    pub axes: Vec<f32>,
    /// Share of the variance along each.
    pub explained: Vec<f64>,
}

/// Projects rows to their first principal components, at most as many as rows and columns.
///
/// Ten passes over the rows, O(n · dims · (components + 10)) each; the same seed gives the same bits.
pub fn map<P: Product>(
    rows: &P,
    components: usize,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Map, ClusteringError> {
    let (n_rows, dims) = (rows.rows(), rows.dims());
    if n_rows == 0 || dims == 0 {
        return Err(ClusteringError::Empty { n_rows, dims });
    }
    let limit = n_rows.min(dims);
    let components = components.clamp(1, limit);
    let m = (components + OVERSAMPLING).min(limit);
    let means = rows.means();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut right: Vec<f64> = (0..dims * m).map(|_| random.f64() - 0.5).collect();
    let mut left = vec![0.0_f32; n_rows * m];
    for power in 0..=POWERS {
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        orthonormal(&mut right, m);
        rows.centred_times(&means, &single(&right), m, &mut left);
        if power < POWERS {
            transposed(rows, &left, &means, m, &mut right);
        }
        watch.step(power + 1, POWERS + 1, "principal components");
    }
    Ok(rotated(rows, &right, &left, m, components))
}

/// `(X − 1·meansᵀ)ᵀ · left`.
fn transposed<P: Product>(rows: &P, left: &[f32], means: &[f64], m: usize, into: &mut [f64]) {
    rows.transposed_times(left, m, into);
    let mut sums = vec![0.0; m];
    for row in left.chunks_exact(m) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    for (into, mean) in into.chunks_exact_mut(m).zip(means) {
        into.iter_mut()
            .zip(&sums)
            .for_each(|(value, sum)| *value -= mean * sum);
    }
}

/// Turns the basis `right`, of which `left` are the products, to the principal axes.
fn rotated<P: Product>(rows: &P, right: &[f64], left: &[f32], m: usize, components: usize) -> Map {
    let mut gram = vec![0.0; m * m];
    for row in left.chunks_exact(m) {
        for (i, &a) in row.iter().enumerate() {
            for (j, &b) in row.iter().enumerate() {
                gram[i * m + j] += f64::from(a) * f64::from(b);
            }
        }
    }
    let (values, vectors) = eigen(gram, m);
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(components);
    let along =
        |row: &[f64], axis: usize| -> f64 { (0..m).map(|i| row[i] * vectors[i * m + axis]).sum() };
    let mut axes = Vec::with_capacity(components * right.len() / m);
    let mut signs = Vec::with_capacity(components);
    for &axis in &order {
        let column: Vec<f64> = right.chunks_exact(m).map(|row| along(row, axis)).collect();
        let largest = column
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        axes.extend(column.iter().map(|value| (sign * value) as f32));
        signs.push(sign);
    }
    let mut coordinates = Vec::with_capacity(components * left.len() / m);
    for row in left.chunks_exact(m) {
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        coordinates.extend(
            order
                .iter()
                .zip(&signs)
                .map(|(&axis, sign)| (sign * along(&row, axis)) as f32),
        );
    }
    let total = rows.variance() * rows.rows() as f64;
    let share = |&axis: &usize| {
        if total > 0.0 {
            values[axis].max(0.0) / total
        } else {
            0.0
        }
    };
    Map {
        coordinates,
        components,
        axes,
        explained: order.iter().map(share).collect(),
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Makes the columns of a row-major matrix of `m` columns orthonormal (Gram and Schmidt, twice); dependent ones become 0.
fn orthonormal(matrix: &mut [f64], m: usize) {
    let dims = matrix.len() / m;
    let mut columns: Vec<Vec<f64>> = (0..m)
        .map(|j| matrix.iter().skip(j).step_by(m).copied().collect())
        .collect();
    for j in 0..m {
        let (done, rest) = columns.split_at_mut(j);
        let column = &mut rest[0];
        let before = dot(column, column).sqrt();
        for _ in 0..2 {
            for known in &*done {
                let along = dot(known, column);
                column
                    .iter_mut()
                    .zip(known)
                    .for_each(|(value, known)| *value -= along * known);
            }
        }
        let length = dot(column, column).sqrt();
        let scale = if length > 1e-12 * before {
            1.0 / length
        } else {
            0.0
        };
        for value in column {
            *value *= scale;
        }
    }
    for row in 0..dims {
        for (j, column) in columns.iter().enumerate() {
            matrix[row * m + j] = column[row];
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut matrix: Vec<f64>, m: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; m * m];
    (0..m).for_each(|i| vectors[i * m + i] = 1.0);
    for _ in 0..SWEEPS {
        for p in 0..m {
            for q in p + 1..m {
                let off = matrix[p * m + q];
                if off == 0.0 {
                    continue;
                }
                let theta = (matrix[q * m + q] - matrix[p * m + p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for i in 0..m {
                    turn(&mut matrix, i * m + p, i * m + q, cosine, sine);
                    turn(&mut vectors, i * m + p, i * m + q, cosine, sine);
                }
                for i in 0..m {
                    turn(&mut matrix, p * m + i, q * m + i, cosine, sine);
                }
            }
        }
    }
    ((0..m).map(|i| matrix[i * m + i]).collect(), vectors)
}

fn turn(values: &mut [f64], a: usize, b: usize, cosine: f64, sine: f64) {
    let (x, y) = (values[a], values[b]);
    (values[a], values[b]) = (cosine * x - sine * y, sine * x + cosine * y);
}

#[cfg(test)]
mod tests;
