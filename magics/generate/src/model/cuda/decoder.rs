//! The decoder on a card: one step over packed rows, a handful of launches a layer, one copy back at its end.

use candle_core::{DType, Device, Result, Tensor};
use mlk8s_card::{Argument, Launch, Launcher, room};

use super::attention::{Angles, Cache, Heads};
use super::layer::{Layer, Norm, Step, threads};
use super::matrix::{Matrix, failed, first_line, is_shortage};
use super::plan::Tables;
use super::reader::Reader;
use super::source;
use crate::error::GenerateError;
use crate::forward::{Batch, Forward, PAGE, Shape};
use crate::model::Precision;
use crate::model::batch::check;
use crate::model::description::{Description, Rope};
use crate::model::weights::{Source, Weight, model, take};

/// Rows of a step for which memory is left free when the cache is made.
const ROWS: usize = 2048;
/// Most dimensions of a head, and most query heads that share a key-value head, that the kernels take.
const MOST_DIMS: usize = 256;
const MOST_GROUP: usize = 64;

/// A decoder with its weights and its cache on a card.
pub(in crate::model) struct Decoder {
    launcher: Box<dyn Launcher>,
    device: Device,
    /// Type of activations and of the cache.
    dtype: DType,
    description: Description,
    shape: Shape,
    heads: Heads,
    /// The table of embeddings; also the head, where that is dense and tied.
    table: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    /// The head, where it is not the table.
    head: Option<Matrix>,
    frequencies: Tensor,
    local_frequencies: Option<Tensor>,
    caches: Vec<Cache>,
    /// Logits of an earlier step that nobody needs any more; the next ones take their room.
    spare: Vec<f32>,
}

impl Decoder {
    /// Reads the weights and sends them to the device; `progress` is told the bytes done, and all bytes.
    pub(super) fn new(
        description: Description,
        source: &dyn Source,
        precision: Precision,
        launcher: Box<dyn Launcher>,
        device: &Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> std::result::Result<Self, GenerateError> {
        suits(&description)?;
        let all = source.n_bytes();
        let mut so_far = 0;
        progress(0, all);
        let mut done = |bytes: usize| {
            so_far = all.min(so_far + bytes as u64);
            progress(so_far, all);
        };
        let dtype = element(precision);
        let mut reader = Reader {
            source,
            description: &description,
            precision,
            device,
            dtype,
            done: &mut done,
        };
        let (table, head) = tables(&mut reader)?;
        let norm = reader.norm(Weight::Norm, 0, description.hidden)?;
        let mut layers = Vec::new();
        for layer in 0..description.windows.len() {
            layers.push(reader.layer(layer)?);
        }
        let frequencies = |rope: &Rope| super::matrix::vector(rope.frequencies.clone(), device);
        let decoder = Self {
            launcher,
            device: device.clone(),
            dtype,
            shape: shape(&description, dtype),
            heads: Heads::new(&description),
            table,
            layers,
            norm,
            head,
            frequencies: frequencies(&description.rope)?,
            local_frequencies: description
                .local_rope
                .as_ref()
                .map(frequencies)
                .transpose()?,
            description,
            caches: Vec::new(),
            spare: Vec::new(),
        };
        // What failed on the way is told here, and the engine's thread finds everything in its place.
        device.synchronize().map_err(|error| failed(&error))?;
        progress(all, all);
        Ok(decoder)
    }

    /// The kernels of a model.
    #[cfg(feature = "cuda")]
    pub(super) fn program(
        description: &Description,
        precision: Precision,
    ) -> std::result::Result<mlk8s_card::Program, GenerateError> {
        suits(description)?;
        let group = description.n_heads / description.n_kv_heads;
        Ok(source::program(
            element(precision),
            description.head_dim,
            group,
        ))
    }

    /// Bytes of the weights on the card.
    pub(in crate::model) fn n_bytes(&self) -> u64 {
        let table = self.table.elem_count() * self.dtype.size_in_bytes();
        let head = self.head.as_ref().map_or(0, Matrix::n_bytes);
        let layers: usize = self.layers.iter().map(Layer::n_bytes).sum();
        (table + head + layers) as u64
    }

    /// Weights, those that are used twice counted once.
    pub(in crate::model) fn n_parameters(&self) -> u64 {
        let tables = self.table.elem_count() * if self.description.tied { 1 } else { 2 };
        let layers: usize = self.layers.iter().map(Layer::n_parameters).sum();
        (tables + layers + self.norm.weight.elem_count()) as u64
    }

    /// The format of most matrices.
    pub(in crate::model) fn precision(&self) -> String {
        self.layers.first().map_or_else(String::new, Layer::format)
    }

    /// Normalised hidden states of the wanted rows, on the device; none if no row is wanted.
    fn run(&self, batch: &Batch) -> Result<Option<Tensor>> {
        let launcher = self.launcher.as_ref();
        let spread = self.heads.spread(self.dtype, launcher.n_processors());
        let plan = Tables::new(batch, spread).send(&self.device)?;
        let angles =
            |rope: &Rope, frequencies: &Tensor| self.angles(&plan.positions, rope, frequencies);
        let local = self
            .description
            .local_rope
            .as_ref()
            .zip(self.local_frequencies.as_ref());
        let step = Step {
            launcher,
            plan: &plan,
            global: angles(&self.description.rope, &self.frequencies)?,
            local: local
                .map(|(rope, frequencies)| angles(rope, frequencies))
                .transpose()?,
            sums: self.heads.sums(&plan, &plan.tokens)?,
            x: self.embed(&plan.tokens)?,
            dtype: self.dtype,
        };
        let mut pending = None;
        for (layer, cache) in self.layers.iter().zip(&self.caches) {
            pending = Some(layer.apply(&step, pending.as_ref(), cache)?);
        }
        if batch.rows.is_empty() {
            // Whoever measures a step must find its end, and whoever caused an error must hear of it.
            self.device.synchronize()?;
            return Ok(None);
        }
        step.add_norm(pending.as_ref(), &self.norm, true).map(Some)
    }

    /// Logits of the wanted rows, in the room of earlier ones.
    fn logits(&self, batch: &Batch, mut spare: Vec<f32>) -> Result<Vec<f32>> {
        let Some(hidden) = self.run(batch)? else {
            return Ok(Vec::new());
        };
        let logits = match &self.head {
            None => self.launcher.logits(&hidden, &self.table)?,
            Some(Matrix::Dense(head)) => self.launcher.logits(&hidden, head)?,
            // Products have the type of their rows, and in 16 bits near logits would be equal.
            Some(head) => head.product(&hidden.to_dtype(DType::F32)?)?,
        };
        if let Some(cap) = self.description.logit_cap {
            let launch = Launch {
                kernel: "cap_rows",
                grid: (batch.rows.len(), 1),
                threads: 1024,
                shared: 0,
            };
            let width = Argument::Count(self.shape.vocabulary);
            let arguments = [Argument::Update(&logits), width, Argument::Number(cap)];
            self.launcher.launch(launch, &arguments)?;
        }
        self.launcher.read(&logits.contiguous()?, &mut spare)?;
        Ok(spare)
    }

    fn embed(&self, tokens: &Tensor) -> Result<Tensor> {
        let (n, width) = (tokens.elem_count(), self.description.hidden);
        let x = room(&[n, width], DType::F32, &self.device)?;
        let kernel = format!("embed_{}", source::element(self.dtype));
        let launch = Launch {
            kernel: &kernel,
            grid: (n, 1),
            threads: threads(width),
            shared: 0,
        };
        let arguments = [
            Argument::Read(&self.table),
            Argument::Read(tokens),
            Argument::Number(self.description.embedding_scale),
            Argument::Count(width),
            Argument::Write(&x),
        ];
        self.launcher.launch(launch, &arguments)?;
        Ok(x)
    }

    fn angles(&self, positions: &Tensor, rope: &Rope, frequencies: &Tensor) -> Result<Angles> {
        let (n, pairs) = (positions.elem_count(), rope.frequencies.len());
        let angles = || room(&[n, pairs], DType::F32, &self.device);
        let (cosines, sines) = (angles()?, angles()?);
        let launch = Launch {
            kernel: "angles",
            grid: (n, 1),
            threads: pairs.clamp(1, 128).next_multiple_of(32),
            shared: 0,
        };
        let arguments = [
            Argument::Read(positions),
            Argument::Read(frequencies),
            Argument::Number(rope.scale),
            Argument::Count(pairs),
            Argument::Write(&cosines),
            Argument::Write(&sines),
        ];
        self.launcher.launch(launch, &arguments)?;
        Ok(Angles {
            cosines,
            sines,
            pairs,
            interleaved: rope.interleaved,
        })
    }

    /// Bytes that a step of many rows takes beside weights and cache.
    fn working(&self) -> u64 {
        let Description {
            vocabulary,
            hidden,
            intermediate,
            ..
        } = self.description;
        let heads = (2 * self.heads.n + 2 * self.heads.n_kv) * self.heads.dim;
        let row = 4 * hidden + self.dtype.size_in_bytes() * (4 * hidden + heads + 3 * intermediate);
        (ROWS * row + 4 * 2 * 64 * vocabulary) as u64
    }

    fn checked(&self, batch: &Batch) -> std::result::Result<bool, GenerateError> {
        let n_pages = self.caches.first().map_or(0, Cache::n_pages);
        check(batch, n_pages, &self.shape)?;
        Ok(!batch.tokens.is_empty())
    }
}

/// Type of activations, of the cache and of dense weights.
fn element(precision: Precision) -> DType {
    if precision == Precision::F32 {
        DType::F32
    } else {
        DType::BF16
    }
}

fn shape(description: &Description, dtype: DType) -> Shape {
    let n_layers = description.windows.len();
    let of_layer = 2 * description.n_kv_heads * description.head_dim * dtype.size_in_bytes();
    Shape {
        vocabulary: description.vocabulary,
        context: description.context,
        n_layers,
        bytes_per_token: n_layers * of_layer,
    }
}

/// The table of embeddings, and the head where that is another matrix or has another format.
fn tables(reader: &mut Reader<'_>) -> std::result::Result<(Tensor, Option<Matrix>), GenerateError> {
    let size = [reader.description.vocabulary, reader.description.hidden];
    let embedding = take(reader.source, Weight::Embedding, 0, &size)?;
    let table = reader.dense(std::slice::from_ref(&embedding))?;
    if !reader.description.tied {
        let head = take(reader.source, Weight::Head, 0, &size)?;
        return Ok((table, Some(reader.head(&head)?)));
    }
    let quantised = super::matrix::format(&embedding, reader.precision).is_some();
    let head = if quantised {
        Some(reader.head(&embedding)?)
    } else {
        None
    };
    Ok((table, head))
}

/// Refuses what the kernels cannot do.
fn suits(description: &Description) -> std::result::Result<(), GenerateError> {
    let Description {
        hidden,
        intermediate,
        head_dim,
        n_heads,
        n_kv_heads,
        ..
    } = *description;
    let wrong = if !head_dim.is_multiple_of(8) || head_dim > MOST_DIMS {
        format!("heads of {head_dim} values; they must be a multiple of 8, {MOST_DIMS} at most")
    } else if n_heads / n_kv_heads > MOST_GROUP {
        format!("{n_heads} heads on {n_kv_heads} key-value heads; {MOST_GROUP} can share one")
    } else if !hidden.is_multiple_of(8) || !intermediate.is_multiple_of(8) {
        format!("rows of {hidden} and {intermediate} values; they must be multiples of 8")
    } else {
        return Ok(());
    };
    Err(model(format!("the kernels for GPUs do not take {wrong}")))
}

impl Decoder {
    /// An error of a step; after some, such as an access to memory that is not there, the GPU does nothing more for this
    /// process.
    fn step(&self, error: &candle_core::Error) -> GenerateError {
        let reason = first_line(error);
        if is_shortage(error) {
            GenerateError::OutOfMemory { reason }
        } else if self.device.synchronize().is_err() {
            GenerateError::Panicked { reason }
        } else {
            GenerateError::Step { reason }
        }
    }
}

impl Forward for Decoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reserve(&mut self, n_pages: usize) -> std::result::Result<(), GenerateError> {
        const MIB: u64 = 1 << 20;
        self.caches.clear();
        let bytes = (n_pages * PAGE * self.shape.bytes_per_token) as u64;
        let free = self.launcher.free().map_err(|error| failed(&error))?;
        let working = self.working();
        if bytes + working > free {
            let reason = format!(
                "the cache of {n_pages} pages takes {} MiB and a step up to {} MiB, {} MiB are free on the GPU; \
                 ask for a smaller cache",
                bytes / MIB,
                working / MIB,
                free / MIB
            );
            return Err(GenerateError::OutOfMemory { reason });
        }
        let cache = |_| Cache::new(n_pages, &self.heads, self.dtype, &self.device);
        let caches: Result<Vec<Cache>> = (0..self.layers.len()).map(cache).collect();
        self.caches = caches.map_err(|error| self.step(&error))?;
        Ok(())
    }

    fn forward(&mut self, batch: &Batch) -> std::result::Result<Vec<f32>, GenerateError> {
        if !self.checked(batch)? {
            return Ok(Vec::new());
        }
        let spare = std::mem::take(&mut self.spare);
        self.logits(batch, spare).map_err(|error| self.step(&error))
    }

    fn recycle(&mut self, logits: Vec<f32>) {
        if logits.capacity() > self.spare.capacity() {
            self.spare = logits;
        }
    }

    fn hidden(&mut self, batch: &Batch) -> std::result::Result<Vec<f32>, GenerateError> {
        if !self.checked(batch)? {
            return Ok(Vec::new());
        }
        let run = || -> Result<Vec<f32>> {
            let Some(hidden) = self.run(batch)? else {
                return Ok(Vec::new());
            };
            hidden.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        run().map_err(|error| self.step(&error))
    }
}
