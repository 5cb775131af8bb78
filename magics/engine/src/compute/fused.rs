//! A whole tower of an encoder on a card, in few launches: token ids go there, and vectors of texts come back.
//!
//! Sequences stand one after the other without padding. A layer is four products by cuBLAS and four kernels of our own:
//! attention of packed sequences with biases and rotary positions, twice a sum with its norm, and the activation. All rows
//! are in single precision. Factors of products are rounded to TF32 unless the tower is exact.

mod placed;
mod plan;
mod source;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::rehearsal;

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result, Tensor};
use mlk8s_card::{Launcher, Program};

use super::activation::Activation;
use super::attention::Heads;
use super::card;
use super::layers::Halt;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::stack::{NormOrder, Stack};
use placed::{Norm, Placed, Placing};
use step::Step;

/// What a tower is made of.
pub(crate) struct Parts<'a> {
    /// Vocabulary × width; absent where vectors come in.
    pub(crate) words: Option<&'a [f32]>,
    /// Positions × width, added to the words; may be empty.
    pub(crate) positions: &'a [f32],
    /// Normalisation of the layers' input.
    pub(crate) norm: Option<&'a LayerNorm>,
    /// The layers.
    pub(crate) stack: &'a Stack,
    /// Normalisation of the layers' result.
    pub(crate) last_norm: Option<&'a LayerNorm>,
    /// What the vectors of texts go through at last.
    pub(crate) projection: Option<&'a Linear>,
}

/// What goes in: sequences, none of them empty.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    /// Token ids.
    Ids(&'a [&'a [u32]]),
    /// Vectors (tokens × width) of sequences of these lengths, one after the other.
    Vectors(&'a [f32], &'a [usize]),
}

impl Input<'_> {
    fn n_rows(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.iter().map(|ids| ids.len()).sum(),
            Self::Vectors(_, lengths) => lengths.iter().sum(),
        }
    }
}

/// What comes out, one row a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The mean of its tokens.
    Mean,
    /// The vector of one of its tokens, counted over all sequences.
    Tokens(&'a [u32]),
}

/// A tower on a card.
pub(crate) struct Fused {
    /// One batch is on the card at a time, so that what it needs is bounded.
    launcher: Mutex<Box<dyn Launcher>>,
    device: Device,
    words: Option<Tensor>,
    positions: Option<Tensor>,
    norm: Option<Norm>,
    layers: Vec<Placed>,
    last_norm: Option<Norm>,
    /// Outputs × width.
    projection: Option<Tensor>,
    heads: Heads,
    order: NormOrder,
    activation: Activation,
    /// Values between the products of the feed-forward part.
    inner: usize,
    exact: bool,
    attend: String,
    n_bytes: usize,
}

impl Fused {
    /// The kernels of a tower; none where they don't take it.
    pub(crate) fn program(parts: &Parts<'_>, exact: bool) -> Option<Program> {
        let Stack { layers, heads, .. } = parts.stack;
        let inner = layers.first()?.up.n_out();
        let same = layers.iter().all(|layer| {
            layer.up.n_out() == inner
                && layer.gate.is_some() == layers[0].gate.is_some()
                && layer.gate.as_ref().is_none_or(|gate| gate.n_out() == inner)
        });
        let rows = [heads.n * heads.dim, inner];
        (same && source::suits(heads.dim, exact, &rows)).then(|| source::program(heads.dim, exact))
    }

    /// A tower on a device, for which there is a [`Self::program`], with what runs that.
    pub(crate) fn new(
        parts: &Parts<'_>,
        launcher: Box<dyn Launcher>,
        device: &Device,
        exact: bool,
    ) -> Result<Self> {
        let mut placing = Placing::new(device);
        let stack = parts.stack;
        let width = stack.width();
        let table = |values: &[f32], placing: &mut Placing<'_>| {
            placing.place(values, &[values.len() / width, width])
        };
        let words = parts.words.map(|words| table(words, &mut placing));
        let positions = (parts.words.is_some() && !parts.positions.is_empty())
            .then(|| table(parts.positions, &mut placing));
        let norm = parts.norm.map(|norm| placing.norm(norm)).transpose()?;
        let layers = stack.layers.iter().map(|layer| placing.layer(layer));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let last_norm = parts.last_norm.map(|norm| placing.norm(norm));
        let last_norm = last_norm.transpose()?;
        let projection = parts.projection.map(|layer| {
            let shape = [layer.n_out(), layer.n_in()];
            placing.place(&layer.rows(), &shape)
        });
        Ok(Self {
            launcher: Mutex::new(launcher),
            device: device.clone(),
            words: words.transpose()?,
            positions: positions.transpose()?,
            norm,
            layers,
            last_norm,
            projection: projection.transpose()?,
            heads: stack.heads,
            order: stack.order,
            activation: stack.activation,
            inner: stack.layers.first().map_or(0, |layer| layer.up.n_out()),
            exact,
            attend: source::attend(stack.heads.dim, exact),
            n_bytes: placing.n_bytes,
        })
    }

    /// Values of one token.
    pub(crate) fn width(&self) -> usize {
        self.heads.n * self.heads.dim
    }

    /// Whether factors of products keep all their bits.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Bytes of the device's memory that the tower takes.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Gives memory of the device back that no batch uses.
    pub(crate) fn give_back(&self) {
        card::give_back(&self.device);
    }

    /// One row a sequence into `rows`; `stop` is asked before each layer.
    pub(crate) fn run(
        &self,
        input: Input<'_>,
        wanted: Wanted<'_>,
        rows: &mut [f32],
        stop: &dyn Fn() -> bool,
    ) -> std::result::Result<(), Halt> {
        if rows.is_empty() {
            return Ok(());
        }
        let launcher = self.launcher.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = Step::new(self, launcher.as_ref(), input, wanted)?;
        batch.begin(input)?;
        let mut pending = None;
        for layer in &self.layers {
            if stop() {
                return Err(Halt::Stopped);
            }
            pending = batch.layer(layer, pending)?;
        }
        let found = batch.end(wanted, pending)?;
        launcher.copy(&found.flatten_all()?, rows)?;
        Ok(())
    }
}
