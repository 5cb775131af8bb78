//! Layers whose numbers are on a device.

use std::sync::Arc;

use candle_core::{D, Device, Result, Tensor};

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
    pub(super) up: Product,
    pub(super) gate: Option<Product>,
    pub(super) down: Product,
    pub(super) feed_norm: Norm,
}

/// A linear layer.
pub(super) struct Product {
    /// Inputs × outputs.
    pub(super) weights: Tensor,
    pub(super) bias: Tensor,
}

pub(super) struct Norm {
    pub(super) scale: Tensor,
    pub(super) shift: Tensor,
    epsilon: f64,
}

/// Cosines and sines, positions × half a head.
#[derive(Clone)]
pub(super) struct Angles {
    pub(super) cosines: Tensor,
    pub(super) sines: Tensor,
}

/// Puts layers on a device.
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
        let gate = layer.gate.as_ref().map(|gate| self.product(gate));
        Ok(Placed {
            qkv: self.product(&layer.qkv)?,
            rope: rope.transpose()?,
            sight: layer.sight,
            out: self.product(&layer.out)?,
            attention_norm: attention_norm.transpose()?,
            up: self.product(&layer.up)?,
            gate: gate.transpose()?,
            down: self.product(&layer.down)?,
            feed_norm: self.norm(&layer.feed_norm)?,
        })
    }

    fn product(&mut self, layer: &Linear) -> Result<Product> {
        let (n_in, n_out) = (layer.n_in(), layer.n_out());
        Ok(Product {
            weights: self.place(&layer.unpacked(), &[n_in, n_out])?,
            bias: self.place(layer.bias(), &[n_out])?,
        })
    }

    fn norm(&mut self, norm: &LayerNorm) -> Result<Norm> {
        let (scale, shift, epsilon) = norm.parts();
        Ok(Norm {
            scale: self.place(scale, &[scale.len()])?,
            shift: self.place(shift, &[shift.len()])?,
            epsilon: epsilon.into(),
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

    fn place(&mut self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        self.n_bytes += size_of_val(values);
        Tensor::from_slice(values, shape, self.device)
    }
}

impl Product {
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weights)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        centred
            .broadcast_div(&(variance + self.epsilon)?.sqrt()?)?
            .broadcast_mul(&self.scale)?
            .broadcast_add(&self.shift)
    }
}

impl Angles {
    /// Turns heads (sequences × heads × positions × dim): value i of the first half with value i of the second.
    pub(super) fn turn(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, n, dim) = x.dims4()?;
        let half = dim / 2;
        let (cosines, sines) = (self.cosines.narrow(0, 0, n)?, self.sines.narrow(0, 0, n)?);
        let (a, b) = (x.narrow(3, 0, half)?, x.narrow(3, half, half)?);
        let first = (a.broadcast_mul(&cosines)? - b.broadcast_mul(&sines)?)?;
        let second = (b.broadcast_mul(&cosines)? + a.broadcast_mul(&sines)?)?;
        Tensor::cat(&[first, second], 3)
    }
}
