//! The first centroids.

use super::chance::{generator, of_row};
use super::lloyd::Source;
use super::plus_plus;
use super::rows::{Rows, normalise};
use crate::dense::Dense;
use crate::error::ClusteringError;
use crate::options::{Init, Metric, Options};
use crate::points::Points;
use crate::watch::{Silent, Watch};

/// Passes of k-means‖; Bahmani et al. find that five suffice.
const ROUNDS: u64 = 5;
/// Candidates of one pass, as a multiple of the clusters.
const OVERSAMPLING: f64 = 2.0;
/// Purposes of random numbers.
const RANDOM: u64 = 1;
const PARALLEL: u64 = 2;
const REDUCE: u64 = 3;

/// Chooses first centroids of rows in memory.
pub(super) fn centroids<P: Points>(
    rows: &Rows<P>,
    options: &Options,
    start: usize,
    watch: &dyn Watch,
) -> Result<Vec<f32>, ClusteringError> {
    let mut source = rows;
    match options.init {
        Init::PlusPlus => plus_plus::choose(rows, options.k, options.seed, start, watch),
        _ => streamed(&mut source, options, start, watch),
    }
}

/// Chooses first centroids in a few passes; where that needs one pass for each centroid, k-means‖ stands in.
pub(super) fn streamed(
    source: &mut dyn Source,
    options: &Options,
    start: usize,
    watch: &dyn Watch,
) -> Result<Vec<f32>, ClusteringError> {
    match &options.init {
        Init::Given(centroids) => given(centroids, options, source.dims()),
        Init::Random => random(source, options.k, options.seed, start),
        Init::PlusPlus | Init::Parallel => parallel(source, options, start, watch),
    }
}

fn given(centroids: &[f32], options: &Options, dims: usize) -> Result<Vec<f32>, ClusteringError> {
    let wanted = options.k * dims;
    if centroids.len() != wanted {
        return Err(ClusteringError::Shape {
            what: "values of the given centroids".to_owned(),
            found: centroids.len(),
            wanted,
        });
    }
    let mut centroids = Dense::new(centroids, dims)?.into_values();
    if options.metric == Metric::Cosine {
        centroids.chunks_exact_mut(dims).for_each(normalise);
    }
    Ok(centroids)
}

/// Rows without repetition, the heavy ones more often (Efraimidis and Spirakis 2006).
fn random(
    source: &mut dyn Source,
    k: usize,
    seed: u64,
    start: usize,
) -> Result<Vec<f32>, ClusteringError> {
    let seed = generator(seed, start, RANDOM).u64(..);
    let key = |row: usize| -of_row(seed, row).ln() / source.weight(row);
    let mut keys: Vec<(f64, usize)> = (0..source.rows()).map(|row| (key(row), row)).collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if k < keys.len() {
        keys.select_nth_unstable_by(k, order);
        keys.truncate(k);
    }
    let mut rows: Vec<usize> = keys.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    source.fetch(&rows)
}

/// k-means‖ (Bahmani et al. 2012): each pass takes far rows as candidates, k-means++ chooses among them by weight.
fn parallel(
    source: &mut dyn Source,
    options: &Options,
    start: usize,
    watch: &dyn Watch,
) -> Result<Vec<f32>, ClusteringError> {
    let (n_rows, dims, k) = (source.rows(), source.dims(), options.k);
    let mut candidates = random(source, 1, options.seed, start)?;
    let (mut distances, mut owners) = (vec![f32::INFINITY; n_rows], vec![0; n_rows]);
    let mut generator = generator(options.seed, start, PARALLEL);
    source.approach(&candidates, 0, &mut distances, &mut owners, watch)?;
    for round in 0..ROUNDS {
        let (seed, take) = (generator.u64(..), OVERSAMPLING * k as f64);
        let far = |row: usize| source.weight(row) * f64::from(distances[row]);
        let total: f64 = (0..n_rows).map(far).sum();
        if total <= 0.0 {
            break;
        }
        let chosen: Vec<usize> = (0..n_rows)
            .filter(|&row| of_row(seed, row) < take * far(row) / total)
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let more = source.fetch(&chosen)?;
        let first = (candidates.len() / dims) as u32;
        source.approach(&more, first, &mut distances, &mut owners, watch)?;
        candidates.extend(more);
        watch.step(
            round as usize + 1,
            ROUNDS as usize,
            "choosing first centroids",
        );
    }
    let count = candidates.len() / dims;
    if count <= k {
        return filled(source, candidates, options, start);
    }
    let mut weights = vec![0.0_f64; count];
    (0..n_rows).for_each(|row| weights[owners[row] as usize] += source.weight(row));
    let weights: Vec<f32> = weights.into_iter().map(|weight| weight as f32).collect();
    let dense = Dense::new(candidates, dims)?;
    let rows = Rows::new(&dense, Some(&weights), options.metric)?;
    let seed = options.seed ^ REDUCE;
    plus_plus::choose(&rows, k, seed, start, &Silent)
}

/// Few candidates are all taken, and rows by chance.
fn filled(
    source: &mut dyn Source,
    mut candidates: Vec<f32>,
    options: &Options,
    start: usize,
) -> Result<Vec<f32>, ClusteringError> {
    let missing = options.k - candidates.len() / source.dims();
    if missing > 0 {
        candidates.extend(random(source, missing, options.seed ^ REDUCE, start)?);
    }
    Ok(candidates)
}
