//! K-means on a CUDA card, in the ordinary program: driver, NVRTC and cuBLAS are looked for at run time.
//!
//! The kernels are CUDA C, compiled for the card when it is first used. Nearest centroids are found without the n × k
//! matrix (`FlashAssign`, arXiv 2603.09229) on the tensor cores, near ties again in f32; sums are taken over sorted rows,
//! so the same seed gives the same bits on the same card. Tests run the same sources on the CPU.

mod answers;
mod assign;
mod card;
mod check;
mod data;
mod dense;
mod engine;
mod error;
mod hopper;
mod libraries;
mod lloyd;
mod model;
mod plan;
mod seed;
mod sorted;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod tiled;

use std::path::PathBuf;
use std::rc::Rc;

use answers::Coded;
use data::Data;
use dense::Dense;
use engine::Engine;
pub use error::{CudaError, Unavailable};
pub use libraries::Device;
use lloyd::Found;
use plan::Plan;

use crate::error::ClusteringError;
use crate::fit::{Fit, Stop};
use crate::options::{Init, Options};
use crate::watch::Watch;

/// How exactly distances are computed. Near ties are always decided in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 without tensor cores.
    F32,
    /// Products rounded to TF32 (10 bits of mantissa; on Hopper f16 with as many, each row scaled); on a card without such
    /// tensor cores, the same as `F32`.
    #[default]
    Tf32,
    /// Rows are kept as bf16 (7 bits of mantissa), in half the memory: what is clustered are the rounded rows.
    Bf16,
}

/// How a card is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How exactly distances are computed.
    pub precision: Precision,
    /// Bytes of the card's memory that are taken at most.
    pub memory: Option<u64>,
    /// Folders with NVRTC and cuBLAS, beside those that the system searches.
    pub libraries: Vec<PathBuf>,
}

/// Dense rows.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row-major n × dims, finite.
    pub values: &'a [f32],
    /// Columns.
    pub dims: usize,
    /// How often each row counts, at least 0; `None`: once.
    pub weights: Option<&'a [f32]>,
}

/// Answers to questions, each one of some levels.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Row-major n × questions: a level of the question, or [`Answers::MISSING`].
    pub codes: &'a [u32],
    /// Levels of each question; their sum is the number of one-hot columns.
    pub levels: &'a [usize],
    /// What each one-hot column holds where its level was answered; `None`: 1.
    pub scales: Option<&'a [f32]>,
}

impl Answers<'_> {
    /// No answer: all one-hot columns of the question are 0.
    pub const MISSING: u32 = u32::MAX;
}

/// Asks for driver, NVRTC, cuBLAS and a card, in this order. Works, and never panics, where there is none.
pub fn available(settings: &Settings) -> Result<Device, Unavailable> {
    libraries::available(&settings.libraries)
}

/// Groups dense rows into `options.k` clusters (Lloyd 1982) on the first card; the CPU driver's semantics.
///
/// O(n · k · dims) an iteration. Rows that do not fit on the card are sent to it in each pass. Stopped by the user, it
/// gives the best so far with [`Stop::Interrupted`], or [`ClusteringError::Stopped`] before there is any.
pub fn fit(
    rows: &Rows<'_>,
    options: &Options,
    settings: &Settings,
    watch: &dyn Watch,
) -> Result<Fit, CudaError> {
    check::rows(rows, options)?;
    let engine = card::Card::open(&settings.libraries, settings.memory)?;
    fit_on(&engine, rows, options, settings.precision, watch)
}

/// The same for answers, whose one-hot rows are never made; the precision is f32.
pub fn fit_answers(
    answers: &Answers<'_>,
    options: &Options,
    settings: &Settings,
    watch: &dyn Watch,
) -> Result<Fit, CudaError> {
    let codes = check::answers(answers, options)?;
    let engine = card::Card::open(&settings.libraries, settings.memory)?;
    fit_answers_on(&engine, answers, &codes, options, watch)
}

fn fit_on(
    engine: &Rc<dyn Engine>,
    rows: &Rows<'_>,
    options: &Options,
    precision: Precision,
    watch: &dyn Watch,
) -> Result<Fit, CudaError> {
    if precision == Precision::Bf16 && !engine.has_tensor_cores() {
        return Err(CudaError::Unsupported {
            what: "bf16 (compute capability 8.0 has it)",
        });
    }
    let form = Dense::form(rows.dims, options.metric, precision);
    let n_rows = rows.values.len() / rows.dims;
    let bytes = (n_rows * (form.bytes() + 32)) as u64;
    let reads = engine.has_hopper() && precision != Precision::F32;
    let block = reads.then(|| hopper::Block::new(rows.dims)).flatten();
    let copies = block.map_or(0, |block| (block.room(n_rows) * 16) as u64);
    let plan = Plan::new(form.sent, options.k, (bytes, copies), engine.free()?);
    shrinking(plan, n_rows, watch, |plan| {
        let kind = (options.metric, precision);
        let data = Dense::new(engine, (rows.values, rows.weights), form, kind, plan, watch)?;
        starts(&data.ok_or(ClusteringError::Stopped)?, options, watch)
    })
}

fn fit_answers_on(
    engine: &Rc<dyn Engine>,
    answers: &Answers<'_>,
    codes: &[u32],
    options: &Options,
    watch: &dyn Watch,
) -> Result<Fit, CudaError> {
    let questions = answers.levels.len();
    let ones = vec![1.0; answers.levels.iter().sum()];
    let scales = answers.scales.unwrap_or(&ones);
    let n_rows = codes.len() / questions;
    let plan = Plan::new(
        questions,
        options.k,
        ((n_rows * (questions * 4 + 32)) as u64, 0),
        engine.free()?,
    );
    shrinking(plan, n_rows, watch, |plan| {
        let data = Coded::new(engine, (codes, questions), scales, plan, watch)?;
        starts(&data.ok_or(ClusteringError::Stopped)?, options, watch)
    })
}

/// Works by a plan, and by smaller and smaller ones where the card has no room.
fn shrinking(
    mut plan: Plan,
    n_rows: usize,
    watch: &dyn Watch,
    mut work: impl FnMut(Plan) -> Result<Fit, CudaError>,
) -> Result<Fit, CudaError> {
    loop {
        match work(plan) {
            Err(error @ CudaError::OutOfMemory { .. }) => plan = plan.smaller().ok_or(error)?,
            done => return done,
        }
        let instead = if plan.resident {
            "without a second copy of the rows".to_owned()
        } else {
            format!("with {} rows at a time", plan.rows().min(n_rows))
        };
        let what = format!("the card has no room: going on {instead}");
        watch.step(0, n_rows, &what);
    }
}

/// All starts; the one with the least inertia is kept.
fn starts(data: &dyn Data, options: &Options, watch: &dyn Watch) -> Result<Fit, CudaError> {
    let tolerance = if options.tolerance > 0.0 {
        options.tolerance * data.variance(watch)?.ok_or(ClusteringError::Stopped)?
    } else {
        -1.0
    };
    let given = matches!(options.init, Init::Given(_));
    let mut best: Option<Found> = None;
    for start in 0..if given { 1 } else { options.n_init.max(1) } {
        let found = seed::centroids(data, options, start, watch)
            .and_then(|centroids| lloyd::run(data, &centroids, start, tolerance, options, watch));
        let found = match found {
            Err(CudaError::Clustering(ClusteringError::Stopped)) if best.is_some() => {
                best = best.map(Found::interrupted);
                break;
            }
            found => found?,
        };
        let interrupted = found.stop == Stop::Interrupted;
        if best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia)
        {
            best = Some(found);
        }
        if interrupted {
            best = best.map(Found::interrupted);
            break;
        }
    }
    let found = best.ok_or(ClusteringError::Stopped)?;
    Ok(into_fit(data, found, options))
}

fn into_fit(data: &dyn Data, found: Found, options: &Options) -> Fit {
    let distinct = if found.sizes.contains(&0) {
        distinct(data, options.k)
    } else {
        None
    };
    Fit {
        labels: found.labels,
        centroids: found.centroids,
        k: options.k,
        dims: data.columns(),
        metric: options.metric,
        inertia: found.inertia,
        sizes: found.sizes,
        iterations: found.iterations,
        stop: found.stop,
        distinct,
    }
}

/// Distinct rows, if there are fewer than `k`.
fn distinct(data: &dyn Data, k: usize) -> Option<usize> {
    let mut seen = std::collections::HashSet::new();
    for row in 0..data.stream().n_rows() {
        seen.insert(
            data.row(row)
                .into_iter()
                .map(|value| (value + 0.0).to_bits())
                .collect::<Vec<u32>>(),
        );
        if seen.len() >= k {
            return None;
        }
    }
    Some(seen.len())
}

/// Scales to length 1; zeros stay.
fn normalise(values: &mut [f32]) {
    let length = values
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        for value in values {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}
