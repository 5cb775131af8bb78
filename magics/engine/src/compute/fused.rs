//! A whole tower of an encoder on a card, in few launches: token ids go there, and vectors of texts come back.
//!
//! Sequences stand one after the other without padding. A layer is four products by cuBLAS and four kernels of our own:
//! attention of packed sequences with biases and rotary positions, twice a sum with its norm, and the activation. All rows
//! are in single precision. Factors of products are rounded to TF32 unless the tower is exact.

mod placed;
mod plan;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::rehearsal;

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};
use mlk8s_card::{Argument, Launch, Launcher, Program, room};

use super::activation::Activation;
use super::attention::{Heads, Sight};
use super::card;
use super::layers::Halt;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::stack::{NormOrder, Stack};
use placed::{Norm, Placed, Placing, Product};
use plan::Plan;

/// Rows of a block of the kernels for rows.
const ROWS: usize = 4;
/// Threads of a block of the others.
const THREADS: usize = 128;
/// Tokens that a query can look back or ahead at most: all.
const FAR: usize = 1 << 24;

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

/// One step on the card.
struct Step<'a> {
    tower: &'a Fused,
    launcher: &'a dyn Launcher,
    plan: Plan,
    /// The residual stream.
    x: Tensor,
    /// Its norm, where that is another; what attention gives; what products give that are added.
    normed: Tensor,
    mixed: Tensor,
    y: Tensor,
    qkv: Tensor,
    up: Tensor,
    middle: Tensor,
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
        (same && source::suits(heads.dim, &rows)).then(|| source::program(heads.dim, exact))
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
        let step = self.step(launcher.as_ref(), input, wanted)?;
        step.begin(input)?;
        let mut pending = None;
        for layer in &self.layers {
            if stop() {
                return Err(Halt::Stopped);
            }
            pending = step.layer(layer, pending)?;
        }
        let found = step.end(wanted, pending)?;
        let mut numbers = Vec::new();
        launcher.read(&found, &mut numbers)?;
        if numbers.len() != rows.len() {
            let what = format!("{} numbers came back, not {}", numbers.len(), rows.len());
            return Err(Halt::Failed(what));
        }
        rows.copy_from_slice(&numbers);
        Ok(())
    }

    fn step<'a>(
        &'a self,
        launcher: &'a dyn Launcher,
        input: Input<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Step<'a>> {
        let picks = match wanted {
            Wanted::Mean => &[],
            Wanted::Tokens(tokens) => tokens,
        };
        if picks.iter().any(|row| *row as usize >= input.n_rows()) {
            candle_core::bail!("a text without tokens has no vector")
        }
        let plan = match input {
            Input::Ids(ids) => {
                let lengths: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
                Plan::new(&lengths, ids, picks, &self.device)?
            }
            Input::Vectors(_, lengths) => Plan::new(lengths, &[], picks, &self.device)?,
        };
        let (n, width) = (plan.n_rows, self.width());
        let new = |columns| room(&[n, columns], DType::F32, &self.device);
        let x = match input {
            Input::Ids(_) => new(width)?,
            Input::Vectors(x, _) => Tensor::from_slice(x, (n, width), &self.device)?,
        };
        let y = new(width)?;
        let up = self
            .layers
            .first()
            .map_or(0, |layer| layer.up.bias.elem_count());
        let up_room = new(up)?;
        Ok(Step {
            tower: self,
            launcher,
            normed: match self.order {
                NormOrder::Before => new(width)?,
                NormOrder::After => x.clone(),
            },
            mixed: new(width)?,
            y,
            qkv: new(3 * width)?,
            middle: if up == self.inner {
                up_room.clone()
            } else {
                new(self.inner)?
            },
            up: up_room,
            x,
            plan,
        })
    }
}

impl Step<'_> {
    /// Fills the residual stream, normalised if it is to be.
    fn begin(&self, input: Input<'_>) -> Result<()> {
        use Argument::{Count, Read, Write};
        let tower = self.tower;
        if let Input::Ids(_) = input {
            let Some(words) = &tower.words else {
                candle_core::bail!("this tower reads no words")
            };
            let arguments = [
                Read(words),
                Argument::maybe(tower.positions.as_ref()),
                Read(&self.plan.ids),
                Read(&self.plan.places),
                Count(self.plan.n_rows),
                Count(tower.width()),
                Write(&self.x),
            ];
            let blocks = self.plan.n_rows.div_ceil(ROWS);
            self.launch("embed", (blocks, 1), ROWS * 32, &arguments)?;
        }
        match &tower.norm {
            Some(norm) => self.add_norm(None, Some(norm), true),
            None => Ok(()),
        }
    }

    /// Runs a layer; where layers normalise before their parts, `pending` is the bias of what is still to be added, and so
    /// is what is returned.
    fn layer<'a>(&self, layer: &'a Placed, pending: Option<&Tensor>) -> Result<Option<&'a Tensor>> {
        let before = self.tower.order == NormOrder::Before;
        let norm = layer.attention_norm.as_ref();
        let input = if before && norm.is_some() {
            self.add_norm(pending, norm, false)?;
            &self.normed
        } else {
            if pending.is_some() {
                self.add_norm(pending, None, true)?;
            }
            &self.x
        };
        self.product(input, &layer.qkv, &self.qkv)?;
        self.attend(layer)?;
        self.product(&self.mixed, &layer.out, &self.y)?;
        let bias = Some(&layer.out.bias);
        let input = if before {
            self.add_norm(bias, Some(&layer.feed_norm), false)?;
            &self.normed
        } else {
            self.add_norm(bias, norm, true)?;
            &self.x
        };
        self.product(input, &layer.up, &self.up)?;
        self.activate(layer)?;
        self.product(&self.middle, &layer.down, &self.y)?;
        let bias = Some(&layer.down.bias);
        if before {
            return Ok(bias);
        }
        self.add_norm(bias, Some(&layer.feed_norm), true)?;
        Ok(None)
    }

    /// What is wanted of the last layer's vectors.
    fn end(&self, wanted: Wanted<'_>, pending: Option<&Tensor>) -> Result<Tensor> {
        use Argument::{Count, Read, Write};
        let (tower, width) = (self.tower, self.tower.width());
        if pending.is_some() || tower.last_norm.is_some() {
            self.add_norm(pending, tower.last_norm.as_ref(), true)?;
        }
        let out = room(&[self.plan.n, width], DType::F32, &tower.device)?;
        let (kernel, table) = match wanted {
            Wanted::Mean => ("mean", &self.plan.firsts),
            Wanted::Tokens(_) => ("pick", &self.plan.picks),
        };
        let arguments = [Read(&self.x), Read(table), Count(width), Write(&out)];
        self.launch(kernel, (self.plan.n, 1), THREADS, &arguments)?;
        let Some(projection) = &tower.projection else {
            return Ok(out);
        };
        let projected = room(
            &[self.plan.n, projection.dim(0)?],
            DType::F32,
            &tower.device,
        )?;
        self.launcher
            .product(&out, projection, &projected, !tower.exact)?;
        Ok(projected)
    }

    /// Adds what products gave, with a bias, to the residual stream, if there is one, and normalises the sum: where it
    /// stands, or else into a tensor of its own.
    fn add_norm(&self, bias: Option<&Tensor>, norm: Option<&Norm>, stays: bool) -> Result<()> {
        use Argument::{Count, Nothing, Number, Update, Write};
        let arguments = [
            Update(&self.x),
            Argument::maybe(bias.map(|_| &self.y)),
            Argument::maybe(bias),
            Argument::maybe(norm.map(|norm| &norm.scale)),
            Argument::maybe(norm.map(|norm| &norm.shift)),
            Number(norm.map_or(0.0, |norm| norm.epsilon)),
            Count(self.plan.n_rows),
            Count(self.tower.width()),
            if stays { Nothing } else { Write(&self.normed) },
        ];
        let blocks = self.plan.n_rows.div_ceil(ROWS);
        self.launch("add_norm", (blocks, 1), ROWS * 32, &arguments)
    }

    fn attend(&self, layer: &Placed) -> Result<()> {
        use Argument::{Count, Number, Read, Update};
        let Heads { n, dim } = self.tower.heads;
        let (before, behind) = match layer.sight {
            Sight::All => (FAR, FAR),
            Sight::Before => (FAR, 0),
            Sight::Near(most) => (most.min(FAR), most.min(FAR)),
        };
        let angles = layer.rope.as_ref();
        for blocks in &self.plan.blocks {
            let arguments = [
                Read(&self.qkv),
                Read(&layer.qkv.bias),
                Argument::maybe(angles.map(|angles| &angles.cosines)),
                Argument::maybe(angles.map(|angles| &angles.sines)),
                Read(&blocks.table),
                Count(n),
                Number((dim as f32).sqrt().recip()),
                Count(before),
                Count(behind),
                Update(&self.mixed),
            ];
            let kernel = &self.tower.attend;
            self.launch(kernel, (blocks.n, n), blocks.warps * 32, &arguments)?;
        }
        Ok(())
    }

    fn activate(&self, layer: &Placed) -> Result<()> {
        use Argument::{Count, Read, Write};
        let (width, stride) = (self.tower.inner, layer.up.bias.elem_count());
        let kind = match self.tower.activation {
            Activation::Gelu => 0,
            Activation::GeluTanh => 1,
            Activation::QuickGelu => 2,
            Activation::Silu => 3,
            Activation::Relu => 4,
        };
        let arguments = [
            Read(&self.up),
            Read(&layer.up.bias),
            Count(stride),
            Count(width),
            Count(kind),
            Write(&self.middle),
        ];
        let threads = (width / 4).min(2 * THREADS).next_multiple_of(32);
        let grid = (self.plan.n_rows, width.div_ceil(4 * threads));
        self.launch("activate", grid, threads, &arguments)
    }

    fn product(&self, x: &Tensor, layer: &Product, out: &Tensor) -> Result<()> {
        self.launcher
            .product(x, &layer.weights, out, !self.tower.exact)
    }

    fn launch(
        &self,
        kernel: &str,
        grid: (usize, usize),
        threads: usize,
        arguments: &[Argument<'_>],
    ) -> Result<()> {
        let launch = Launch {
            kernel,
            grid,
            threads,
            shared: 0,
        };
        self.launcher.launch(launch, arguments)
    }
}
