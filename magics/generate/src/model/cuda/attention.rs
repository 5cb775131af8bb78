//! Attention of a step: which kernel runs on which rows.

use candle_core::{DType, Result, Tensor};
use mlk8s_card::{Argument, Launch, Launcher, room};

use super::plan::{Plan, Spread};
use super::source;
use crate::forward::PAGE;
use crate::model::description::Description;

/// Warps of a block that place heads.
const HEAD_WARPS: usize = 4;

/// The heads of a model, the same in all layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub(super) n: usize,
    pub(super) n_kv: usize,
    pub(super) dim: usize,
    pub(super) scale: f32,
    pub(super) cap: f32,
}

/// Keys and values of one layer: pages × key-value heads × 32 tokens × head.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

/// Query, key and value of all rows, and the row of each that a kernel skips to get to the next.
pub(super) struct Projections {
    pub(super) parts: [Tensor; 3],
    pub(super) strides: [usize; 3],
}

/// What happens to heads before attention.
pub(super) struct Placing<'a> {
    pub(super) bias: Option<&'a Tensor>,
    pub(super) query_norm: Option<&'a Tensor>,
    pub(super) key_norm: Option<&'a Tensor>,
    pub(super) epsilon: f32,
    pub(super) angles: &'a Angles,
}

/// Cosines and sines of a step's rows: rows × pairs.
#[derive(Debug)]
pub(super) struct Angles {
    pub(super) cosines: Tensor,
    pub(super) sines: Tensor,
    pub(super) pairs: usize,
    pub(super) interleaved: bool,
}

/// Room for sums that are to be merged, the same for all layers of a step.
#[derive(Debug)]
pub(super) struct Sums {
    sums: Tensor,
    states: Tensor,
}

impl Heads {
    /// The heads of a description.
    pub(super) fn new(description: &Description) -> Self {
        Self {
            n: description.n_heads,
            n_kv: description.n_kv_heads,
            dim: description.head_dim,
            scale: description.attention_scale,
            cap: description.attention_cap.unwrap_or(0.0),
        }
    }

    /// Query heads that share a key-value head.
    pub(super) fn group(&self) -> usize {
        self.n / self.n_kv
    }

    /// How attention is spread over a card's processors.
    pub(super) fn spread(&self, dtype: DType, n_processors: usize) -> Spread {
        let per_block = source::heads_of_block(self.group());
        Spread {
            group: self.group(),
            blocks: self.n_kv * self.group().div_ceil(per_block),
            tiles: source::tiles(dtype, self.dim).is_some(),
            n_processors,
        }
    }

    /// Room for the sums of a step.
    pub(super) fn sums(&self, plan: &Plan, like: &Tensor) -> Result<Sums> {
        let rows = plan.n_slots.max(1) * self.n;
        Ok(Sums {
            sums: room(&[rows, self.dim], DType::F32, like.device())?,
            states: room(&[rows, 2], DType::F32, like.device())?,
        })
    }

    /// Puts keys and values into their pages, and gives the queries: rows × heads · head.
    pub(super) fn place(
        &self,
        launcher: &dyn Launcher,
        plan: &Plan,
        from: &Projections,
        how: &Placing<'_>,
        cache: &Cache,
    ) -> Result<Tensor> {
        use Argument::{Count, Number, Read, Update, Write};
        let dtype = from.parts[0].dtype();
        let device = from.parts[0].device();
        let queries = room(&[plan.n_rows, self.n * self.dim], dtype, device)?;
        let kernel = format!("place_{}", source::element(dtype));
        let launch = Launch {
            kernel: &kernel,
            grid: (plan.n_rows, (self.n + 2 * self.n_kv).div_ceil(HEAD_WARPS)),
            threads: HEAD_WARPS * 32,
            shared: 0,
        };
        let arguments = [
            Read(&from.parts[0]),
            Read(&from.parts[1]),
            Read(&from.parts[2]),
            Count(from.strides[0]),
            Count(from.strides[1]),
            Count(from.strides[2]),
            Argument::maybe(how.bias),
            Argument::maybe(how.query_norm),
            Argument::maybe(how.key_norm),
            Number(how.epsilon),
            Read(&how.angles.cosines),
            Read(&how.angles.sines),
            Count(how.angles.pairs),
            Count(how.angles.interleaved.into()),
            Read(&plan.slots),
            Count(self.n),
            Count(self.n_kv),
            Count(self.dim),
            Number(self.scale),
            Write(&queries),
            Update(&cache.keys),
            Update(&cache.values),
        ];
        launcher.launch(launch, &arguments)?;
        Ok(queries)
    }

    /// Attends with the queries of all rows and gives as many values; a window of 0 is none.
    pub(super) fn attend(
        &self,
        launcher: &dyn Launcher,
        plan: &Plan,
        queries: &Tensor,
        cache: &Cache,
        window: usize,
        sums: &Sums,
    ) -> Result<Tensor> {
        let out = room(queries.dims(), queries.dtype(), queries.device())?;
        if plan.stretches.len > 0 {
            self.attend_many(launcher, plan, queries, cache, window, &out)?;
        }
        if plan.items.len > 0 {
            self.attend_single(launcher, plan, queries, cache, window, sums, &out)?;
        }
        if plan.merges.len > 0 {
            self.merge(launcher, plan, sums, &out)?;
        }
        Ok(out)
    }

    fn attend_many(
        &self,
        launcher: &dyn Launcher,
        plan: &Plan,
        queries: &Tensor,
        cache: &Cache,
        window: usize,
        out: &Tensor,
    ) -> Result<()> {
        use Argument::{Count, Number, Read, Update};
        let Some(tiles) = source::tiles(queries.dtype(), self.dim) else {
            candle_core::bail!("no kernel for many rows of heads of {}", self.dim)
        };
        let launch = Launch {
            kernel: &tiles.kernel,
            grid: (plan.stretches.len, self.n_kv),
            threads: 128,
            shared: tiles.shared,
        };
        let arguments = [
            Read(queries),
            Read(&cache.keys),
            Read(&cache.values),
            Read(&plan.stretches.table),
            Read(&plan.pages),
            Count(self.n),
            Count(self.n_kv),
            Count(window),
            Number(self.cap),
            Update(out),
        ];
        launcher.launch(launch, &arguments)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a kernel's tensors, each of its own kind"
    )]
    fn attend_single(
        &self,
        launcher: &dyn Launcher,
        plan: &Plan,
        queries: &Tensor,
        cache: &Cache,
        window: usize,
        sums: &Sums,
        out: &Tensor,
    ) -> Result<()> {
        use Argument::{Count, Number, Read, Update};
        let kernel = source::attend(queries.dtype(), self.dim, self.group());
        let chunks = self.group().div_ceil(source::heads_of_block(self.group()));
        let launch = Launch {
            kernel: &kernel,
            grid: (plan.items.len, self.n_kv * chunks),
            threads: 128,
            shared: 0,
        };
        let arguments = [
            Read(queries),
            Read(&cache.keys),
            Read(&cache.values),
            Read(&plan.items.table),
            Read(&plan.pages),
            Count(self.n),
            Count(self.n_kv),
            Count(self.dim),
            Count(window),
            Number(self.cap),
            Update(out),
            Update(&sums.sums),
            Update(&sums.states),
        ];
        launcher.launch(launch, &arguments)
    }

    fn merge(&self, launcher: &dyn Launcher, plan: &Plan, sums: &Sums, out: &Tensor) -> Result<()> {
        use Argument::{Count, Read, Update};
        let kernel = format!("merge_{}", source::element(out.dtype()));
        let launch = Launch {
            kernel: &kernel,
            grid: (plan.merges.len, self.n),
            threads: 128,
            shared: 0,
        };
        let arguments = [
            Read(&plan.merges.table),
            Read(&sums.sums),
            Read(&sums.states),
            Count(self.n),
            Count(self.dim),
            Update(out),
        ];
        launcher.launch(launch, &arguments)
    }
}

impl Cache {
    /// Room for `n_pages` pages.
    pub(super) fn new(
        n_pages: usize,
        heads: &Heads,
        dtype: DType,
        device: &candle_core::Device,
    ) -> Result<Self> {
        // Zeros, so that what nobody has written yet is a number.
        let pages = || Tensor::zeros((n_pages, heads.n_kv * PAGE * heads.dim), dtype, device);
        Ok(Self {
            keys: pages()?,
            values: pages()?,
        })
    }

    /// Pages there are.
    pub(super) fn n_pages(&self) -> usize {
        self.keys.dims()[0]
    }
}
