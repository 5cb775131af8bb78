//! The weights of a model, read and sent to the device one after the other.

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};

use super::attention::Heads;
use super::layer::{Joint, Layer, Norm};
use super::matrix::{self, Matrix};
use crate::error::GenerateError;
use crate::model::Precision;
use crate::model::description::Description;
use crate::model::weights::{self, Source, Weight, take, take_if};

/// Reads weights.
pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) description: &'a Description,
    pub(super) precision: Precision,
    pub(super) device: &'a Device,
    /// Type of dense matrices.
    pub(super) dtype: DType,
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
            weight: matrix::vector(weight, self.device)?,
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

    /// A dense matrix of some tensors, one behind the other.
    pub(super) fn dense(
        &mut self,
        tensors: &[weights::Tensor<'_>],
    ) -> Result<Tensor, GenerateError> {
        let dense = matrix::dense(tensors, self.dtype, self.device)?;
        (self.done)(tensors.iter().map(|tensor| tensor.bytes.len()).sum());
        Ok(dense)
    }

    /// A matrix in the format that was asked for.
    pub(super) fn matrix(&mut self, tensor: &weights::Tensor<'_>) -> Result<Matrix, GenerateError> {
        self.matrix_as(tensor, matrix::format(tensor, self.precision))
    }

    /// The head, in the format that was asked for.
    pub(super) fn head(&mut self, tensor: &weights::Tensor<'_>) -> Result<Matrix, GenerateError> {
        self.matrix_as(tensor, matrix::head_format(tensor, self.precision))
    }

    fn matrix_as(
        &mut self,
        tensor: &weights::Tensor<'_>,
        format: Option<GgmlDType>,
    ) -> Result<Matrix, GenerateError> {
        match format {
            None => Ok(Matrix::Dense(self.dense(std::slice::from_ref(tensor))?)),
            Some(format) => {
                let quantised = matrix::quantised(tensor, format, self.device)?;
                (self.done)(tensor.bytes.len());
                Ok(quantised)
            }
        }
    }

    /// Several matrices with the same inputs, in one product where they are dense.
    fn joint(&mut self, tensors: &[weights::Tensor<'_>]) -> Result<Joint, GenerateError> {
        let sizes = tensors.iter().map(|tensor| tensor.shape[0]).collect();
        let quantised = tensors
            .iter()
            .any(|tensor| matrix::format(tensor, self.precision).is_some());
        let matrices = if quantised {
            let matrices = tensors.iter().map(|tensor| self.matrix(tensor));
            matrices.collect::<Result<_, _>>()?
        } else {
            vec![Matrix::Dense(self.dense(tensors)?)]
        };
        Ok(Joint { matrices, sizes })
    }

    /// Query, key and value, which Phi-3 has in one matrix.
    fn projections(&mut self, layer: usize) -> Result<(Joint, Option<Tensor>), GenerateError> {
        let Description {
            hidden,
            n_heads,
            n_kv_heads,
            head_dim,
            fused,
            ..
        } = *self.description;
        let (n_query, n_key) = (n_heads * head_dim, n_kv_heads * head_dim);
        if fused {
            let size = [n_query + 2 * n_key, hidden];
            let all = take(self.source, Weight::QueryKeyValue, layer, &size)?;
            let parts = [
                all.rows(0, n_query)?,
                all.rows(n_query, n_key)?,
                all.rows(n_query + n_key, n_key)?,
            ];
            return Ok((self.joint(&parts)?, None));
        }
        let mut parts = Vec::new();
        let mut bias = Vec::new();
        let mut any = false;
        for (weight, bias_weight, n) in [
            (Weight::Query, Weight::QueryBias, n_query),
            (Weight::Key, Weight::KeyBias, n_key),
            (Weight::Value, Weight::ValueBias, n_key),
        ] {
            parts.push(take(self.source, weight, layer, &[n, hidden])?);
            match take_if(self.source, bias_weight, layer, &[n])? {
                Some(tensor) => {
                    any = true;
                    bias.extend(tensor.values()?);
                }
                None => bias.resize(bias.len() + n, 0.0),
            }
        }
        let bias = if any {
            Some(matrix::vector(bias, self.device)?)
        } else {
            None
        };
        Ok((self.joint(&parts)?, bias))
    }

    /// Gate and up, which Phi-3 has in one matrix.
    fn gates(&mut self, layer: usize) -> Result<Joint, GenerateError> {
        let Description {
            hidden,
            intermediate,
            fused,
            ..
        } = *self.description;
        if fused {
            let size = [2 * intermediate, hidden];
            let both = take(self.source, Weight::GateUp, layer, &size)?;
            let parts = [
                both.rows(0, intermediate)?,
                both.rows(intermediate, intermediate)?,
            ];
            return self.joint(&parts);
        }
        let size = [intermediate, hidden];
        let parts = [
            take(self.source, Weight::Gate, layer, &size)?,
            take(self.source, Weight::Up, layer, &size)?,
        ];
        self.joint(&parts)
    }

    fn output_bias(&self, layer: usize) -> Result<Option<Tensor>, GenerateError> {
        let size = [self.description.hidden];
        let bias = take_if(self.source, Weight::OutputBias, layer, &size)?;
        bias.map(|bias| matrix::vector(bias.values()?, self.device))
            .transpose()
    }

    /// All weights of a layer.
    pub(super) fn layer(&mut self, layer: usize) -> Result<Layer, GenerateError> {
        let description = self.description;
        let Description {
            hidden,
            intermediate,
            n_heads,
            head_dim,
            ..
        } = *description;
        let (projections, bias) = self.projections(layer)?;
        let size = [hidden, n_heads * head_dim];
        let output = self.matrix(&take(self.source, Weight::Output, layer, &size)?)?;
        let gates = self.gates(layer)?;
        let size = [hidden, intermediate];
        let down = self.matrix(&take(self.source, Weight::Down, layer, &size)?)?;
        let (heads, posts) = (description.head_norms, description.post_norms);
        Ok(Layer {
            attention_norm: self.norm(Weight::AttentionNorm, layer, hidden)?,
            projections,
            bias,
            query_norm: self.norm_if(heads, Weight::QueryNorm, layer, head_dim)?,
            key_norm: self.norm_if(heads, Weight::KeyNorm, layer, head_dim)?,
            output,
            output_bias: self.output_bias(layer)?,
            post_attention_norm: self.norm_if(posts, Weight::PostAttentionNorm, layer, hidden)?,
            feed_forward_norm: self.norm(Weight::FeedForwardNorm, layer, hidden)?,
            gates,
            down,
            post_feed_forward_norm: self.norm_if(
                posts,
                Weight::PostFeedForwardNorm,
                layer,
                hidden,
            )?,
            activation: description.activation,
            heads: Heads::new(description),
            window: description.windows[layer].unwrap_or(0),
        })
    }
}
