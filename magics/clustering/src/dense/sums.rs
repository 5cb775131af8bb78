//! Sums of rows, of their squares and of their differences, in 64 bits.

#![expect(
    clippy::inline_always,
    reason = "only the outermost function has the wide instructions"
)]

use pulp::Arch;
use rayon::prelude::*;

use super::values::Values;

/// Columns whose sums one thread makes for all rows.
const COLUMNS: usize = 2048;
/// Sums of a distance that run side by side.
const LANES: usize = 16;

/// Adds each row, times its weight, to the sum of its label (`k × dims`).
pub(super) fn add(
    rows: &[f32],
    dims: usize,
    labels: &[u32],
    weights: Option<&[f32]>,
    sums: &mut [f64],
) {
    Arch::new().dispatch(|| {
        for (i, (row, &label)) in rows.chunks_exact(dims).zip(labels).enumerate() {
            let sums = &mut sums[label as usize * dims..][..dims];
            add_row(row, weights.map(|weights| weights[i]), sums);
        }
    });
}

/// Adds all rows.
pub(super) fn add_rows(rows: &[f32], dims: usize, sums: &mut [f64]) {
    Arch::new().dispatch(|| {
        rows.chunks_exact(dims)
            .for_each(|row| add_row(row, None, sums));
    });
}

#[inline(always)]
fn add_row(row: &[f32], weight: Option<f32>, sums: &mut [f64]) {
    if let Some(weight) = weight {
        let weight = f64::from(weight);
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value) * weight;
        }
    } else {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
}

/// Adds all rows to the sums of their labels: each thread takes some columns, hence no sums to merge.
pub(super) fn add_by_columns(
    values: &Values,
    dims: usize,
    labels: &[u32],
    weights: Option<&[f32]>,
    sums: &mut [f64],
) {
    let k = sums.len() / dims;
    // Cluster by cluster, so that its sums stay in the nearest cache.
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&row| labels[row]);
    let strips: Vec<Vec<f64>> = (0..dims.div_ceil(COLUMNS))
        .into_par_iter()
        .map(|strip| {
            let first = strip * COLUMNS;
            let width = COLUMNS.min(dims - first);
            let (mut strip, mut tile) = (vec![0.0; k * width], vec![0.0; width]);
            Arch::new().dispatch(|| {
                for (place, &row) in order.iter().enumerate() {
                    if let Some(next) = order.get(place + 1) {
                        values.prefetch(next * dims + first, width);
                    }
                    let sums = &mut strip[labels[row] as usize * width..][..width];
                    let weight = weights.map(|weights| weights[row]);
                    values.columns(row * dims + first, &mut tile, |row| {
                        add_row(row, weight, sums);
                    });
                }
            });
            strip
        })
        .collect();
    for (number, strip) in strips.iter().enumerate() {
        let first = number * COLUMNS;
        let width = strip.len() / k;
        for (sums, strip) in sums.chunks_exact_mut(dims).zip(strip.chunks_exact(width)) {
            for (sum, part) in sums[first..first + width].iter_mut().zip(strip) {
                *sum += part;
            }
        }
    }
}

/// `‖a − b‖²`: differences in 32 bits, their squares summed in 64.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    Arch::new().dispatch(|| {
        let mut sums = [0.0_f64; LANES];
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let difference = f64::from(a[lane] - b[lane]);
                sums[lane] += difference * difference;
            }
        }
        let rest: f64 = a_rest
            .iter()
            .zip(b_rest)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum();
        sums.iter().sum::<f64>() + rest
    })
}

/// Adds the squared differences of rows from `means`, by column.
pub(super) fn add_squares(rows: &[f32], means: &[f64], squares: &mut [f64]) {
    Arch::new().dispatch(|| {
        for row in rows.chunks_exact(means.len()) {
            for ((square, &value), mean) in squares.iter_mut().zip(row).zip(means) {
                let difference = f64::from(value) - mean;
                *square += difference * difference;
            }
        }
    });
}

/// Adds a row, times each of `factors`, to one sum for each (row-major `factors × dims`).
pub(super) fn add_multiples(row: &[f32], factors: &[f32], sums: &mut [f64]) {
    Arch::new().dispatch(|| {
        for (&factor, sums) in factors.iter().zip(sums.chunks_exact_mut(row.len())) {
            add_row(row, Some(factor), sums);
        }
    });
}
