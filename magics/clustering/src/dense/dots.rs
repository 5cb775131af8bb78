//! Products of rows with few centroids, along the columns: no packing, for wide rows and for candidates.

#![expect(
    clippy::inline_always,
    reason = "only the outermost function has the wide instructions"
)]

use pulp::{Arch, Simd, WithSimd};

use super::ahead;

/// Columns at a time, so that a slab of the centroids stays in a near cache.
const SLAB: usize = 1024;
/// Centroids at a time, at most.
const MOST: usize = 6;

/// Adds `x·c` for each of `rows` and each of `centroids`, all `dims` long, to `products` (row-major `n × k`).
pub(super) fn add_products(
    rows: &[&[f32]],
    centroids: &[&[f32]],
    dims: usize,
    products: &mut [f32],
) {
    Arch::new().dispatch(Products {
        rows,
        centroids,
        dims,
        into: products,
    });
}

struct Products<'a> {
    rows: &'a [&'a [f32]],
    centroids: &'a [&'a [f32]],
    dims: usize,
    into: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let k = self.centroids.len();
        let mut sums = vec![simd.splat_f32s(0.0); self.rows.len() * k];
        for slab in (0..self.dims).step_by(SLAB) {
            let columns = slab..(slab + SLAB).min(self.dims);
            // 32 registers hold the sums of 4 × 6 products, 16 those of 2 × 6.
            if S::F32_LANES == 8 {
                tiles::<S, 2>(simd, &self.columns(columns), &mut sums, k);
            } else {
                tiles::<S, 4>(simd, &self.columns(columns), &mut sums, k);
            }
        }
        for (product, sum) in self.into.iter_mut().zip(sums) {
            *product += simd.reduce_sum_f32s(sum);
        }
    }
}

/// Columns of rows and centroids.
struct Slab<'a> {
    rows: &'a [&'a [f32]],
    centroids: &'a [&'a [f32]],
    columns: std::ops::Range<usize>,
}

impl<'a> Products<'a> {
    #[inline(always)]
    fn columns(&self, columns: std::ops::Range<usize>) -> Slab<'a> {
        Slab {
            rows: self.rows,
            centroids: self.centroids,
            columns,
        }
    }
}

#[inline(always)]
fn tiles<S: Simd, const R: usize>(simd: S, slab: &Slab, products: &mut [S::f32s], k: usize) {
    let (rows, rest) = slab.rows.as_chunks::<R>();
    let mut outputs = products.chunks_exact_mut(R * k);
    let next = rows.iter().skip(1).map(|rows| &rows[..]).chain([rest]);
    for ((rows, products), next) in rows.iter().zip(outputs.by_ref()).zip(next) {
        row_tile::<S, R>(simd, slab, rows, next, products, k);
    }
    for (row, products) in rest
        .iter()
        .zip(outputs.into_remainder().chunks_exact_mut(k))
    {
        row_tile::<S, 1>(simd, slab, &[row], &[], products, k);
    }
}

#[inline(always)]
fn row_tile<S: Simd, const R: usize>(
    simd: S,
    slab: &Slab,
    rows: &[&[f32]; R],
    next: &[&[f32]],
    products: &mut [S::f32s],
    k: usize,
) {
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r][slab.columns.clone()]);
    let turns = k.div_ceil(MOST);
    let mut first = 0;
    for turn in 0..turns {
        for row in next {
            ahead::fetch(&row[slab.columns.clone()], turn, turns);
        }
        let count = (k - first).div_ceil(turns - turn);
        let products = &mut products[first..];
        match count {
            1 => few::<S, R, 1>(simd, slab, &rows, first, products, k),
            2 => few::<S, R, 2>(simd, slab, &rows, first, products, k),
            3 => few::<S, R, 3>(simd, slab, &rows, first, products, k),
            4 => few::<S, R, 4>(simd, slab, &rows, first, products, k),
            5 => few::<S, R, 5>(simd, slab, &rows, first, products, k),
            _ => few::<S, R, 6>(simd, slab, &rows, first, products, k),
        }
        first += count;
    }
}

/// Adds the products of `R` rows with `T` centroids from `first` on.
#[inline(always)]
fn few<S: Simd, const R: usize, const T: usize>(
    simd: S,
    slab: &Slab,
    rows: &[&[f32]; R],
    first: usize,
    products: &mut [S::f32s],
    k: usize,
) {
    let centroids: [&[f32]; T] =
        std::array::from_fn(|t| &slab.centroids[first + t][slab.columns.clone()]);
    let mut sums = [[simd.splat_f32s(0.0); T]; R];
    let whole = slab.columns.len() / S::F32_LANES;
    let row_heads: [&[S::f32s]; R] = std::array::from_fn(|r| &S::as_simd_f32s(rows[r]).0[..whole]);
    let heads: [&[S::f32s]; T] = std::array::from_fn(|t| &S::as_simd_f32s(centroids[t]).0[..whole]);
    for p in 0..whole {
        let values: [S::f32s; R] = std::array::from_fn(|r| row_heads[r][p]);
        for (t, head) in heads.iter().enumerate() {
            let column = head[p];
            for (sums, &value) in sums.iter_mut().zip(&values) {
                sums[t] = simd.mul_add_e_f32s(value, column, sums[t]);
            }
        }
    }
    let tail = whole * S::F32_LANES;
    if tail < slab.columns.len() {
        let values: [S::f32s; R] =
            std::array::from_fn(|r| simd.partial_load_f32s(&rows[r][tail..]));
        for (t, centroid) in centroids.iter().enumerate() {
            let column = simd.partial_load_f32s(&centroid[tail..]);
            for (sums, &value) in sums.iter_mut().zip(&values) {
                sums[t] = simd.mul_add_e_f32s(value, column, sums[t]);
            }
        }
    }
    // Loops of known length: any other would keep the sums in memory, through the loops above too.
    for (r, sums) in sums.iter().enumerate() {
        if let Some(products) = products[r * k..].first_chunk_mut::<T>() {
            for (product, &sum) in products.iter_mut().zip(sums) {
                *product = simd.add_f32s(*product, sum);
            }
        }
    }
}
