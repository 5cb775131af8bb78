//! The parameters of the net, and the way from answers to vectors.

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

use super::MISSING;
use crate::ClusteringError;

/// Parameters of the net; tables are plain vectors, since few rows of them meet in a batch.
pub(super) struct Net {
    pub(super) layout: Layout,
    /// Embedding of each level as an input, `V × dim`.
    pub(super) inputs: Vec<f32>,
    /// Vector of each level as an output, `V × dim`.
    pub(super) outputs: Vec<f32>,
    /// Bias of each level as an output.
    pub(super) biases: Vec<f32>,
    /// Perceptron between them.
    pub(super) middle: Middle,
}

/// Which levels belong to which question.
#[derive(Clone)]
pub(super) struct Layout {
    /// Number of levels of each question.
    pub(super) levels: Vec<usize>,
    /// First level of each question among all levels, then their number.
    pub(super) offsets: Vec<usize>,
    /// Dimensions of all vectors.
    pub(super) dim: usize,
}

/// A perceptron with one hidden layer around which its input passes: weights and biases of its two layers.
pub(super) struct Middle(pub(super) [Var; 4]);

impl Net {
    /// Small random embeddings; all levels are predicted by their `shares` at first.
    pub(super) fn new(
        layout: Layout,
        shares: &[f32],
        rng: &mut fastrand::Rng,
    ) -> candle_core::Result<Net> {
        let (len, dim) = (shares.len() * layout.dim, layout.dim);
        let scale = 1.0 / (dim as f32).sqrt();
        let var = |values, shape: (usize, usize)| Var::from_vec(values, shape, &Device::Cpu);
        Ok(Net {
            inputs: normal(len, scale, rng),
            outputs: vec![0.0; len],
            biases: shares.iter().map(|share| share.ln()).collect(),
            middle: Middle([
                var(normal(2 * dim * dim, scale, rng), (dim, 2 * dim))?,
                var(vec![0.0; 2 * dim], (1, 2 * dim))?,
                var(vec![0.0; 2 * dim * dim], (2 * dim, dim))?,
                var(vec![0.0; dim], (1, dim))?,
            ]),
            layout,
        })
    }

    /// A copy that shares nothing.
    pub(super) fn copy(&self) -> candle_core::Result<Net> {
        let copy = |var: &Var| Var::from_tensor(&var.as_tensor().copy()?);
        let [wide, wide_bias, narrow, narrow_bias] = &self.middle.0;
        let middle = [
            copy(wide)?,
            copy(wide_bias)?,
            copy(narrow)?,
            copy(narrow_bias)?,
        ];
        Ok(Net {
            layout: self.layout.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            biases: self.biases.clone(),
            middle: Middle(middle),
        })
    }

    /// Sum of the visible answers' embeddings over the root of their number, `n × dim`, and one over that root.
    pub(super) fn bag(&self, codes: &[u32], hidden: &[bool]) -> (Vec<f32>, Vec<f32>) {
        let (questions, dim) = (self.layout.levels.len(), self.layout.dim);
        let n_rows = codes.len() / questions;
        let (mut bags, mut scales) = (vec![0.0; n_rows * dim], vec![0.0; n_rows]);
        let rows = bags.par_chunks_mut(dim).zip(&mut scales).enumerate();
        rows.with_min_len(16).for_each(|(row, (bag, scale))| {
            let answers = row * questions..(row + 1) * questions;
            let visible = |at: &usize| codes[*at] != MISSING && !hidden[*at];
            let n_visible = answers.clone().filter(visible).count();
            *scale = 1.0 / (n_visible.max(1) as f32).sqrt();
            for at in answers.filter(visible) {
                let level = self.layout.offsets[at % questions] + codes[at] as usize;
                add(bag, &self.inputs[level * dim..][..dim], *scale);
            }
        });
        (bags, scales)
    }

    /// Gradient of the inputs, from that of the bags; a task per question, so that no two write to the same level.
    pub(super) fn bag_gradient(
        &self,
        codes: &[u32],
        hidden: &[bool],
        scales: &[f32],
        bags: &[f32],
        into: &mut [f32],
    ) {
        let (questions, dim) = (self.layout.levels.len(), self.layout.dim);
        let parts = self.layout.parts(into, dim).into_par_iter().enumerate();
        parts.for_each(|(question, part)| {
            part.fill(0.0);
            for (row, bag) in bags.chunks(dim).enumerate() {
                let at = row * questions + question;
                if codes[at] != MISSING && !hidden[at] {
                    add(
                        &mut part[codes[at] as usize * dim..][..dim],
                        bag,
                        scales[row],
                    );
                }
            }
        });
    }

    /// Vectors of whole rows times `metric` (`dim × dim`), `n × dim`.
    pub(super) fn encode(&self, codes: &[u32], metric: &[f32]) -> candle_core::Result<Vec<f32>> {
        let dim = self.layout.dim;
        let (bags, scales) = self.bag(codes, &vec![false; codes.len()]);
        let bags = Tensor::from_vec(bags, (scales.len(), dim), &Device::Cpu)?;
        let metric = Tensor::from_slice(metric, (dim, dim), &Device::Cpu)?;
        self.middle
            .forward(&bags)?
            .matmul(&metric)?
            .flatten_all()?
            .to_vec1()
    }

    /// A root `R` of the Fisher information `F = R·Rᵀ` of the answers at their `shares`: `x ↦ x·R` measures it.
    pub(super) fn fisher_root(&self, shares: &[f32]) -> Vec<f32> {
        let dim = self.layout.dim;
        let mut fisher = vec![0.0_f64; dim * dim];
        for bounds in self.layout.offsets.windows(2) {
            let outputs = self.outputs[bounds[0] * dim..bounds[1] * dim].chunks(dim);
            let outputs = outputs.zip(&shares[bounds[0]..bounds[1]]);
            let mut mean = vec![0.0; dim];
            outputs
                .clone()
                .for_each(|(output, share)| add(&mut mean, output, *share));
            for (output, share) in outputs {
                let centred = || output.iter().zip(&mean).map(|(a, b)| f64::from(a - b));
                for (row, a) in fisher.chunks_mut(dim).zip(centred()) {
                    let a = a * f64::from(*share);
                    row.iter_mut()
                        .zip(centred())
                        .for_each(|(into, b)| *into += a * b);
                }
            }
        }
        cholesky(fisher, dim)
    }
}

impl Layout {
    pub(super) fn new(levels: &[usize], dim: usize) -> Layout {
        let mut offsets = vec![0];
        for n_levels in levels {
            offsets.push(offsets[offsets.len() - 1] + n_levels);
        }
        let levels = levels.to_vec();
        Layout {
            levels,
            offsets,
            dim,
        }
    }

    /// The number of rows, if all codes are levels of their questions.
    pub(super) fn check(&self, codes: &[u32]) -> Result<usize, ClusteringError> {
        let (questions, dims) = (self.levels.len(), self.dim.min(self.levels.len()));
        if codes.is_empty() || dims == 0 {
            return Err(ClusteringError::Empty { n_rows: 0, dims });
        }
        let shape = |what: String, found, wanted| {
            Err(ClusteringError::Shape {
                what,
                found,
                wanted,
            })
        };
        let (n_rows, rest) = (codes.len() / questions, codes.len() % questions);
        if rest != 0 {
            return shape("answers of the last row".to_owned(), rest, questions);
        }
        for (at, code) in codes
            .iter()
            .enumerate()
            .filter(|(_, code)| **code != MISSING)
        {
            let (row, question) = (at / questions, at % questions);
            if *code as usize >= self.levels[question] {
                let what = format!("levels up to the answer of row {row} to question {question}");
                return shape(what, *code as usize + 1, self.levels[question]);
            }
        }
        Ok(n_rows)
    }

    /// Cuts a table of `width` numbers a level into the parts of the questions.
    pub(super) fn parts<'a>(&self, mut table: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.levels.len());
        for n_levels in &self.levels {
            let (part, rest) = table.split_at_mut(n_levels * width);
            parts.push(part);
            table = rest;
        }
        parts
    }
}

impl Middle {
    /// From `n × dim` to `n × dim`.
    pub(super) fn forward(&self, bags: &Tensor) -> candle_core::Result<Tensor> {
        let [wide, wide_bias, narrow, narrow_bias] = &self.0;
        let hidden = bags.matmul(wide)?.broadcast_add(wide_bias)?.gelu()?;
        bags + hidden.matmul(narrow)?.broadcast_add(narrow_bias)?
    }
}

/// Adds `by` times `from`.
pub(super) fn add(into: &mut [f32], from: &[f32], by: f32) {
    into.iter_mut()
        .zip(from)
        .for_each(|(into, from)| *into += by * from);
}

/// Lower triangle `L` of `matrix = L·Lᵀ`; a little is added to its diagonal, since a net may leave dimensions unused.
pub(super) fn cholesky(mut matrix: Vec<f64>, dim: usize) -> Vec<f32> {
    let trace: f64 = (0..dim).map(|i| matrix[i * dim + i]).sum();
    for i in 0..dim {
        for j in 0..=i {
            let known: f64 = (0..j)
                .map(|k| matrix[i * dim + k] * matrix[j * dim + k])
                .sum();
            let rest = matrix[i * dim + j] - known;
            matrix[i * dim + j] = if i == j {
                (rest.max(0.0) + 1e-9 * trace + f64::MIN_POSITIVE).sqrt()
            } else {
                rest / matrix[j * dim + j]
            };
        }
        matrix[i * dim + i + 1..(i + 1) * dim].fill(0.0);
    }
    matrix.into_iter().map(|value| value as f32).collect()
}

/// Normal numbers (Box and Muller 1958) times `scale`.
fn normal(n: usize, scale: f32, rng: &mut fastrand::Rng) -> Vec<f32> {
    let mut draw = || {
        let radius = (-2.0 * (1.0 - rng.f32()).ln()).sqrt();
        scale * radius * (std::f32::consts::TAU * rng.f32()).cos()
    };
    (0..n).map(|_| draw()).collect()
}
