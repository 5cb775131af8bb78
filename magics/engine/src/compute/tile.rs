//! The kernel of every matrix product: a few rows times one panel of columns, summed in registers.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]
#![expect(
    unsafe_code,
    reason = "bounds checks in the innermost loop push the sums out of the registers"
)]

use pulp::Simd;

/// Rows of one tile.
const ROWS: usize = 6;

/// Rows of the left operand; row `i` starts at `i * stride`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) n: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn take<const R: usize>(&self, first: usize, k: usize) -> [&'a [f32]; R] {
        std::array::from_fn(|i| &self.values[(first + i) * self.stride..][..k])
    }
}

/// Vectors of one panel on the instruction set `S` for `n` columns: enough for all of them, or the most that leaves
/// registers for the sums.
#[inline(always)]
pub(super) fn vectors<S: Simd>(n: usize) -> usize {
    let most = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
    match n.div_ceil(S::F32_LANES) {
        0 | 1 => 1,
        2 => 2,
        _ => most,
    }
}

/// Multiplies all rows by one panel and hands each row of the result to `store` as `(row, sums)`.
///
/// `panel` is k × (vectors · lanes); the sums start from `start` (as wide as the panel) and run over k in order, whatever
/// the number of rows, so a row's bits don't depend on its neighbours.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    rows: Rows<'_>,
    panel: &[f32],
    start: &[f32],
    store: impl FnMut(usize, &[f32]),
) {
    match start.len() / S::F32_LANES {
        1 => by_rows::<S, 1>(simd, rows, panel, start, store),
        2 => by_rows::<S, 2>(simd, rows, panel, start, store),
        _ => by_rows::<S, 4>(simd, rows, panel, start, store),
    }
}

#[inline(always)]
fn by_rows<S: Simd, const V: usize>(
    simd: S,
    rows: Rows<'_>,
    panel: &[f32],
    start: &[f32],
    mut store: impl FnMut(usize, &[f32]),
) {
    let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
    let start = S::as_simd_f32s(start).0.as_chunks::<V>().0[0];
    let mut sums = [start; ROWS];
    let mut first = 0;
    while first < rows.n {
        let n = ROWS.min(rows.n - first);
        match n {
            1 => tile::<S, 1, V>(simd, rows, first, panel, start, &mut sums),
            2 => tile::<S, 2, V>(simd, rows, first, panel, start, &mut sums),
            3 => tile::<S, 3, V>(simd, rows, first, panel, start, &mut sums),
            4 => tile::<S, 4, V>(simd, rows, first, panel, start, &mut sums),
            5 => tile::<S, 5, V>(simd, rows, first, panel, start, &mut sums),
            _ => tile::<S, ROWS, V>(simd, rows, first, panel, start, &mut sums),
        }
        for (i, sums) in sums.iter().enumerate().take(n) {
            store(first + i, bytemuck::cast_slice(sums));
        }
        first += n;
    }
}

#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: Rows<'_>,
    first: usize,
    panel: &[[S::f32s; V]],
    start: [S::f32s; V],
    out: &mut [[S::f32s; V]; ROWS],
) {
    // Each of these is as long as the panel, or slicing would have panicked.
    let rows: [&[f32]; R] = rows.take(first, panel.len());
    let mut sums = [start; R];
    for (k, columns) in panel.iter().enumerate() {
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: k < panel.len() == row.len(). With the check the compiler stores every sum in every step.
            let left = simd.splat_f32s(unsafe { *row.get_unchecked(k) });
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_f32s(left, *column, *sum);
            }
        }
    }
    out[..R].copy_from_slice(&sums);
}
