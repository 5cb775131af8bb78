//! A stack of transformer layers over packed sequences.

use super::activation::Activation;
use super::attention::{AttentionScratch, Heads};
use super::linear::{Finish, Linear};
use super::norm::LayerNorm;

/// Rows that go through a layer's products together, so that what lies between two products stays in the cache.
const BLOCK: usize = 96;

/// Where a layer normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormOrder {
    /// After each sum, as in BERT.
    After,
    /// Before attention and before the feed-forward part, as in CLIP.
    Before,
}

/// One layer: attention, then feed-forward, each added to its input.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Queries, keys and values, in this order, in one product.
    pub(crate) qkv: Linear,
    /// What follows the attention.
    pub(crate) out: Linear,
    /// Normalisation of the attention part.
    pub(crate) attention_norm: LayerNorm,
    /// First product of the feed-forward part.
    pub(crate) up: Linear,
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
        self.layers.iter().map(Layer::n_bytes).sum()
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
                let normed = match self.order {
                    NormOrder::After => &*x,
                    NormOrder::Before => normed(&layer.attention_norm, x, &mut scratch.normed),
                };
                layer.qkv.apply(normed, qkv, Finish::Store);
            }
            let mut first = 0;
            for n in lengths {
                go_on(stop)?;
                let qkv = &scratch.qkv[3 * first * width..][..3 * n * width];
                let mixed = &mut scratch.mixed[first * width..][..n * width];
                self.heads.attend(qkv, mixed, &mut scratch.attention);
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
                layer.attention_norm.apply(x);
                &*x
            }
            NormOrder::Before => normed(&layer.feed_norm, x, space),
        };
        middle.resize(x.len() / self.width() * layer.up.n_out(), 0.0);
        layer
            .up
            .apply(input, middle, Finish::Activate(self.activation));
        layer.down.apply(middle, x, Finish::Add);
        if self.order == NormOrder::After {
            layer.feed_norm.apply(x);
        }
    }
}

impl Layer {
    fn n_bytes(&self) -> usize {
        let products = [&self.qkv, &self.out, &self.up, &self.down];
        let norms = [&self.attention_norm, &self.feed_norm];
        products.iter().map(|one| one.n_bytes()).sum::<usize>()
            + norms.iter().map(|one| one.n_bytes()).sum::<usize>()
    }
}

/// A normalised copy of `x`.
fn normed<'a>(norm: &LayerNorm, x: &[f32], space: &'a mut Vec<f32>) -> &'a [f32] {
    space.clear();
    space.extend_from_slice(x);
    norm.apply(space);
    space
}

fn go_on(stop: &dyn Fn() -> bool) -> Result<(), Stopped> {
    if stop() { Err(Stopped) } else { Ok(()) }
}
