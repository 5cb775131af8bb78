//! Linear layers: weights packed once for the kernel, and the product with what follows it.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use pulp::{Arch, Simd, WithSimd};

use super::activation::Activation;
use super::tile::{Rows, multiply, vectors};

/// What becomes of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It is stored.
    Store,
    /// It is added to what is there.
    Add,
    /// What is there is multiplied by it.
    Multiply,
    /// It goes through a function, then is stored.
    Activate(Activation),
}

/// A linear layer y = W·x + b, W being packed in panels of columns.
#[derive(Debug)]
pub(crate) struct Linear {
    n_in: usize,
    n_out: usize,
    width: usize,
    /// One panel after the other, each `n_in` × `width`; zeros beyond `n_out`.
    panels: Vec<f32>,
    /// As long as the panels are wide together.
    bias: Vec<f32>,
}

impl Linear {
    /// Packs weights as models store them, `n_out` × `n_in` row by row; an empty `bias` stands for zeros.
    pub(crate) fn new(weights: &[f32], bias: &[f32], n_in: usize) -> Self {
        let width = Arch::new().dispatch(Width(weights.len() / n_in));
        Self::pack(weights, bias, n_in, width)
    }

    fn pack(weights: &[f32], bias: &[f32], n_in: usize, width: usize) -> Self {
        let n_out = weights.len() / n_in;
        let n_panels = n_out.div_ceil(width);
        let mut panels = vec![0.0; n_panels * n_in * width];
        for (out, row) in weights.chunks_exact(n_in).enumerate() {
            let panel = &mut panels[out / width * n_in * width..][..n_in * width];
            for (value, place) in row.iter().zip(panel.chunks_exact_mut(width)) {
                place[out % width] = *value;
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(n_panels * width, 0.0);
        Self {
            n_in,
            n_out,
            width,
            panels,
            bias: padded,
        }
    }

    /// Values of one row of the input.
    pub(crate) fn n_in(&self) -> usize {
        self.n_in
    }

    /// The weights as `n_in` × `n_out`, row by row.
    pub(super) fn unpacked(&self) -> Vec<f32> {
        let mut weights = vec![0.0; self.n_in * self.n_out];
        let panels = self.panels.chunks_exact(self.n_in * self.width);
        for (panel, first) in panels.zip((0..self.n_out).step_by(self.width)) {
            let n = self.width.min(self.n_out - first);
            let rows = weights.chunks_exact_mut(self.n_out);
            for (row, values) in rows.zip(panel.chunks_exact(self.width)) {
                row[first..first + n].copy_from_slice(&values[..n]);
            }
        }
        weights
    }

    /// The weights as models store them, `n_out` × `n_in`, row by row.
    pub(super) fn rows(&self) -> Vec<f32> {
        let mut rows = vec![0.0; self.n_in * self.n_out];
        for (out, row) in rows.chunks_exact_mut(self.n_in).enumerate() {
            let panel = &self.panels[out / self.width * self.n_in * self.width..];
            let column = panel[out % self.width..].iter().step_by(self.width);
            row.iter_mut()
                .zip(column)
                .for_each(|(into, value)| *into = *value);
        }
        rows
    }

    /// What is added to each row of the result.
    pub(super) fn bias(&self) -> &[f32] {
        &self.bias[..self.n_out]
    }

    /// Values of one row of the result.
    pub(crate) fn n_out(&self) -> usize {
        self.n_out
    }

    /// Bytes of memory that the layer takes.
    pub(crate) fn n_bytes(&self) -> usize {
        4 * (self.panels.len() + self.bias.len())
    }

    /// Computes all rows of `x` (rows × `n_in`) into `out` (rows × `n_out`).
    pub(crate) fn apply(&self, x: &[f32], out: &mut [f32], finish: Finish) {
        Arch::new().dispatch(Product {
            layer: self,
            x,
            out,
            finish,
        });
    }
}

/// Asks how wide a panel is on this processor.
struct Width(usize);

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        vectors::<S>(self.0) * S::F32_LANES
    }
}

struct Product<'a> {
    layer: &'a Linear,
    x: &'a [f32],
    out: &'a mut [f32],
    finish: Finish,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Linear {
            n_in, n_out, width, ..
        } = *self.layer;
        let rows = Rows {
            values: self.x,
            stride: n_in,
            n: self.x.len() / n_in,
        };
        let panels = self.layer.panels.chunks_exact(n_in * width);
        let starts = self.layer.bias.chunks_exact(width);
        for (first, (panel, start)) in panels.zip(starts).enumerate() {
            let first = first * width;
            let n = width.min(n_out - first);
            multiply(
                simd,
                rows,
                panel,
                start,
                #[inline(always)]
                |row, sums| {
                    let out = &mut self.out[row * n_out + first..][..n];
                    finish(simd, self.finish, sums, out);
                },
            );
        }
    }
}

#[inline(always)]
fn finish<S: Simd>(simd: S, finish: Finish, sums: &[f32], out: &mut [f32]) {
    let sums = &sums[..out.len()];
    let (sums, sums_tail) = S::as_simd_f32s(sums);
    let (out, out_tail) = S::as_mut_simd_f32s(out);
    match finish {
        Finish::Store => {
            out.copy_from_slice(sums);
            out_tail.copy_from_slice(sums_tail);
        }
        Finish::Add => {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = simd.add_f32s(*out, *sum);
            }
            for (out, sum) in out_tail.iter_mut().zip(sums_tail) {
                *out += sum;
            }
        }
        Finish::Multiply => {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = simd.mul_f32s(*out, *sum);
            }
            for (out, sum) in out_tail.iter_mut().zip(sums_tail) {
                *out *= sum;
            }
        }
        Finish::Activate(activation) => {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = activation.apply(simd, *sum);
            }
            if !out_tail.is_empty() {
                let last = activation.apply(simd, simd.partial_load_f32s(sums_tail));
                simd.partial_store_f32s(out_tail, last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::cpu::erf::erf_f64;

    use super::super::tests::{difference, numbers, on_each};
    use super::*;

    /// A layer and its input; the results are added to `out`, or put in its place.
    struct Case {
        weights: Vec<f32>,
        bias: Vec<f32>,
        n_in: usize,
        x: Vec<f32>,
        out: Vec<f32>,
    }

    #[derive(Clone, Copy)]
    struct Run<'a>(&'a Case, Finish);

    impl WithSimd for Run<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(case, finish) = self;
            let width = Width(case.bias.len()).with_simd(simd);
            let mut out = case.out.clone();
            let product = Product {
                layer: &Linear::pack(&case.weights, &case.bias, case.n_in, width),
                x: &case.x,
                out: &mut out,
                finish,
            };
            product.with_simd(simd);
            out
        }
    }

    fn plain(case: &Case, finish: Finish) -> Vec<f64> {
        let rows = case.x.chunks_exact(case.n_in);
        let sums = rows.flat_map(|row| {
            let columns = case.weights.chunks_exact(case.n_in).zip(&case.bias);
            columns.map(|(column, bias)| {
                let products = row.iter().zip(column);
                let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                sum + f64::from(*bias)
            })
        });
        let finished = sums.zip(&case.out).map(|(sum, out)| match finish {
            Finish::Store => sum,
            Finish::Add => sum + f64::from(*out),
            Finish::Multiply => sum * f64::from(*out),
            Finish::Activate(_) => 0.5 * sum * (1.0 + erf_f64(sum / 2.0_f64.sqrt())),
        });
        finished.collect()
    }

    #[test]
    fn every_instruction_set_is_exact() {
        let mut random = fastrand::Rng::with_seed(11);
        for (n_rows, n_in, n_out) in [(1, 3, 5), (6, 37, 16), (13, 20, 40), (23, 64, 77)] {
            let case = Case {
                weights: numbers(&mut random, n_out * n_in),
                bias: numbers(&mut random, n_out),
                n_in,
                x: numbers(&mut random, n_rows * n_in),
                out: numbers(&mut random, n_rows * n_out),
            };
            for finish in [
                Finish::Store,
                Finish::Add,
                Finish::Multiply,
                Finish::Activate(Activation::Gelu),
            ] {
                let wanted = plain(&case, finish);
                for found in on_each(Run(&case, finish)) {
                    assert!(difference(&found, &wanted) < 3e-6, "{n_out} {finish:?}");
                }
            }
        }
    }
}
