//! The layers of a [`Stack`] on tensors of any device: on a GPU, and in tests on the processor.
//!
//! Products and normalisation take all tokens of a batch, without padding. Attention takes sequences of similar length
//! together, padded to the longest of them.

mod batch;
mod placed;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{D, DType, Device, Result, Tensor};

use super::activation::Activation;
use super::attention::{Heads, Sight};
use super::card;
use super::layers::Halt;
use super::stack::{NormOrder, Stack};
use batch::{Batch, Group};
use placed::{Placed, Placing};

/// Scores of one step of attention at most, which are half a GiB; there are a few such tensors at a time.
const SCORES: usize = 1 << 27;
/// Added to the score of a key that a query does not see.
const UNSEEN: f32 = f32::MIN / 2.0;

/// Layers on a device.
pub(crate) struct Tensors {
    device: Device,
    layers: Vec<Placed>,
    heads: Heads,
    order: NormOrder,
    activation: Activation,
    n_bytes: usize,
    most_scores: usize,
    /// One batch is on the device at a time, so that what it needs is bounded.
    turn: Mutex<()>,
}

impl Tensors {
    /// The layers of `stack` on `device`.
    pub(crate) fn new(stack: &Stack, device: &Device) -> Result<Self> {
        let mut placing = Placing::new(device);
        let layers = stack.layers.iter().map(|layer| placing.layer(layer));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            device: device.clone(),
            heads: stack.heads,
            order: stack.order,
            activation: stack.activation,
            n_bytes: placing.n_bytes,
            most_scores: SCORES,
            turn: Mutex::new(()),
        })
    }

    /// Values of one token.
    pub(crate) fn width(&self) -> usize {
        self.heads.n * self.heads.dim
    }

    /// Bytes of the device's memory that the layers take.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Gives memory of the device back that no batch uses.
    pub(crate) fn give_back(&self) {
        card::give_back(&self.device);
    }

    /// As [`Stack::run`]; `stop` is asked before each layer.
    pub(crate) fn run(
        &self,
        x: &mut [f32],
        lengths: &[usize],
        stop: &dyn Fn() -> bool,
    ) -> std::result::Result<(), Halt> {
        if x.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.most_scores / self.heads.n;
        let batch = Batch::of(lengths, most, &self.device)?;
        let shape = (x.len() / self.width(), self.width());
        let mut tokens = Tensor::from_slice(x, shape, &self.device)?;
        for layer in &self.layers {
            if stop() {
                return Err(Halt::Stopped);
            }
            tokens = self.layer(layer, &tokens, &batch)?;
        }
        x.copy_from_slice(&tokens.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    fn layer(&self, layer: &Placed, x: &Tensor, batch: &Batch) -> Result<Tensor> {
        let input = match (self.order, &layer.attention_norm) {
            (NormOrder::Before, Some(norm)) => norm.apply(x)?,
            _ => x.clone(),
        };
        let mixed = self.attend(layer, &layer.qkv.apply(&input)?, batch)?;
        let sum = (x + layer.out.apply(&mixed)?)?;
        let (x, input) = match (self.order, &layer.attention_norm) {
            (NormOrder::After, Some(norm)) => {
                let x = norm.apply(&sum)?;
                (x.clone(), x)
            }
            (NormOrder::After, None) => (sum.clone(), sum),
            (NormOrder::Before, _) => {
                let input = layer.feed_norm.apply(&sum)?;
                (sum, input)
            }
        };
        let mut middle = activate(self.activation, &layer.up.apply(&input)?)?;
        if let Some(gate) = &layer.gate {
            middle = (middle * gate.apply(&input)?)?;
        }
        let sum = (x + layer.down.apply(&middle)?)?;
        match self.order {
            NormOrder::After => layer.feed_norm.apply(&sum),
            NormOrder::Before => Ok(sum),
        }
    }

    /// softmax(Q·Kᵀ/√dim)·V of all sequences; `qkv` is tokens × 3·n·dim.
    fn attend(&self, layer: &Placed, qkv: &Tensor, batch: &Batch) -> Result<Tensor> {
        let groups = batch.groups.iter();
        let mixed: Vec<Tensor> = groups
            .map(|group| self.attend_group(layer, qkv, group))
            .collect::<Result<_>>()?;
        Tensor::cat(&mixed, 0)?.index_select(&batch.back, 0)
    }

    fn attend_group(&self, layer: &Placed, qkv: &Tensor, group: &Group) -> Result<Tensor> {
        let Heads { n: heads, dim } = self.heads;
        let (n, longest) = (group.n, group.longest);
        let rows = qkv.index_select(&group.tokens, 0)?;
        let rows = rows.reshape((n, longest, 3, heads, dim))?;
        let part = |i: usize| {
            let part = rows.narrow(2, i, 1)?.squeeze(2)?;
            part.transpose(1, 2)?.contiguous()
        };
        let (mut q, mut k, v) = (part(0)?, part(1)?, part(2)?);
        if let Some(rope) = &layer.rope {
            (q, k) = (rope.turn(&q)?, rope.turn(&k)?);
        }
        let q = (q * (dim as f64).sqrt().recip())?;
        let k = k.transpose(2, 3)?.contiguous()?;
        let at_once = (self.most_scores / (n * heads * longest)).clamp(1, longest);
        let mut blocks = Vec::new();
        for first in (0..longest).step_by(at_once) {
            let queries = first..longest.min(first + at_once);
            let some = q.narrow(2, first, queries.len())?.contiguous()?;
            let mut scores = some.matmul(&k)?;
            if let Some(unseen) = self.unseen(layer.sight, queries, longest)? {
                scores = scores.broadcast_add(&unseen)?;
            }
            if let Some(padding) = &group.padding {
                scores = scores.broadcast_add(padding)?;
            }
            blocks.push(softmax(&scores)?.matmul(&v)?);
        }
        let mixed = Tensor::cat(&blocks, 2)?.transpose(1, 2)?.contiguous()?;
        mixed.reshape((n * longest, heads * dim))
    }

    /// What is added to the scores of some queries and all keys because of what a token sees.
    fn unseen(&self, sight: Sight, queries: Range<usize>, n_keys: usize) -> Result<Option<Tensor>> {
        let places = |range: Range<usize>| {
            Tensor::arange(range.start as f32, range.end as f32, &self.device)
        };
        let apart = |queries, n_keys| {
            let keys = places(0..n_keys)?.unsqueeze(0)?;
            keys.broadcast_sub(&places(queries)?.unsqueeze(1)?)
        };
        let hidden = match sight {
            Sight::All => return Ok(None),
            Sight::Near(most) if n_keys <= most + 1 => return Ok(None),
            Sight::Before => apart(queries, n_keys)?.gt(0_f32)?,
            Sight::Near(most) => apart(queries, n_keys)?.abs()?.gt(most as f32)?,
        };
        (hidden.to_dtype(DType::F32)? * f64::from(UNSEEN)).map(Some)
    }
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let weights = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
}

fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::QuickGelu => x / ((x * -1.702)?.exp()? + 1.0)?,
        Activation::Silu => x.silu(),
        Activation::Relu => x.relu(),
    }
}
