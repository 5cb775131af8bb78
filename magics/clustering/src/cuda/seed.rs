//! First centroids: the card measures, the host draws.

use fastrand::Rng;

use super::Precision;
use super::data::{BLOCK, Data, Spot, TRIALS};
use super::dense::Dense;
use super::engine::{Argument, Launch, Memory};
use super::error::CudaError;
use super::model::{Model, padded, sum_columns};
use super::plan::Plan;
use crate::error::ClusteringError;
use crate::options::{Init, Metric, Options};
use crate::watch::{Silent, Watch};

/// Rounds of k-means‖, and how many times k rows are drawn in each.
const ROUNDS: usize = 5;
const OVERSAMPLING: usize = 2;
/// All bytes of a large finite f32 (3.4e38): no distance is known yet.
const FAR: u8 = 0x7f;

/// Centroids to start from, k × columns.
pub(super) fn centroids(
    data: &dyn Data,
    options: &Options,
    start: usize,
    watch: &dyn Watch,
) -> Result<Vec<f32>, CudaError> {
    let mut rng =
        Rng::with_seed(options.seed ^ (start as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let rows = match &options.init {
        Init::Given(centroids) => return given(data, centroids, options.k),
        Init::Random => random(data, options.k, &mut rng),
        Init::Parallel if data.candidates() => return parallel(data, options.k, &mut rng, watch),
        // With codes a look at all rows costs little, and candidates would have to be weighed.
        Init::Parallel | Init::PlusPlus => plus_plus(data, options.k, &mut rng, watch)?,
    };
    Ok(rows
        .into_iter()
        .flat_map(|row| data.row(row as usize))
        .collect())
}

fn given(data: &dyn Data, centroids: &[f32], k: usize) -> Result<Vec<f32>, CudaError> {
    let wanted = k * data.columns();
    if centroids.len() != wanted {
        return Err(ClusteringError::Shape {
            what: "first centroids".to_owned(),
            found: centroids.len(),
            wanted,
        }
        .into());
    }
    let mut centroids = centroids.to_vec();
    if data.metric() == Metric::Cosine {
        centroids
            .chunks_exact_mut(data.columns())
            .for_each(super::normalise);
    }
    Ok(centroids)
}

/// Rows drawn without repetition.
fn random(data: &dyn Data, k: usize, rng: &mut Rng) -> Vec<u32> {
    let n_rows = data.stream().n_rows();
    let mut chosen = std::collections::BTreeSet::new();
    // Floyd's algorithm: k draws for any number of rows.
    for last in n_rows - k..n_rows {
        let row = rng.usize(..=last) as u32;
        if !chosen.insert(row) {
            chosen.insert(last as u32);
        }
    }
    chosen.into_iter().collect()
}

/// Greedy k-means++ (Arthur and Vassilvitskii 2007), `2 + ⌊ln k⌋` trials a centroid: 2k passes over the rows.
fn plus_plus(
    data: &dyn Data,
    k: usize,
    rng: &mut Rng,
    watch: &dyn Watch,
) -> Result<Vec<u32>, CudaError> {
    let chances = Chances::new(data)?;
    let n_trials = (2 + (k as f64).ln() as usize).min(TRIALS);
    let mut rows = vec![chances.first(rng)];
    chances.keep(rows[0], watch)?;
    while rows.len() < k {
        watch.step(rows.len(), k, "first centroids");
        let trials = chances.draw(n_trials, rng)?;
        if trials.is_empty() {
            // All rows lie on a centroid: any will do.
            rows.push(rng.usize(..data.stream().n_rows()) as u32);
            continue;
        }
        let best = if trials.len() == 1 {
            trials[0]
        } else {
            chances.best(&trials, watch)?
        };
        chances.keep(best, watch)?;
        rows.push(best);
    }
    Ok(rows)
}

/// k-means‖ (Bahmani et al. 2012): five rounds draw 2k rows each; weighed by the rows that are nearest to them, greedy
/// k-means++ chooses among them.
fn parallel(
    data: &dyn Data,
    k: usize,
    rng: &mut Rng,
    watch: &dyn Watch,
) -> Result<Vec<f32>, CudaError> {
    let chances = Chances::new(data)?;
    let mut rows = std::collections::BTreeSet::from([chances.first(rng)]);
    for &row in &rows {
        chances.keep(row, watch)?;
    }
    for round in 0..ROUNDS {
        watch.step(round, ROUNDS, "candidates for first centroids");
        let mut new = chances.draw(OVERSAMPLING * k, rng)?;
        new.sort_unstable();
        new.dedup();
        new.retain(|&row| rows.insert(row));
        if new.is_empty() {
            break;
        }
        chances.approach(&new, watch)?;
    }
    let rows: Vec<u32> = rows.into_iter().collect();
    if rows.len() < k {
        let rows = plus_plus(data, k, rng, watch)?;
        return Ok(rows
            .into_iter()
            .flat_map(|row| data.row(row as usize))
            .collect());
    }
    let candidates: Vec<f32> = rows
        .iter()
        .flat_map(|&row| data.row(row as usize))
        .collect();
    let weights = chances.followers(&rows, watch)?;
    choose(data, &candidates, &weights, k, rng)
}

/// k-means++ among weighted candidates, on the card as well.
fn choose(
    data: &dyn Data,
    candidates: &[f32],
    weights: &[f32],
    k: usize,
    rng: &mut Rng,
) -> Result<Vec<f32>, CudaError> {
    let columns = data.columns();
    let form = Dense::form(columns, Metric::L2, Precision::F32);
    let plan = Plan::new(columns, k, (0, 0), u64::MAX);
    let kind = (Metric::L2, Precision::F32);
    let table = Dense::new(
        data.engine(),
        (candidates, Some(weights)),
        form,
        kind,
        plan,
        &Silent,
    )?;
    let table = table.ok_or(ClusteringError::Stopped)?;
    let rows = plus_plus(&table, k, rng, &Silent)?;
    Ok(rows
        .into_iter()
        .flat_map(|row| candidates[row as usize * columns..][..columns].to_vec())
        .collect())
}

/// How far each row is from the centroids so far, which is how likely it is drawn.
struct Chances<'d> {
    data: &'d dyn Data,
    closest: Memory,
    /// Σ w·closest of each block of rows, f64; for trials, one for each.
    potentials: Memory,
    totals: Memory,
}

impl<'d> Chances<'d> {
    fn new(data: &'d dyn Data) -> Result<Chances<'d>, CudaError> {
        let engine = data.engine();
        let n_rows = data.stream().n_rows();
        let closest = Memory::of::<f32>(engine, n_rows)?;
        closest.fill(FAR)?;
        Ok(Chances {
            closest,
            potentials: Memory::of::<f64>(engine, n_rows.div_ceil(BLOCK) * TRIALS)?,
            totals: Memory::of::<f64>(engine, TRIALS)?,
            data,
        })
    }

    /// The first row, drawn by weight.
    fn first(&self, rng: &mut Rng) -> u32 {
        let n_rows = self.data.stream().n_rows();
        let total: f64 = (0..n_rows).map(|row| self.data.weight(row)).sum();
        let mut rest = rng.f64() * total;
        for row in 0..n_rows {
            rest -= self.data.weight(row);
            if rest < 0.0 {
                return row as u32;
            }
        }
        n_rows as u32 - 1
    }

    fn weigh(&self, rows: &[u32], keep: bool, watch: &dyn Watch) -> Result<(), CudaError> {
        let trials = Memory::holding(self.data.engine(), &self.data.trials(rows))?;
        let spot = Spot {
            closest: self.closest.place(),
            potentials: self.potentials.place(),
            keep,
        };
        let work = &mut |chunk| self.data.weigh(chunk, trials.place(), rows.len(), spot);
        if self.data.stream().pass(watch, work)? {
            Ok(())
        } else {
            Err(ClusteringError::Stopped.into())
        }
    }

    /// Adds a row to the centroids so far.
    fn keep(&self, row: u32, watch: &dyn Watch) -> Result<(), CudaError> {
        self.weigh(&[row], true, watch)
    }

    /// The one of ≤ [`TRIALS`] rows that would leave the least potential, the first of equals.
    fn best(&self, trials: &[u32], watch: &dyn Watch) -> Result<u32, CudaError> {
        self.weigh(trials, false, watch)?;
        let blocks = self.data.stream().n_rows().div_ceil(BLOCK);
        sum_columns(
            self.data.engine(),
            self.potentials.place(),
            blocks,
            trials.len(),
            self.totals.place(),
        )?;
        let totals: Vec<f64> = self.totals.read(0, trials.len())?;
        let best = (0..trials.len())
            .min_by(|&a, &b| totals[a].total_cmp(&totals[b]))
            .unwrap_or(0);
        // `weigh` left the trials' potentials where those of the closest distances stood; `keep` comes next.
        Ok(trials[best])
    }

    /// Draws rows, each with a chance in proportion to w·closest; none if all of that is zero.
    fn draw(&self, count: usize, rng: &mut Rng) -> Result<Vec<u32>, CudaError> {
        let n_rows = self.data.stream().n_rows();
        let blocks: Vec<f64> = self.potentials.read(0, n_rows.div_ceil(BLOCK))?;
        let mut running = Vec::with_capacity(blocks.len());
        let mut total = 0.0;
        for block in &blocks {
            total += block;
            running.push(total);
        }
        if total <= 0.0 {
            return Ok(Vec::new());
        }
        let mut chosen: Vec<(u32, f64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let target = rng.f64() * total;
            let block = running
                .partition_point(|&end| end <= target)
                .min(blocks.len() - 1);
            chosen.push((
                block as u32,
                target - if block == 0 { 0.0 } else { running[block - 1] },
            ));
        }
        self.pick(&chosen)
    }

    /// The rows where the running sums within blocks pass the rests.
    fn pick(&self, chosen: &[(u32, f64)]) -> Result<Vec<u32>, CudaError> {
        let engine = self.data.engine();
        let (blocks, rests): (Vec<u32>, Vec<f64>) = chosen.iter().copied().unzip();
        let blocks = Memory::holding(engine, &blocks)?;
        let rests = Memory::holding(engine, &rests)?;
        let picked = Memory::of::<u32>(engine, chosen.len())?;
        let arguments: [Argument; 7] = [
            self.closest.place().into(),
            self.data.weights().into(),
            (self.data.stream().n_rows() as u32).into(),
            blocks.place().into(),
            rests.place().into(),
            (chosen.len() as u32).into(),
            picked.place().into(),
        ];
        engine.launch(
            Launch::of("pick_rows", chosen.len().div_ceil(64), 64),
            &arguments,
        )?;
        picked.read(0, chosen.len())
    }

    /// A model whose centroids are rows.
    fn model(&self, rows: &[u32]) -> Result<Model, CudaError> {
        let data = self.data;
        let sizes = (data.stream().n_rows(), data.chunk());
        let model = Model::new(
            data.engine(),
            sizes,
            (rows.len(), data.width()),
            data.reduced(),
            Metric::L2,
        )?;
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|&row| data.row(row as usize))
            .collect();
        model
            .current
            .write(&padded(&values, data.columns(), data.width()))?;
        Ok(model)
    }

    fn assign(&self, model: &Model, watch: &dyn Watch) -> Result<(), CudaError> {
        let grouping = self.data.grouping(model.k, false)?;
        model.ready()?;
        let whole = self
            .data
            .stream()
            .pass(watch, &mut |chunk| grouping.assign(model, chunk))?;
        if whole {
            Ok(())
        } else {
            Err(ClusteringError::Stopped.into())
        }
    }

    /// Adds rows to the centroids so far, by the kernel that assigns.
    fn approach(&self, rows: &[u32], watch: &dyn Watch) -> Result<(), CudaError> {
        let model = self.model(rows)?;
        self.assign(&model, watch)?;
        let n_rows = self.data.stream().n_rows();
        let count = Argument::from(n_rows as u32);
        let arguments: [Argument; 4] = [
            model.scores.place().into(),
            self.data.squares().place().into(),
            count,
            self.closest.place().into(),
        ];
        let blocks = n_rows.div_ceil(BLOCK);
        self.data
            .engine()
            .launch(Launch::of("nearer", blocks, 256), &arguments)?;
        let arguments: [Argument; 4] = [
            self.closest.place().into(),
            self.data.weights().into(),
            count,
            self.potentials.place().into(),
        ];
        self.data
            .engine()
            .launch(Launch::of("sum_closest", blocks, 256), &arguments)
    }

    /// Weight of the rows that are nearest to each of `rows`.
    fn followers(&self, rows: &[u32], watch: &dyn Watch) -> Result<Vec<f32>, CudaError> {
        let model = self.model(rows)?;
        self.assign(&model, watch)?;
        let labels: Vec<u32> = model.labels.read(0, self.data.stream().n_rows())?;
        let mut weights = vec![0.0; rows.len()];
        for (row, label) in labels.into_iter().enumerate() {
            weights[label as usize] += self.data.weight(row);
        }
        Ok(weights
            .into_iter()
            .map(|weight: f64| weight as f32)
            .collect())
    }
}
