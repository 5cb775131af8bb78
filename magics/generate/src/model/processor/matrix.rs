//! Products with matrices of any format, several at a time, on all threads.
#![expect(
    unsafe_code,
    reason = "threads write different columns of the same rows"
)]

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::dense::Dense;
use super::kind::{LARGE, SMALL, TILE};
use super::packed::Packed;
use super::portable;
use super::rows::{GROUP, Group, Rows, STRIP};
use super::tile::{PANEL, ROWS};
#[cfg(target_arch = "x86_64")]
use super::vnni;
use crate::model::instructions::Available;
#[cfg(target_arch = "x86_64")]
use crate::model::instructions::Instructions;

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
pub(super) fn multiply(with: Available, x: &[f32], products: &mut [Product<'_>]) {
    let Some(k) = products.first().map(|product| product.matrix.k()) else {
        return;
    };
    let quantised = |block: usize| {
        let wanted = products
            .iter()
            .any(|product| product.matrix.block() == block);
        wanted.then(|| Rows::new(with, x, k, block))
    };
    let inputs = Inputs {
        with,
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
    with: Available,
    x: &'a [f32],
    k: usize,
    small: Option<Rows>,
    large: Option<Rows>,
}

impl Inputs<'_> {
    fn dense(&self, matrix: &Dense, panel: usize, finish: &Finish<'_>) {
        let mut out = [[0.0; PANEL]; ROWS];
        for (at, x) in self.x.chunks(ROWS * self.k).enumerate() {
            matrix.multiply(self.with, panel, x, &mut out);
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
        let mut out = [[0.0; TILE]; STRIP];
        for first in (0..rows.n()).step_by(STRIP) {
            let n = STRIP.min(rows.n() - first);
            let groups = &rows.strip(first)[..n.div_ceil(GROUP)];
            multiply_tile(self.with, matrix, tile, groups, &mut out[..n]);
            for (i, out) in out.iter().enumerate().take(n) {
                finish.write(first + i, tile * TILE, out);
            }
        }
    }
}

/// Products of a tile's sixteen rows with each row of the groups, of which all but the last are full.
///
/// The groups must be of rows that were quantised for the matrix: as long as its rows, in its blocks.
fn multiply_tile(
    with: Available,
    matrix: &Packed,
    tile: usize,
    groups: &[Group<'_>],
    out: &mut [[f32; TILE]],
) {
    #[cfg(target_arch = "x86_64")]
    if matches!(with.which(), Instructions::Avx2 | Instructions::Avx512) {
        // SAFETY: the instructions are there, and the rows were quantised for this format.
        unsafe { avx2::multiply(matrix, tile, groups, out) };
        return;
    }
    for (group, out) in groups.iter().zip(out.chunks_mut(GROUP)) {
        match with.which() {
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Vnni => unsafe { vnni::multiply(matrix, tile, *group, out) },
            _ => portable::multiply(with, matrix, tile, *group, out),
        }
    }
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
mod tests;
