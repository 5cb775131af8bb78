//! Nearest two centroids by products of row tiles with packed centroids, the minima taken while products are in registers.

#![expect(
    clippy::inline_always,
    reason = "only the outermost function has the wide instructions"
)]

use pulp::{Arch, Simd, WithSimd};

use super::ahead;
use super::ready::Found;

/// Centroids side by side in a group.
const GROUP: usize = 16;
/// Rows that go through all centroids together, so that these come from memory once.
const STRIPE: usize = 64;
/// Groups at once, at most.
const WIDEST: usize = 3;

/// Centroids, packed by groups of 16: value `p` of all 16 stands together.
#[derive(Debug)]
pub(super) struct Panels {
    values: Vec<f32>,
    bias: Vec<f32>,
    dims: usize,
}

impl Panels {
    /// Packs `centroids` (row-major `k × dims`), whose scores start at `bias`.
    pub(super) fn new(centroids: &[f32], bias: &[f32], dims: usize) -> Panels {
        let k = bias.len();
        let groups = k.div_ceil(GROUP);
        let mut values = vec![0.0; groups * GROUP * dims];
        for (j, centroid) in centroids.chunks_exact(dims).enumerate() {
            let start = j / GROUP * GROUP * dims + j % GROUP;
            for (place, &value) in values[start..].iter_mut().step_by(GROUP).zip(centroid) {
                *place = value;
            }
        }
        let mut padded = vec![f32::INFINITY; groups * GROUP];
        padded[..k].copy_from_slice(bias);
        Panels {
            values,
            bias: padded,
            dims,
        }
    }

    /// Nearest centroid, its score and that of the next for each of `rows` (row-major `n × dims`).
    pub(super) fn nearest(&self, rows: &[f32], found: Found) {
        Arch::new().dispatch(Nearest {
            panels: self,
            rows,
            found,
        });
    }
}

struct Nearest<'a> {
    panels: &'a Panels,
    rows: &'a [f32],
    found: Found<'a>,
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let dims = self.panels.dims;
        let stripes = self.rows.chunks(STRIPE * dims);
        let ahead = self.rows.chunks(STRIPE * dims).skip(1).chain([&[][..]]);
        for (number, (rows, ahead)) in stripes.zip(ahead).enumerate() {
            let stripe = Stripe { rows, ahead };
            let first = number * STRIPE;
            let found = self.found.of(first..first + rows.len() / dims);
            // Registers differ: 32 of 16 lanes, 16 of 8 lanes, 32 of 4 lanes, or none.
            match S::F32_LANES {
                16 => stripe.nearest::<S, 8, 1>(simd, self.panels, found),
                8 => stripe.nearest::<S, 6, 2>(simd, self.panels, found),
                4 => stripe.nearest::<S, 4, 4>(simd, self.panels, found),
                _ => stripe.nearest::<S, 1, 16>(simd, self.panels, found),
            }
        }
    }
}

/// Rows that go through all centroids together, and those that come next.
struct Stripe<'a> {
    rows: &'a [f32],
    ahead: &'a [f32],
}

/// The least scores so far of a stripe, lane by lane; tiles may reach past its end.
struct Least {
    rows: [Lanes; STRIPE + GROUP],
}

/// The least two scores so far of one row in each lane, and the group of the least.
#[derive(Clone, Copy)]
struct Lanes {
    scores: [f32; GROUP],
    columns: [f32; GROUP],
    seconds: [f32; GROUP],
}

impl Stripe<'_> {
    /// `R` rows at a time, groups of `V` registers.
    #[inline(always)]
    fn nearest<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        panels: &Panels,
        found: Found,
    ) {
        let none = Lanes {
            scores: [f32::INFINITY; GROUP],
            columns: [0.0; GROUP],
            seconds: [f32::INFINITY; GROUP],
        };
        let mut least = Least {
            rows: [none; STRIPE + GROUP],
        };
        let groups = panels.bias.len() / GROUP;
        // Even widths, because a single group has too few sums in flight; only 32 wide registers hold more than one.
        let widest = if V == 1 { WIDEST } else { 1 };
        let strips = groups.div_ceil(widest);
        let mut group = 0;
        for number in 0..strips {
            let width = (groups - group).div_ceil(strips - number);
            let turn = (number, strips);
            match width {
                1 => self.strip::<S, R, 1, V>(simd, panels, group, turn, &mut least),
                2 => self.strip::<S, R, 2, V>(simd, panels, group, turn, &mut least),
                _ => self.strip::<S, R, 3, V>(simd, panels, group, turn, &mut least),
            }
            group += width;
        }
        let outputs = found.labels.iter_mut().zip(found.scores).zip(found.seconds);
        for (lanes, ((label, score), second)) in least.rows.iter().zip(outputs) {
            (*label, *score, *second) = lowest(simd, lanes);
        }
    }

    /// All rows with `G` groups from `group` on; meanwhile the next rows come nearer, a part in each turn.
    #[inline(always)]
    fn strip<S: Simd, const R: usize, const G: usize, const V: usize>(
        &self,
        simd: S,
        panels: &Panels,
        group: usize,
        (number, strips): (usize, usize),
        least: &mut Least,
    ) {
        let dims = panels.dims;
        let count = self.rows.len() / dims;
        let tiles = count.div_ceil(R);
        let packed: [&[S::f32s]; G] = std::array::from_fn(|g| {
            let start = (group + g) * GROUP * dims;
            S::as_simd_f32s(&panels.values[start..start + GROUP * dims]).0
        });
        let bias = &panels.bias[group * GROUP..(group + G) * GROUP];
        for (tile, known) in least.rows.chunks_exact_mut(R).enumerate().take(tiles) {
            ahead::fetch(self.ahead, number * tiles + tile, strips * tiles);
            // Past the end the last row stands in.
            let rows: [&[f32]; R] = std::array::from_fn(|r| {
                let row = (tile * R + r).min(count - 1);
                &self.rows[row * dims..(row + 1) * dims]
            });
            let products = product::<S, R, G, V>(simd, &rows, &packed, dims);
            for (products, lanes) in products.iter().zip(known) {
                lower::<S, G, V>(simd, products, bias, group, lanes);
            }
        }
    }
}

/// Takes the scores of one row that are lower than those so far: first among the groups, then against memory.
#[inline(always)]
fn lower<S: Simd, const G: usize, const V: usize>(
    simd: S,
    products: &[[S::f32s; V]; G],
    bias: &[f32],
    group: usize,
    lanes: &mut Lanes,
) {
    let bias = S::as_simd_f32s(bias).0;
    let best = S::as_mut_simd_f32s(&mut lanes.scores).0;
    let at = S::as_mut_simd_f32s(&mut lanes.columns).0;
    let seconds = S::as_mut_simd_f32s(&mut lanes.seconds).0;
    for v in 0..V {
        let mut score = simd.sub_f32s(bias[v], products[0][v]);
        let mut column = simd.splat_f32s((group * GROUP) as f32);
        let mut second = seconds[v];
        for g in 1..G {
            let next = simd.sub_f32s(bias[g * V + v], products[g][v]);
            let less = simd.less_than_f32s(next, score);
            second = simd.min_f32s(second, simd.max_f32s(next, score));
            score = simd.select_f32s(less, next, score);
            column = simd.select_f32s(less, simd.splat_f32s(((group + g) * GROUP) as f32), column);
        }
        let less = simd.less_than_f32s(score, best[v]);
        seconds[v] = simd.min_f32s(second, simd.max_f32s(score, best[v]));
        best[v] = simd.select_f32s(less, score, best[v]);
        at[v] = simd.select_f32s(less, column, at[v]);
    }
}

/// Products of `R` rows with `G` groups of `V` registers.
#[inline(always)]
fn product<S: Simd, const R: usize, const G: usize, const V: usize>(
    simd: S,
    rows: &[&[f32]; R],
    packed: &[&[S::f32s]; G],
    dims: usize,
) -> [[[S::f32s; V]; G]; R] {
    let mut sums = [[[simd.splat_f32s(0.0); V]; G]; R];
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r][..dims]);
    let packed: [&[[S::f32s; V]]; G] =
        std::array::from_fn(|g| &packed[g].as_chunks::<V>().0[..dims]);
    for p in 0..dims {
        let columns: [[S::f32s; V]; G] = std::array::from_fn(|g| packed[g][p]);
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let value = simd.splat_f32s(row[p]);
            for (sums, columns) in sums.iter_mut().zip(&columns) {
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(value, column, *sum);
                }
            }
        }
    }
    sums
}

/// The centroid of the least score of all lanes (of equals, the lowest centroid), the score, and the next.
#[inline(always)]
fn lowest<S: Simd>(simd: S, lanes: &Lanes) -> (u32, f32, f32) {
    const LANES: [f32; GROUP] = [
        0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.,
    ];
    let numbers = S::as_simd_f32s(&LANES).0;
    let scores = S::as_simd_f32s(&lanes.scores).0;
    let starts = S::as_simd_f32s(&lanes.columns).0;
    let seconds = S::as_simd_f32s(&lanes.seconds).0;
    let mut least = scores[0];
    for &score in &scores[1..] {
        least = simd.min_f32s(least, score);
    }
    let least = simd.reduce_min_f32s(least);
    let (splat, none) = (simd.splat_f32s(least), simd.splat_f32s(f32::MAX));
    let mut column = none;
    for ((&score, &start), &number) in scores.iter().zip(starts).zip(numbers) {
        let here = simd.select_f32s(
            simd.equal_f32s(score, splat),
            simd.add_f32s(start, number),
            none,
        );
        column = simd.min_f32s(column, here);
    }
    let column = simd.reduce_min_f32s(column);
    let (winner, infinite) = (simd.splat_f32s(column), simd.splat_f32s(f32::INFINITY));
    let mut next = infinite;
    for (((&score, &start), &number), &second) in
        scores.iter().zip(starts).zip(numbers).zip(seconds)
    {
        let own = simd.equal_f32s(simd.add_f32s(start, number), winner);
        let other = simd.select_f32s(own, second, simd.min_f32s(score, second));
        next = simd.min_f32s(next, other);
    }
    (column as u32, least, simd.reduce_min_f32s(next))
}
