//! The weights of one layer, and what it does to the rows of a step.

use super::attention::{Heads, attend};
use super::cache::Cache;
use super::matrix::{Matrix, Product, multiply};
use super::steps::{Angles, Norm, add_normalised, gate};
use crate::forward::Part;
use crate::model::description::{Activation, Description};
use crate::model::instructions::Available;

/// One layer of the decoder.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) with: Available,
    pub(super) attention_norm: Norm,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) output: Linear,
    pub(super) post_attention_norm: Option<Norm>,
    pub(super) feed_forward_norm: Norm,
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
    pub(super) post_feed_forward_norm: Option<Norm>,
    pub(super) activation: Activation,
    pub(super) heads: Heads,
}

/// A matrix with a bias; an empty one stands for none.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) matrix: Matrix,
    pub(super) bias: Vec<f32>,
}

/// Memory for the rows of one step, the same for all layers.
#[derive(Debug)]
pub(super) struct Scratch {
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    gates: Vec<f32>,
    ups: Vec<f32>,
}

impl Scratch {
    /// Room for `n` rows.
    pub(super) fn new(description: &Description, n: usize) -> Self {
        let zeros = |width: usize| vec![0.0; n * width];
        let Description {
            hidden,
            intermediate,
            n_heads,
            n_kv_heads,
            head_dim,
            ..
        } = *description;
        Self {
            normed: zeros(hidden),
            queries: zeros(n_heads * head_dim),
            keys: zeros(n_kv_heads * head_dim),
            values: zeros(n_kv_heads * head_dim),
            attended: zeros(n_heads * head_dim),
            gates: zeros(intermediate),
            ups: zeros(intermediate),
        }
    }
}

impl Layer {
    /// Whether it sees only a window.
    pub(super) fn is_local(&self) -> bool {
        self.heads.window.is_some()
    }

    /// Weights of the layer's matrices and norms.
    pub(super) fn n_parameters(&self) -> usize {
        let linears = [&self.query, &self.key, &self.value, &self.output];
        let linears =
            linears.map(|linear| linear.matrix.n() * linear.matrix.k() + linear.bias.len());
        let matrices = [&self.gate, &self.up, &self.down].map(|matrix| matrix.n() * matrix.k());
        let all = [
            &self.query_norm,
            &self.key_norm,
            &self.post_attention_norm,
            &self.post_feed_forward_norm,
        ];
        let norms = all
            .into_iter()
            .flatten()
            .chain([&self.attention_norm, &self.feed_forward_norm]);
        let norms: usize = norms.map(|norm| norm.weight.len()).sum();
        linears.iter().chain(&matrices).sum::<usize>() + norms
    }

    /// The format of most of the layer's weights.
    pub(super) fn format(&self) -> &'static str {
        self.gate.format()
    }

    /// Bytes of the weights.
    pub(super) fn n_bytes(&self) -> usize {
        let linears = [&self.query, &self.key, &self.value, &self.output];
        let linears: usize = linears
            .iter()
            .map(|linear| linear.matrix.n_bytes() + 4 * linear.bias.len())
            .sum();
        let matrices = [&self.gate, &self.up, &self.down];
        linears
            + matrices
                .iter()
                .map(|matrix| matrix.n_bytes())
                .sum::<usize>()
    }

    /// Runs the layer on the rows `x` of a step, whose keys and values go into the cache.
    pub(super) fn apply(
        &self,
        x: &mut [f32],
        parts: &[Part],
        angles: &Angles,
        cache: &mut Cache,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            normed,
            queries,
            keys,
            values,
            attended,
            gates,
            ups,
        } = scratch;
        let Heads {
            n_kv, group, dim, ..
        } = self.heads;
        let with = self.with;
        self.attention_norm.apply(with, x, normed);
        multiply(
            with,
            normed,
            &mut [
                self.query.product(queries),
                self.key.product(keys),
                self.value.product(values),
            ],
        );
        if let Some(norm) = &self.query_norm {
            norm.apply_in_place(with, queries);
        }
        if let Some(norm) = &self.key_norm {
            norm.apply_in_place(with, keys);
        }
        angles.turn(with, queries, n_kv * group * dim, dim);
        angles.turn(with, keys, n_kv * dim, dim);
        cache.write(parts, keys, values);
        attend(with, self.heads, cache, parts, queries, attended);
        let norm = self.post_attention_norm.as_ref();
        self.output.add(with, attended, x, normed, norm);
        self.feed_forward_norm.apply(with, x, normed);
        let product = |matrix, out| Product {
            matrix,
            bias: &[],
            out,
            add: false,
        };
        multiply(
            with,
            normed,
            &mut [product(&self.gate, gates), product(&self.up, ups)],
        );
        gate(with, self.activation, gates, ups);
        add(
            with,
            &self.down,
            &[],
            gates,
            x,
            normed,
            self.post_feed_forward_norm.as_ref(),
        );
    }
}

impl Linear {
    fn product<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        Product {
            matrix: &self.matrix,
            bias: &self.bias,
            out,
            add: false,
        }
    }

    fn add(
        &self,
        with: Available,
        from: &[f32],
        x: &mut [f32],
        spare: &mut [f32],
        norm: Option<&Norm>,
    ) {
        add(with, &self.matrix, &self.bias, from, x, spare, norm);
    }
}

/// Adds a product to `x`, normalised if there is a norm.
fn add(
    with: Available,
    matrix: &Matrix,
    bias: &[f32],
    from: &[f32],
    x: &mut [f32],
    spare: &mut [f32],
    norm: Option<&Norm>,
) {
    if norm.is_none() {
        multiply(
            with,
            from,
            &mut [Product {
                matrix,
                bias,
                out: x,
                add: true,
            }],
        );
        return;
    }
    multiply(
        with,
        from,
        &mut [Product {
            matrix,
            bias,
            out: &mut *spare,
            add: false,
        }],
    );
    add_normalised(with, x, spare, norm);
}
