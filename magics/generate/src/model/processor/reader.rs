//! The weights of layers, read one after the other.

use super::attention::Heads;
use super::build::matrix;
use super::layer::{Layer, Linear};
use super::matrix::Matrix;
use super::steps::Norm;
use crate::error::GenerateError;
use crate::model::Precision;
use crate::model::description::Description;
use crate::model::instructions::Available;
use crate::model::weights::{Source, Tensor, Weight, take, take_if};

/// Reads the weights of a layer.
pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) description: &'a Description,
    pub(super) precision: Precision,
    pub(super) with: Available,
    /// Is told the bytes of each tensor that has been read.
    pub(super) done: &'a mut dyn FnMut(usize),
}

impl Reader<'_> {
    /// A norm's weights.
    pub(super) fn norm(
        &mut self,
        weight: Weight,
        layer: usize,
        n: usize,
    ) -> Result<Norm, GenerateError> {
        let tensor = take(self.source, weight, layer, &[n])?;
        (self.done)(tensor.bytes.len());
        let mut weight = tensor.values()?;
        if self.description.norm_from_one {
            for weight in &mut weight {
                *weight += 1.0;
            }
        }
        Ok(Norm {
            weight,
            epsilon: self.description.epsilon,
        })
    }

    fn norm_if(
        &mut self,
        wanted: bool,
        weight: Weight,
        layer: usize,
        n: usize,
    ) -> Result<Option<Norm>, GenerateError> {
        if wanted {
            self.norm(weight, layer, n).map(Some)
        } else {
            Ok(None)
        }
    }

    fn packed(&mut self, tensor: &Tensor<'_>) -> Result<Matrix, GenerateError> {
        let packed = matrix(tensor, self.precision)?;
        (self.done)(tensor.bytes.len());
        Ok(packed)
    }

    fn matrix(
        &mut self,
        weight: Weight,
        layer: usize,
        n: usize,
        k: usize,
    ) -> Result<Matrix, GenerateError> {
        let tensor = take(self.source, weight, layer, &[n, k])?;
        self.packed(&tensor)
    }

    fn linear(
        &mut self,
        weight: Weight,
        bias: Weight,
        layer: usize,
        n: usize,
        k: usize,
    ) -> Result<Linear, GenerateError> {
        let matrix = self.matrix(weight, layer, n, k)?;
        Ok(Linear {
            matrix,
            bias: self.bias(bias, layer, n)?,
        })
    }

    fn bias(&mut self, weight: Weight, layer: usize, n: usize) -> Result<Vec<f32>, GenerateError> {
        match take_if(self.source, weight, layer, &[n])? {
            Some(tensor) => tensor.values(),
            None => Ok(Vec::new()),
        }
    }

    /// Query, key and value, which Phi-3 has in one matrix.
    fn attention(&mut self, layer: usize) -> Result<[Linear; 3], GenerateError> {
        let Description {
            hidden,
            n_heads,
            n_kv_heads,
            head_dim,
            fused,
            ..
        } = *self.description;
        let (n_query, n_key) = (n_heads * head_dim, n_kv_heads * head_dim);
        if !fused {
            return Ok([
                self.linear(Weight::Query, Weight::QueryBias, layer, n_query, hidden)?,
                self.linear(Weight::Key, Weight::KeyBias, layer, n_key, hidden)?,
                self.linear(Weight::Value, Weight::ValueBias, layer, n_key, hidden)?,
            ]);
        }
        let all = take(
            self.source,
            Weight::QueryKeyValue,
            layer,
            &[n_query + 2 * n_key, hidden],
        )?;
        let mut part = |first: usize, n: usize| {
            let matrix = self.packed(&all.rows(first, n)?)?;
            Ok(Linear {
                matrix,
                bias: Vec::new(),
            })
        };
        Ok([
            part(0, n_query)?,
            part(n_query, n_key)?,
            part(n_query + n_key, n_key)?,
        ])
    }

    /// Gate and up, which Phi-3 has in one matrix.
    fn gate_up(&mut self, layer: usize) -> Result<[Matrix; 2], GenerateError> {
        let Description {
            hidden,
            intermediate,
            fused,
            ..
        } = *self.description;
        if !fused {
            let gate = self.matrix(Weight::Gate, layer, intermediate, hidden)?;
            return Ok([gate, self.matrix(Weight::Up, layer, intermediate, hidden)?]);
        }
        let both = take(
            self.source,
            Weight::GateUp,
            layer,
            &[2 * intermediate, hidden],
        )?;
        let gate = self.packed(&both.rows(0, intermediate)?)?;
        Ok([gate, self.packed(&both.rows(intermediate, intermediate)?)?])
    }

    /// All weights of a layer.
    pub(super) fn layer(&mut self, layer: usize) -> Result<Layer, GenerateError> {
        let description = self.description;
        let Description {
            hidden,
            intermediate,
            n_heads,
            n_kv_heads,
            head_dim,
            ..
        } = *description;
        let [query, key, value] = self.attention(layer)?;
        let output = self.linear(
            Weight::Output,
            Weight::OutputBias,
            layer,
            hidden,
            n_heads * head_dim,
        )?;
        let [gate, up] = self.gate_up(layer)?;
        let (heads, posts) = (description.head_norms, description.post_norms);
        Ok(Layer {
            with: self.with,
            attention_norm: self.norm(Weight::AttentionNorm, layer, hidden)?,
            query,
            key,
            value,
            query_norm: self.norm_if(heads, Weight::QueryNorm, layer, head_dim)?,
            key_norm: self.norm_if(heads, Weight::KeyNorm, layer, head_dim)?,
            output,
            post_attention_norm: self.norm_if(posts, Weight::PostAttentionNorm, layer, hidden)?,
            feed_forward_norm: self.norm(Weight::FeedForwardNorm, layer, hidden)?,
            gate,
            up,
            down: self.matrix(Weight::Down, layer, hidden, intermediate)?,
            post_feed_forward_norm: self.norm_if(
                posts,
                Weight::PostFeedForwardNorm,
                layer,
                hidden,
            )?,
            activation: description.activation,
            heads: Heads {
                n_kv: n_kv_heads,
                group: n_heads / n_kv_heads,
                dim: head_dim,
                scale: description.attention_scale,
                cap: description.attention_cap,
                window: description.windows[layer],
            },
        })
    }
}
