//! A stack of transformer layers over packed sequences.

use std::sync::Arc;

use super::activation::Activation;
use super::attention::{AttentionScratch, Heads, Sight};
use super::linear::{Finish, Linear};
use super::norm::LayerNorm;
use super::rope::Rope;

/// Rows that go through a layer's products together, so that what lies between two products stays in the cache.
const BLOCK: usize = 96;

/// Where a layer normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormOrder {
    /// After each sum, as in BERT.
    After,
    /// Before attention and before the feed-forward part, as in CLIP and `ModernBERT`.
    Before,
}

/// One layer: attention, then feed-forward, each added to its input.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Queries, keys and values, in this order, in one product.
    pub(crate) qkv: Linear,
    /// How queries and keys know their places; `None` where the input of the first layer does.
    pub(crate) rope: Option<Arc<Rope>>,
    /// What each token sees.
    pub(crate) sight: Sight,
    /// What follows the attention.
    pub(crate) out: Linear,
    /// Normalisation of the attention part; `None` where its input is normalised already.
    pub(crate) attention_norm: Option<LayerNorm>,
    /// First product of the feed-forward part.
    pub(crate) up: Linear,
    /// Of a gated layer (Shazeer 2020): what the activated product is multiplied by.
    pub(crate) gate: Option<Linear>,
    /// Second product of the feed-forward part.
    pub(crate) down: Linear,
    /// Normalisation of the feed-forward part.
    pub(crate) feed_norm: LayerNorm,
}

/// Layers that are run one after the other.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The layers, the first one first.
    pub(crate) layers: Vec<Layer>,
    /// The heads of each layer.
    pub(crate) heads: Heads,
    /// Where the layers normalise.
    pub(crate) order: NormOrder,
    /// What stands between the products of the feed-forward part.
    pub(crate) activation: Activation,
}

/// The work was stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Room for the values between the steps of a layer; grows to what the largest batch needs.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    normed: Vec<f32>,
    middle: Vec<f32>,
    attention: AttentionScratch,
}

impl Stack {
    /// Values of one token.
    pub(crate) fn width(&self) -> usize {
        self.heads.n * self.heads.dim
    }

    /// Bytes of memory that the layers take.
    pub(crate) fn n_bytes(&self) -> usize {
        let mut ropes: Vec<&Arc<Rope>> = Vec::new();
        for rope in self.layers.iter().filter_map(|layer| layer.rope.as_ref()) {
            if !ropes.iter().any(|seen| Arc::ptr_eq(seen, rope)) {
                ropes.push(rope);
            }
        }
        let layers = self.layers.iter().map(Layer::n_bytes).sum::<usize>();
        layers + ropes.iter().map(|rope| rope.n_bytes()).sum::<usize>()
    }

    /// Runs `x` (tokens × width), sequences of the given lengths one after the other, through all layers in place.
    ///
    /// `stop` is asked every few milliseconds.
    pub(crate) fn run(
        &self,
        x: &mut [f32],
        lengths: &[usize],
        scratch: &mut Scratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let width = self.width();
        scratch.qkv.resize(3 * x.len(), 0.0);
        scratch.mixed.resize(x.len(), 0.0);
        let block = BLOCK * width;
        for layer in &self.layers {
            for (x, qkv) in x.chunks_mut(block).zip(scratch.qkv.chunks_mut(3 * block)) {
                go_on(stop)?;
                let normed = match (self.order, &layer.attention_norm) {
                    (NormOrder::Before, Some(norm)) => normed(norm, x, &mut scratch.normed),
                    _ => &*x,
                };
                layer.qkv.apply(normed, qkv, Finish::Store);
            }
            let mut first = 0;
            for n in lengths {
                go_on(stop)?;
                let qkv = &mut scratch.qkv[3 * first * width..][..3 * n * width];
                let mixed = &mut scratch.mixed[first * width..][..n * width];
                if let Some(rope) = &layer.rope {
                    rope.turn(self.heads, qkv);
                }
                self.heads
                    .attend(layer.sight, qkv, mixed, &mut scratch.attention, stop)?;
                first += n;
            }
            for (x, mixed) in x.chunks_mut(block).zip(scratch.mixed.chunks(block)) {
                go_on(stop)?;
                self.feed(layer, x, mixed, &mut scratch.normed, &mut scratch.middle);
            }
        }
        Ok(())
    }

    /// The rest of a layer after attention, for a block of rows.
    fn feed(
        &self,
        layer: &Layer,
        x: &mut [f32],
        mixed: &[f32],
        space: &mut Vec<f32>,
        middle: &mut Vec<f32>,
    ) {
        layer.out.apply(mixed, x, Finish::Add);
        let input = match self.order {
            NormOrder::After => {
                if let Some(norm) = &layer.attention_norm {
                    norm.apply(x);
                }
                &*x
            }
            NormOrder::Before => normed(&layer.feed_norm, x, space),
        };
        middle.resize(x.len() / self.width() * layer.up.n_out(), 0.0);
        layer
            .up
            .apply(input, middle, Finish::Activate(self.activation));
        if let Some(gate) = &layer.gate {
            gate.apply(input, middle, Finish::Multiply);
        }
        layer.down.apply(middle, x, Finish::Add);
        if self.order == NormOrder::After {
            layer.feed_norm.apply(x);
        }
    }
}

impl Layer {
    fn n_bytes(&self) -> usize {
        let products = [&self.qkv, &self.out, &self.up, &self.down];
        let products = products.into_iter().chain(&self.gate);
        let norms = self.attention_norm.iter().chain([&self.feed_norm]);
        products.map(Linear::n_bytes).sum::<usize>() + norms.map(LayerNorm::n_bytes).sum::<usize>()
    }
}

/// A normalised copy of `x`.
fn normed<'a>(norm: &LayerNorm, x: &[f32], space: &'a mut Vec<f32>) -> &'a [f32] {
    space.clear();
    space.extend_from_slice(x);
    norm.apply(space);
    space
}

pub(super) fn go_on(stop: &dyn Fn() -> bool) -> Result<(), Stopped> {
    if stop() { Err(Stopped) } else { Ok(()) }
}
