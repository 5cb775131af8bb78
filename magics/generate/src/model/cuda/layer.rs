//! The weights of one layer, and what it does to the rows of a step.

use candle_core::{DType, Result, Tensor};
use mlk8s_card::{Argument, Launch, Launcher, room};

use super::attention::{Angles, Cache, Heads, Placing, Projections, Sums};
use super::matrix::Matrix;
use super::plan::Plan;
use super::source;
use crate::model::description::Activation;

/// One layer of the decoder.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Norm,
    /// Query, key and value.
    pub(super) projections: Joint,
    /// Of all three, one behind the other.
    pub(super) bias: Option<Tensor>,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) output: Matrix,
    pub(super) output_bias: Option<Tensor>,
    pub(super) post_attention_norm: Option<Norm>,
    pub(super) feed_forward_norm: Norm,
    /// Gate and up.
    pub(super) gates: Joint,
    pub(super) down: Matrix,
    pub(super) post_feed_forward_norm: Option<Norm>,
    pub(super) activation: Activation,
    pub(super) heads: Heads,
    /// Tokens that a row sees; 0 stands for all.
    pub(super) window: usize,
}

/// Matrices with the same inputs: one where their rows stand in one matrix, so that one product does.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) matrices: Vec<Matrix>,
    /// Outputs of each part.
    pub(super) sizes: Vec<usize>,
}

/// Root-mean-square norm (Zhang and Sennrich 2019): x / √(mean(x²) + ε) · weight.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Tensor,
    pub(super) epsilon: f32,
}

/// What all layers of a step share.
pub(super) struct Step<'a> {
    pub(super) launcher: &'a dyn Launcher,
    pub(super) plan: &'a Plan,
    /// Angles of layers that see everything, and of those with a window.
    pub(super) global: Angles,
    pub(super) local: Option<Angles>,
    pub(super) sums: Sums,
    /// The residual stream, rows × hidden, in single precision.
    pub(super) x: Tensor,
    /// Type of everything else.
    pub(super) dtype: DType,
}

/// What is still to be added to the residual stream.
pub(super) struct Pending<'a> {
    y: Tensor,
    norm: Option<&'a Norm>,
}

impl Joint {
    /// The products of all parts, and how many numbers lie between the rows of each.
    fn products(&self, x: &Tensor) -> Result<Vec<(Tensor, usize)>> {
        if let [matrix] = self.matrices.as_slice() {
            let all = matrix.product(x)?;
            let width = self.sizes.iter().sum();
            let mut first = 0;
            let mut parts = Vec::new();
            for size in &self.sizes {
                parts.push((all.narrow(1, first, *size)?, width));
                first += size;
            }
            return Ok(parts);
        }
        let parts = self.matrices.iter().zip(&self.sizes);
        parts
            .map(|(matrix, size)| Ok((matrix.product(x)?, *size)))
            .collect()
    }
}

impl Step<'_> {
    /// Adds what is pending to the residual stream, and gives its norm; of the wanted rows only, if `wanted`.
    pub(super) fn add_norm(
        &self,
        pending: Option<&Pending<'_>>,
        norm: &Norm,
        wanted: bool,
    ) -> Result<Tensor> {
        use Argument::{Count, Number, Read, Update, Write};
        let width = norm.weight.elem_count();
        let rows = wanted.then_some(&self.plan.rows);
        let n = rows.map_or(self.plan.n_rows, |rows| rows.len);
        let out = room(&[n, width], self.dtype, self.x.device())?;
        let kernel = format!("add_norm_{}", source::element(self.dtype));
        let launch = Launch {
            kernel: &kernel,
            grid: (n, 1),
            threads: threads(width),
            shared: 0,
        };
        let post = pending.and_then(|pending| pending.norm);
        let arguments = [
            Update(&self.x),
            Argument::maybe(pending.map(|pending| &pending.y)),
            Argument::maybe(post.map(|norm| &norm.weight)),
            Read(&norm.weight),
            Argument::maybe(rows.map(|rows| &rows.table)),
            Count(width),
            Number(norm.epsilon),
            Write(&out),
        ];
        self.launcher.launch(launch, &arguments)?;
        Ok(out)
    }

    fn gate(&self, gates: &Joint, activation: Activation, x: &Tensor) -> Result<Tensor> {
        use Argument::{Count, Read, Write};
        let parts = gates.products(x)?;
        let [(gate, gate_stride), (up, up_stride)] = parts.as_slice() else {
            candle_core::bail!("{} parts of a gate", parts.len())
        };
        let width = gates.sizes[0];
        let out = room(&[self.plan.n_rows, width], self.dtype, self.x.device())?;
        let kernel = format!("gate_{}", source::element(self.dtype));
        let threads = (width / 4).min(256).next_multiple_of(32);
        let launch = Launch {
            kernel: &kernel,
            grid: (self.plan.n_rows, width.div_ceil(4 * threads)),
            threads,
            shared: 0,
        };
        let arguments = [
            Read(gate),
            Read(up),
            Count(*gate_stride),
            Count(*up_stride),
            Count(width),
            Count((activation == Activation::GeluTanh).into()),
            Write(&out),
        ];
        self.launcher.launch(launch, &arguments)?;
        Ok(out)
    }
}

/// Threads of a block for a row: one for each four numbers, as far as there are.
pub(super) fn threads(width: usize) -> usize {
    (width / 4).clamp(1, 1024).next_multiple_of(32)
}

impl Layer {
    /// Weights of the layer.
    pub(super) fn n_parameters(&self) -> usize {
        let matrices = self.matrices().map(Matrix::n_values);
        let norms = [
            Some(&self.attention_norm),
            self.query_norm.as_ref(),
            self.key_norm.as_ref(),
            self.post_attention_norm.as_ref(),
            Some(&self.feed_forward_norm),
            self.post_feed_forward_norm.as_ref(),
        ];
        let norms = norms.into_iter().flatten().map(|norm| &norm.weight);
        let vectors = norms.chain(&self.bias).chain(&self.output_bias);
        matrices.sum::<usize>() + vectors.map(Tensor::elem_count).sum::<usize>()
    }

    /// Bytes of the weights.
    pub(super) fn n_bytes(&self) -> usize {
        self.matrices().map(Matrix::n_bytes).sum()
    }

    /// The format of most weights.
    pub(super) fn format(&self) -> String {
        self.down.format()
    }

    fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        let joint = self.projections.matrices.iter();
        joint
            .chain(&self.gates.matrices)
            .chain([&self.output, &self.down])
    }

    /// Runs the layer on the rows of a step, whose keys and values go into the cache; gives what is to be added behind.
    pub(super) fn apply<'a>(
        &'a self,
        step: &Step<'_>,
        pending: Option<&Pending<'_>>,
        cache: &Cache,
    ) -> Result<Pending<'a>> {
        let normed = step.add_norm(pending, &self.attention_norm, false)?;
        let attended = self.attend(step, &normed, cache)?;
        let mut y = self.output.product(&attended)?;
        if let Some(bias) = &self.output_bias {
            y = y.broadcast_add(&bias.to_dtype(step.dtype)?)?;
        }
        let pending = Pending {
            y,
            norm: self.post_attention_norm.as_ref(),
        };
        let normed = step.add_norm(Some(&pending), &self.feed_forward_norm, false)?;
        let gated = step.gate(&self.gates, self.activation, &normed)?;
        Ok(Pending {
            y: self.down.product(&gated)?,
            norm: self.post_feed_forward_norm.as_ref(),
        })
    }

    fn attend(&self, step: &Step<'_>, x: &Tensor, cache: &Cache) -> Result<Tensor> {
        let parts = self.projections.products(x)?;
        let [query, key, value] = parts.as_slice() else {
            candle_core::bail!("{} parts of attention", parts.len())
        };
        let from = Projections {
            parts: [query.0.clone(), key.0.clone(), value.0.clone()],
            strides: [query.1, key.1, value.1],
        };
        let local = step.local.as_ref().filter(|_| self.window > 0);
        let norm = self.query_norm.as_ref().or(self.key_norm.as_ref());
        let how = Placing {
            bias: self.bias.as_ref(),
            query_norm: self.query_norm.as_ref().map(|norm| &norm.weight),
            key_norm: self.key_norm.as_ref().map(|norm| &norm.weight),
            epsilon: norm.map_or(0.0, |norm| norm.epsilon),
            angles: local.unwrap_or(&step.global),
        };
        let (launcher, plan) = (step.launcher, step.plan);
        let queries = self.heads.place(launcher, plan, &from, &how, cache)?;
        self.heads
            .attend(launcher, plan, &queries, cache, self.window, &step.sums)
    }
}
