//! Products with matrices of any format, several at a time, on all threads.
#![expect(
    unsafe_code,
    reason = "threads write different columns of the same rows"
)]

use rayon::prelude::*;

use super::dense::Dense;
use super::kind::{LARGE, SMALL, TILE};
use super::packed::Packed;
use super::portable;
use super::rows::{GROUP, Group, Rows};
use super::tile::{PANEL, ROWS};
#[cfg(target_arch = "x86_64")]
use super::vnni;

/// A matrix of weights: `n` rows of `k` values.
#[derive(Debug)]
pub(super) enum Matrix {
    /// In single precision.
    Dense(Dense),
    /// Quantised.
    Packed(Packed),
}

/// One product: `out = x · matrixᵀ + bias`, or added to what `out` (rows × n) holds.
#[derive(Debug)]
pub(super) struct Product<'a> {
    pub(super) matrix: &'a Matrix,
    pub(super) bias: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) add: bool,
}

/// Where the columns of a product go; each thread writes columns of its own.
struct Columns {
    out: *mut f32,
    n: usize,
}

// SAFETY: `write` is only called for different columns at a time.
unsafe impl Sync for Columns {}
// SAFETY: it is a place to write to, whoever does it.
unsafe impl Send for Columns {}

impl Matrix {
    /// Rows: values that a product gives.
    pub(super) fn n(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.n,
            Self::Packed(matrix) => matrix.n,
        }
    }

    /// Values of a row.
    pub(super) fn k(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.k,
            Self::Packed(matrix) => matrix.k,
        }
    }

    /// The name of its format.
    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Dense(_) => "F32",
            Self::Packed(matrix) => matrix.kind.name(),
        }
    }

    /// Bytes of memory.
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.n_bytes(),
            Self::Packed(matrix) => matrix.n_bytes(),
        }
    }

    /// The values of one row.
    pub(super) fn row(&self, row: usize, into: &mut [f32]) {
        match self {
            Self::Dense(matrix) => matrix.row(row, into),
            Self::Packed(matrix) => matrix.row(row, into),
        }
    }

    /// What threads share: tiles of sixteen rows, or panels of 32.
    fn n_tiles(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.n_panels(),
            Self::Packed(matrix) => matrix.n_tiles(),
        }
    }

    fn block(&self) -> usize {
        match self {
            Self::Dense(_) => 0,
            Self::Packed(matrix) => matrix.kind.block(),
        }
    }
}

/// Computes several products with the same rows `x`, of as many values as the matrices' rows.
pub(super) fn multiply(x: &[f32], products: &mut [Product<'_>]) {
    let Some(k) = products.first().map(|product| product.matrix.k()) else {
        return;
    };
    let quantised = |block: usize| {
        let wanted = products
            .iter()
            .any(|product| product.matrix.block() == block);
        wanted.then(|| Rows::new(x, k, block))
    };
    let inputs = Inputs {
        x,
        k,
        small: quantised(SMALL),
        large: quantised(LARGE),
    };
    let n_tiles: usize = products
        .iter()
        .map(|product| product.matrix.n_tiles())
        .sum();
    // A few pieces for each thread, so that the last one doesn't wait for long.
    let piece = n_tiles.div_ceil(8 * rayon::current_num_threads()).max(1);
    let mut pieces = Vec::new();
    for product in products.iter_mut() {
        let n_tiles = product.matrix.n_tiles();
        let columns = Columns {
            out: product.out.as_mut_ptr(),
            n: product.matrix.n(),
        };
        assert_eq!(
            product.out.len() * k,
            x.len() * columns.n,
            "a product has a value for each row of both"
        );
        let columns = std::sync::Arc::new(columns);
        for first in (0..n_tiles).step_by(piece) {
            let tiles = first..n_tiles.min(first + piece);
            pieces.push((
                product.matrix,
                product.bias,
                product.add,
                columns.clone(),
                tiles,
            ));
        }
    }
    pieces
        .into_par_iter()
        .for_each(|(matrix, bias, add, columns, tiles)| {
            let finish = Finish {
                columns: &columns,
                bias,
                add,
            };
            match matrix {
                Matrix::Dense(matrix) => {
                    tiles.for_each(|panel| inputs.dense(matrix, panel, &finish));
                }
                Matrix::Packed(matrix) => {
                    tiles.for_each(|tile| inputs.packed(matrix, tile, &finish));
                }
            }
        });
}

/// The rows of a product, as the kernels want them.
struct Inputs<'a> {
    x: &'a [f32],
    k: usize,
    small: Option<Rows>,
    large: Option<Rows>,
}

impl Inputs<'_> {
    fn dense(&self, matrix: &Dense, panel: usize, finish: &Finish<'_>) {
        let mut out = [[0.0; PANEL]; ROWS];
        for (at, x) in self.x.chunks(ROWS * self.k).enumerate() {
            matrix.multiply(panel, x, &mut out);
            for (i, out) in out.iter().enumerate().take(x.len() / self.k) {
                finish.write(at * ROWS + i, panel * PANEL, out);
            }
        }
    }

    fn packed(&self, matrix: &Packed, tile: usize, finish: &Finish<'_>) {
        let rows = if matrix.kind.block() == LARGE {
            &self.large
        } else {
            &self.small
        };
        let Some(rows) = rows else { return };
        let mut out = [[0.0; TILE]; GROUP];
        for first in (0..rows.n()).step_by(GROUP) {
            let group = rows.group(first);
            multiply_tile(matrix, tile, group, &mut out);
            for (i, out) in out.iter().enumerate().take(group.n) {
                finish.write(first + i, tile * TILE, out);
            }
        }
    }
}

/// Multiplies with the fastest kernel that this processor has.
fn multiply_tile(matrix: &Packed, tile: usize, group: Group<'_>, out: &mut [[f32; TILE]; GROUP]) {
    #[cfg(target_arch = "x86_64")]
    if vnni::available() {
        // SAFETY: the instructions are there, and the rows were quantised for this format.
        unsafe { vnni::multiply(matrix, tile, group, out) };
        return;
    }
    portable::multiply(matrix, tile, group, out);
}

/// What happens to the sums.
struct Finish<'a> {
    columns: &'a Columns,
    bias: &'a [f32],
    add: bool,
}

impl Finish<'_> {
    /// Writes some columns of one row; those beyond the last are left out.
    fn write(&self, row: usize, first: usize, sums: &[f32]) {
        let n = sums.len().min(self.columns.n - first);
        // SAFETY: row and columns lie in `out`, as `multiply` has checked, and nobody else writes these columns.
        let out = unsafe {
            std::slice::from_raw_parts_mut(self.columns.out.add(row * self.columns.n + first), n)
        };
        let bias = self.bias.get(first..first + n);
        match (self.add, bias) {
            (false, None) => out.copy_from_slice(&sums[..n]),
            (false, Some(bias)) => out
                .iter_mut()
                .zip(sums)
                .zip(bias)
                .for_each(|((out, sum), bias)| *out = sum + bias),
            (true, None) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
            (true, Some(bias)) => out
                .iter_mut()
                .zip(sums)
                .zip(bias)
                .for_each(|((out, sum), bias)| *out += sum + bias),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::model::processor::kind::Kind;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..n).map(|_| random.f32() * 2.0 - 0.9).collect()
    }

    /// The largest difference between two lists, relative to the largest value.
    fn difference(found: &[f32], wanted: &[f32]) -> f32 {
        let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let pairs = found.iter().zip(wanted);
        pairs.fold(0.0, |most: f32, (a, b)| {
            if (a - b).abs() <= most {
                most
            } else {
                (a - b).abs()
            }
        }) / largest
    }

    fn exact(matrix: &Matrix, x: &[f32], k: usize) -> Vec<f32> {
        let mut row = vec![0.0; k];
        let mut out = vec![0.0; x.len() / k * matrix.n()];
        for i in 0..matrix.n() {
            matrix.row(i, &mut row);
            for (at, x) in x.chunks_exact(k).enumerate() {
                let sum: f64 = x
                    .iter()
                    .zip(&row)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum();
                out[at * matrix.n() + i] = sum as f32;
            }
        }
        out
    }

    fn product(matrix: &Matrix, x: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / matrix.k() * matrix.n()];
        multiply(
            x,
            &mut [Product {
                matrix,
                bias,
                out: &mut out,
                add: false,
            }],
        );
        out
    }

    #[test]
    fn products_are_those_of_the_values() {
        use GgmlDType as D;
        let (n, k) = (45, 512);
        for dtype in [D::F32, D::Q4_0, D::Q5_0, D::Q8_0, D::Q4K, D::Q5K, D::Q6K] {
            let values = random(n * k, 5);
            let tensor = Tensor::from_vec(values.clone(), (n, k), &Device::Cpu).unwrap();
            let matrix = match Kind::of(dtype) {
                Some(kind) => {
                    let bytes = QTensor::quantize(&tensor, dtype).unwrap();
                    Matrix::Packed(Packed::new(kind, &bytes.data().unwrap(), n, k).unwrap())
                }
                None => Matrix::Dense(Dense::new(n, k, |i| values[i])),
            };
            for m in [1, 2, 3, 5, 8, 9, 31] {
                // These have codes without error, so that the products must be exact.
                let coarse: Vec<f32> = random(m * k, m as u64)
                    .iter()
                    .map(|x| (x * 60.0).round())
                    .collect();
                let coarse: Vec<f32> = coarse
                    .iter()
                    .enumerate()
                    .map(|(i, x)| if i % 32 == 7 { -127.0 } else { *x })
                    .collect();
                let found = product(&matrix, &coarse, &[]);
                let error = difference(&found, &exact(&matrix, &coarse, k));
                assert!(error < 1e-5, "{dtype:?} with {m} rows: {error}");
                let alone = product(&matrix, &coarse[..k], &[]);
                assert_eq!(
                    alone,
                    found[..n],
                    "{dtype:?}: a row's bits depend on its neighbours"
                );
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn kernels_agree_with_each_other() {
        use GgmlDType as D;
        if !vnni::available() {
            return;
        }
        let (n, k, m) = (16, 768, 6);
        let x = random(m * k, 2);
        for dtype in [D::Q4_0, D::Q5_0, D::Q8_0, D::Q4K, D::Q5K, D::Q6K] {
            let tensor = Tensor::from_vec(random(n * k, 5), (n, k), &Device::Cpu).unwrap();
            let bytes = QTensor::quantize(&tensor, dtype).unwrap();
            let kind = Kind::of(dtype).unwrap();
            let packed = Packed::new(kind, &bytes.data().unwrap(), n, k).unwrap();
            let rows = Rows::new(&x, k, kind.block());
            let mut plain = [[0.0; TILE]; GROUP];
            portable::multiply(&packed, 0, rows.group(0), &mut plain);
            let mut fast = [[0.0; TILE]; GROUP];
            // SAFETY: the instructions are there, and the rows have the matrix's blocks.
            unsafe { vnni::multiply(&packed, 0, rows.group(0), &mut fast) };
            let error = difference(fast.as_flattened(), plain.as_flattened());
            assert!(error < 1e-6, "{dtype:?}: {error}");
        }
    }

    #[test]
    fn bias_and_residual_are_added() {
        let values = random(40 * 64, 1);
        let matrix = Matrix::Dense(Dense::new(40, 64, |i| values[i]));
        let (x, bias) = (random(3 * 64, 2), random(40, 3));
        let plain = product(&matrix, &x, &[]);
        let mut out = plain.clone();
        multiply(
            &x,
            &mut [Product {
                matrix: &matrix,
                bias: &bias,
                out: &mut out,
                add: true,
            }],
        );
        let wanted: Vec<f32> = plain
            .iter()
            .enumerate()
            .map(|(i, x)| 2.0 * x + bias[i % 40])
            .collect();
        assert!(difference(&out, &wanted) < 1e-6);
    }
}
