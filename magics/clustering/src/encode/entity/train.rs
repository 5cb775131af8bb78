//! The learning: mini-batches with hidden answers, Adam, and a stop when held-out rows no longer gain.

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rayon::prelude::*;

use super::head::{self, Gradients, Loss};
use super::net::{Layout, Net};
use super::{EntityOptions, MISSING};
use crate::{ClusteringError, Stop, Watch};

/// One of this many rows is held out, up to so many.
const HELD_OUT: (usize, usize) = (10, 5000);
/// Parts of a held-out row's answers; each part in turn is predicted from the others.
const FOLDS: u32 = 4;
/// Batches between two looks at the held-out rows at least; few rows are passed over several times.
const LEAST_BATCHES: usize = 40;

/// What learning ends with.
pub(super) struct Trained {
    pub(super) net: Net,
    /// Share of each level among the answers to its question.
    pub(super) shares: Vec<f32>,
    /// Mean loss on the held-out rows before learning, when all levels are predicted by their shares, and after each pass.
    pub(super) losses: Vec<f64>,
    pub(super) stop: Stop,
}

/// Learns until the held-out loss has not fallen for `patience` passes; the best parameters are kept.
pub(super) fn train(
    codes: &[u32],
    layout: Layout,
    options: &EntityOptions,
    watch: &dyn Watch,
) -> Result<Trained, ClusteringError> {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let (questions, shares) = (layout.levels.len(), shares(codes, &layout));
    let mut rows: Vec<usize> = (0..codes.len() / questions).collect();
    rng.shuffle(&mut rows);
    let to_learn = rows.split_off((rows.len() / HELD_OUT.0).clamp(1, HELD_OUT.1));
    let held_out = gather(codes, &rows, questions);
    let fold = |at| (at % questions) as u32 % FOLDS;
    let mut folds: Vec<u32> = (0..held_out.len()).map(fold).collect();
    folds
        .chunks_mut(questions)
        .for_each(|folds| rng.shuffle(folds));
    let mut learner = Learner::new(Net::new(layout, &shares, &mut rng)?, options)?;
    let before = learner
        .held_out(&held_out, &folds, watch)?
        .ok_or(ClusteringError::Stopped)?;
    let (net, losses) = (learner.net.copy()?, vec![before]);
    let mut trained = Trained {
        net,
        shares,
        losses,
        stop: Stop::MaxIter,
    };
    let mut best = (f64::INFINITY, 0);
    for number in 1..=options.max_epochs {
        learner.pass(codes, &to_learn, &mut rng, watch)?;
        let Some(loss) = learner.held_out(&held_out, &folds, watch)? else {
            trained.stop = Stop::Interrupted;
            break;
        };
        trained.losses.push(loss);
        if loss < best.0 {
            best = (loss, number);
            trained.net = learner.net.copy()?;
        }
        let what = format!(
            "held-out loss {loss:.4}, best {:.4}, before {before:.4}",
            best.0
        );
        watch.step(number, options.max_epochs, &what);
        if number >= best.1 + options.patience {
            trained.stop = Stop::Settled;
            break;
        }
    }
    if best.1 == 0 {
        Err(ClusteringError::Stopped)
    } else {
        Ok(trained)
    }
}

/// A net in training.
struct Learner<'a> {
    net: Net,
    options: &'a EntityOptions,
    gradients: Gradients,
    tables: [Adam; 3],
    middle: AdamW,
}

/// What one batch gave on its way forward.
struct Forward {
    bags: Var,
    scales: Vec<f32>,
    vectors: Tensor,
    loss: Loss,
}

impl Learner<'_> {
    fn new(net: Net, options: &EntityOptions) -> candle_core::Result<Learner<'_>> {
        let (wide, narrow) = (net.inputs.len(), net.biases.len());
        let lr = f64::from(options.learning_rate);
        let parameters = ParamsAdamW {
            lr,
            ..ParamsAdamW::default()
        };
        let [inputs, outputs, biases] = [wide, wide, narrow].map(|len| vec![0.0; len]);
        Ok(Learner {
            gradients: Gradients {
                inputs,
                outputs,
                biases,
            },
            tables: [wide, wide, narrow].map(Adam::new),
            middle: AdamW::new(net.middle.0.to_vec(), parameters)?,
            net,
            options,
        })
    }

    /// One pass over the rows in a new order, which ends early if the user wants it.
    fn pass(
        &mut self,
        codes: &[u32],
        rows: &[usize],
        rng: &mut fastrand::Rng,
        watch: &dyn Watch,
    ) -> candle_core::Result<()> {
        let questions = self.net.layout.levels.len();
        let batches = rows.len().div_ceil(self.options.batch).max(1);
        let mut rows = rows.to_vec();
        for _ in 0..LEAST_BATCHES.div_ceil(batches) {
            rng.shuffle(&mut rows);
            for rows in rows.chunks(self.options.batch) {
                if watch.stopped() {
                    return Ok(());
                }
                let codes = gather(codes, rows, questions);
                let hidden = hide(&codes, questions, self.options.hidden, rng);
                self.learn(&codes, &hidden)?;
            }
        }
        Ok(())
    }

    /// One step of all parameters.
    fn learn(&mut self, codes: &[u32], hidden: &[bool]) -> candle_core::Result<()> {
        let Forward {
            bags,
            scales,
            vectors,
            loss,
        } = self.forward(codes, hidden)?;
        if loss.n == 0 {
            return Ok(());
        }
        // This sum has the slope of the loss, so that the library carries it back through the perceptron.
        let slope = Tensor::from_vec(loss.rows, vectors.shape(), &Device::Cpu)?;
        let store = (vectors * slope)?.sum_all()?.backward()?;
        if let Some(slope) = store.get(&bags) {
            let slope = slope.flatten_all()?.to_vec1::<f32>()?;
            let into = &mut self.gradients.inputs;
            self.net.bag_gradient(codes, hidden, &scales, &slope, into);
        }
        self.middle.step(&store)?;
        let (net, rate) = (&mut self.net, self.options.learning_rate);
        let [inputs, outputs, biases] = &mut self.tables;
        inputs.step(&mut net.inputs, &self.gradients.inputs, rate);
        outputs.step(&mut net.outputs, &self.gradients.outputs, rate);
        biases.step(&mut net.biases, &self.gradients.biases, rate);
        Ok(())
    }

    fn forward(&mut self, codes: &[u32], hidden: &[bool]) -> candle_core::Result<Forward> {
        let (bags, scales) = self.net.bag(codes, hidden);
        let bags = Var::from_vec(bags, (scales.len(), self.net.layout.dim), &Device::Cpu)?;
        let vectors = self.net.middle.forward(&bags)?;
        let values = vectors.flatten_all()?.to_vec1::<f32>()?;
        let loss = head::loss(&self.net, codes, hidden, &values, &mut self.gradients)?;
        Ok(Forward {
            bags,
            scales,
            vectors,
            loss,
        })
    }

    /// Mean loss of all answers of held-out rows, each predicted from the other folds, in nats; nothing if the
    /// user stopped it.
    fn held_out(
        &mut self,
        codes: &[u32],
        folds: &[u32],
        watch: &dyn Watch,
    ) -> candle_core::Result<Option<f64>> {
        let (mut sum, mut n) = (0.0, 0);
        let size = self.options.batch * self.net.layout.levels.len();
        for (codes, folds) in codes.chunks(size).zip(folds.chunks(size)) {
            for fold in 0..FOLDS {
                if watch.stopped() {
                    return Ok(None);
                }
                let hidden: Vec<bool> = folds.iter().map(|of| *of == fold).collect();
                let loss = self.forward(codes, &hidden)?.loss;
                (sum, n) = (sum + loss.sum, n + loss.n);
            }
        }
        Ok(Some(sum / n.max(1) as f64))
    }
}

/// Adam (Kingma and Ba 2015) on a plain vector.
struct Adam {
    moments: Vec<[f32; 2]>,
    steps: i32,
}

impl Adam {
    fn new(len: usize) -> Adam {
        Adam {
            moments: vec![[0.0; 2]; len],
            steps: 0,
        }
    }

    fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        self.steps += 1;
        let to_mean = rate / (1.0 - 0.9_f32.powi(self.steps));
        let to_square = 1.0 / (1.0 - 0.999_f32.powi(self.steps));
        let moments = self.moments.par_iter_mut().with_min_len(1 << 14);
        moments
            .zip(values)
            .zip(gradient)
            .for_each(|(([mean, square], value), slope)| {
                *mean += 0.1 * (slope - *mean);
                *square += 0.001 * (slope * slope - *square);
                *value -= to_mean * *mean / ((to_square * *square).sqrt() + 1e-8);
            });
    }
}

/// Hides a random share of each row's answers, at least one.
fn hide(codes: &[u32], questions: usize, share: (f32, f32), rng: &mut fastrand::Rng) -> Vec<bool> {
    let mut hidden = vec![false; codes.len()];
    for (codes, hidden) in codes.chunks(questions).zip(hidden.chunks_mut(questions)) {
        let mut given: Vec<usize> = (0..questions).filter(|at| codes[*at] != MISSING).collect();
        let share = share.0 + (share.1 - share.0) * rng.f32();
        let n_hidden = (share * given.len() as f32).round() as usize;
        rng.shuffle(&mut given);
        given
            .iter()
            .take(n_hidden.max(1))
            .for_each(|question| hidden[*question] = true);
    }
    hidden
}

/// Share of each level among the answers to its question, as if each level had been seen half a time more.
fn shares(codes: &[u32], layout: &Layout) -> Vec<f32> {
    let questions = layout.levels.len();
    let mut counts = vec![0.5_f64; layout.offsets[questions]];
    for (at, code) in codes
        .iter()
        .enumerate()
        .filter(|(_, code)| **code != MISSING)
    {
        counts[layout.offsets[at % questions] + *code as usize] += 1.0;
    }
    for bounds in layout.offsets.windows(2) {
        let levels = &mut counts[bounds[0]..bounds[1]];
        let total: f64 = levels.iter().sum();
        for count in levels.iter_mut() {
            *count /= total;
        }
    }
    counts.into_iter().map(|share| share as f32).collect()
}

fn gather(codes: &[u32], rows: &[usize], questions: usize) -> Vec<u32> {
    rows.iter()
        .flat_map(|row| &codes[row * questions..][..questions])
        .copied()
        .collect()
}
