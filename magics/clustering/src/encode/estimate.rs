//! How much memory an encoding needs, before it starts.

use super::{Method, ppmi};
use crate::svd::{SMALL, SvdOptions};
use crate::table::Table;

/// Bytes that [`super::encode`] needs at its peak, the table itself not counted.
pub fn estimate(table: &Table, method: Method) -> u64 {
    let n_rows = table.n_rows() as u64;
    let questions = table.columns.len() as u64;
    // A level for missing values comes on top.
    let levels: u64 = table
        .columns
        .iter()
        .map(|column| column.levels.len() as u64 + 1)
        .sum();
    let numeric = table.numeric.len() as u64;
    let most = table
        .columns
        .iter()
        .map(|column| column.levels.len() as u64 + 1)
        .max()
        .unwrap_or(0);
    let width = if most > u64::from(u16::MAX) { 4 } else { 2 };
    // Recoded columns (4 bytes) stand beside the codes made of them; the scaled copy beside the plain one.
    let codes = n_rows * (questions * (4 + 2 * width) + 4 * numeric) + 16 * levels;
    let reduced = |dims: usize, tall: u64, side: u64| {
        let wide = SvdOptions::new(dims).wide() as u64;
        let wide = if levels <= SMALL as u64 {
            wide.max(levels)
        } else {
            wide
        }
        .min(levels + numeric);
        let axes = 20 * (levels + numeric) * wide + 24 * wide * wide;
        tall * n_rows * wide * 4 + axes + side + n_rows * (dims as u64).min(levels + numeric) * 4
    };
    codes
        + match method {
            Method::OneHot | Method::Chi2 => 0,
            Method::Mca(dims) => reduced(dims, 1, 0),
            Method::Coupling(dims) => reduced(dims, 2, 0),
            Method::Ppmi(dims) => {
                let pairs = if levels <= ppmi::KEPT as u64 {
                    4 * levels * levels
                } else {
                    16 * most * most
                };
                reduced(dims, 0, pairs) + 8 * n_rows
            }
        }
}
