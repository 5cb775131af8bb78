//! The innermost loop of all products in single precision: a few rows times a panel of 32 columns, summed in registers.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]
#![expect(
    unsafe_code,
    reason = "bounds checks in the innermost loop push the sums out of the registers"
)]

use pulp::Simd;

/// Columns of one panel.
pub(super) const PANEL: usize = 32;
/// Most rows of one call.
pub(super) const ROWS: usize = 8;

/// Adds to each of the `sums` its row times the panel (`rows[..].len()` × 32).
///
/// The sums run over the panel in order, whatever the number of rows, so a row's bits don't depend on its neighbours.
#[inline(always)]
pub(super) fn add_products<S: Simd>(
    simd: S,
    rows: &[&[f32]],
    panel: &[f32],
    sums: &mut [[f32; PANEL]],
) {
    match PANEL / S::F32_LANES {
        2 => by_rows::<S, 2, 8>(simd, rows, panel, sums),
        4 => by_rows::<S, 4, 3>(simd, rows, panel, sums),
        8 => by_rows::<S, 8, 1>(simd, rows, panel, sums),
        _ => by_rows::<S, PANEL, 1>(simd, rows, panel, sums),
    }
}

#[inline(always)]
fn by_rows<S: Simd, const V: usize, const R: usize>(
    simd: S,
    rows: &[&[f32]],
    panel: &[f32],
    sums: &mut [[f32; PANEL]],
) {
    let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
    for (rows, sums) in rows.chunks(R).zip(sums.chunks_mut(R)) {
        if let (Ok(rows), Ok(sums)) = (
            <&[&[f32]; R]>::try_from(rows),
            <&mut [[f32; PANEL]; R]>::try_from(&mut *sums),
        ) {
            tile::<S, R, V>(simd, rows, panel, sums);
            continue;
        }
        let (fours, ones) = rows.as_chunks::<4>();
        let (four_sums, one_sums) = sums.as_chunks_mut::<4>();
        for (rows, sums) in fours.iter().zip(four_sums) {
            tile::<S, 4, V>(simd, rows, panel, sums);
        }
        let (twos, ones) = ones.as_chunks::<2>();
        let (two_sums, one_sums) = one_sums.as_chunks_mut::<2>();
        for (rows, sums) in twos.iter().zip(two_sums) {
            tile::<S, 2, V>(simd, rows, panel, sums);
        }
        for (row, sums) in ones.iter().zip(one_sums) {
            tile::<S, 1, V>(simd, &[row], panel, std::array::from_mut(sums));
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: &[&[f32]; R],
    panel: &[[S::f32s; V]],
    out: &mut [[f32; PANEL]; R],
) {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums =
        out.map(|out| std::array::from_fn::<S::f32s, V, _>(|i| S::as_simd_f32s(&out).0[i]));
    for (k, columns) in panel.iter().enumerate() {
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: k < panel.len() == row.len(). With the check the compiler stores every sum in every step.
            let left = simd.splat_f32s(unsafe { *row.get_unchecked(k) });
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_f32s(left, *column, *sum);
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(&sums) {
        for (out, sum) in S::as_mut_simd_f32s(out).0.iter_mut().zip(sums) {
            *out = *sum;
        }
    }
}
