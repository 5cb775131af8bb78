//! The numbers of a tower on a card.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::super::attention::Sight;
use super::super::linear::Linear;
use super::super::norm::LayerNorm;
use super::super::rope::Rope;
use super::super::stack::Layer;

/// One layer, as [`Layer`] has it.
pub(super) struct Placed {
    pub(super) qkv: Product,
    pub(super) rope: Option<Angles>,
    pub(super) sight: Sight,
    pub(super) out: Product,
    pub(super) attention_norm: Option<Norm>,
    /// Of a gated layer, with the gate behind it in the same rows.
    pub(super) up: Product,
    pub(super) down: Product,
    pub(super) feed_norm: Norm,
}

/// A linear layer.
pub(super) struct Product {
    /// Outputs × inputs.
    pub(super) weights: Tensor,
    pub(super) bias: Tensor,
}

pub(super) struct Norm {
    pub(super) scale: Tensor,
    pub(super) shift: Tensor,
    pub(super) epsilon: f32,
}

/// Cosines and sines, positions × half a head.
#[derive(Clone)]
pub(super) struct Angles {
    pub(super) cosines: Tensor,
    pub(super) sines: Tensor,
}

/// Puts numbers on a device.
pub(super) struct Placing<'a> {
    device: &'a Device,
    /// Bytes of what is there.
    pub(super) n_bytes: usize,
    /// Angles that several layers share.
    ropes: Vec<(Arc<Rope>, Angles)>,
}

impl<'a> Placing<'a> {
    pub(super) fn new(device: &'a Device) -> Self {
        Self {
            device,
            n_bytes: 0,
            ropes: Vec::new(),
        }
    }

    pub(super) fn layer(&mut self, layer: &Layer) -> Result<Placed> {
        let rope = layer.rope.as_ref().map(|rope| self.rope(rope));
        let norm = layer.attention_norm.as_ref();
        let attention_norm = norm.map(|norm| self.norm(norm));
        let up: Vec<&Linear> = [&layer.up].into_iter().chain(&layer.gate).collect();
        Ok(Placed {
            qkv: self.product(&[&layer.qkv])?,
            rope: rope.transpose()?,
            sight: layer.sight,
            out: self.product(&[&layer.out])?,
            attention_norm: attention_norm.transpose()?,
            up: self.product(&up)?,
            down: self.product(&[&layer.down])?,
            feed_norm: self.norm(&layer.feed_norm)?,
        })
    }

    /// Layers with the same inputs, their outputs side by side.
    pub(super) fn product(&mut self, layers: &[&Linear]) -> Result<Product> {
        let weights: Vec<f32> = layers.iter().flat_map(|layer| layer.rows()).collect();
        let bias: Vec<f32> = layers
            .iter()
            .flat_map(|layer| layer.bias())
            .copied()
            .collect();
        let n_in = weights.len() / bias.len().max(1);
        Ok(Product {
            weights: self.place(&weights, &[bias.len(), n_in])?,
            bias: self.place(&bias, &[bias.len()])?,
        })
    }

    pub(super) fn norm(&mut self, norm: &LayerNorm) -> Result<Norm> {
        let (scale, shift, epsilon) = norm.parts();
        Ok(Norm {
            scale: self.place(scale, &[scale.len()])?,
            shift: self.place(shift, &[shift.len()])?,
            epsilon,
        })
    }

    fn rope(&mut self, rope: &Arc<Rope>) -> Result<Angles> {
        let known = self
            .ropes
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, rope));
        if let Some((_, angles)) = known {
            return Ok(angles.clone());
        }
        let (half, cosines, sines) = rope.tables();
        let shape = [cosines.len() / half.max(1), half];
        let angles = Angles {
            cosines: self.place(cosines, &shape)?,
            sines: self.place(sines, &shape)?,
        };
        self.ropes.push((Arc::clone(rope), angles.clone()));
        Ok(angles)
    }

    /// Numbers as a tensor.
    pub(super) fn place(&mut self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        self.n_bytes += size_of_val(values);
        Tensor::from_slice(values, shape, self.device)
    }
}
