//! One step on the card: the launches of a batch.

use candle_core::{DType, Result, Tensor};
use mlk8s_card::{Argument, Launch, Launcher, room};

use super::super::activation::Activation;
use super::super::attention::{Heads, Sight};
use super::super::stack::NormOrder;
use super::placed::{Norm, Placed, Product};
use super::plan::Plan;
use super::{Fused, Input, Wanted};

/// Rows of a block of the kernels for rows.
const ROWS: usize = 4;
/// Threads of a block of the others.
const THREADS: usize = 128;
/// Tokens that a query can look back or ahead at most: all.
const FAR: usize = 1 << 24;

/// One step on the card.
pub(super) struct Step<'a> {
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

impl<'a> Step<'a> {
    /// Room for a step, and its plan.
    pub(super) fn new(
        tower: &'a Fused,
        launcher: &'a dyn Launcher,
        input: Input<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Self> {
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
                Plan::new(&lengths, ids, picks, &tower.device)?
            }
            Input::Vectors(_, lengths) => Plan::new(lengths, &[], picks, &tower.device)?,
        };
        let (n, width) = (plan.n_rows, tower.width());
        let new = |columns| room(&[n, columns], DType::F32, &tower.device);
        let x = match input {
            Input::Ids(_) => new(width)?,
            Input::Vectors(x, _) => Tensor::from_slice(x, (n, width), &tower.device)?,
        };
        let y = new(width)?;
        let up = tower
            .layers
            .first()
            .map_or(0, |layer| layer.up.bias.elem_count());
        let up_room = new(up)?;
        Ok(Self {
            tower,
            launcher,
            normed: match tower.order {
                NormOrder::Before => new(width)?,
                NormOrder::After => x.clone(),
            },
            mixed: new(width)?,
            y,
            qkv: new(3 * width)?,
            middle: if up == tower.inner {
                up_room.clone()
            } else {
                new(tower.inner)?
            },
            up: up_room,
            x,
            plan,
        })
    }
}

impl Step<'_> {
    /// Fills the residual stream, normalised if it is to be.
    pub(super) fn begin(&self, input: Input<'_>) -> Result<()> {
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
    pub(super) fn layer<'a>(
        &self,
        layer: &'a Placed,
        pending: Option<&Tensor>,
    ) -> Result<Option<&'a Tensor>> {
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
    pub(super) fn end(&self, wanted: Wanted<'_>, pending: Option<&Tensor>) -> Result<Tensor> {
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
        let threads = (width / 4).min(THREADS).next_multiple_of(32);
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
