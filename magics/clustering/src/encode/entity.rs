//! Learned embeddings of answers and rows without a target: each hidden answer is predicted from the others.

mod head;
mod net;
#[cfg(test)]
mod tests;
mod train;

use crate::{ClusteringError, Stop, Watch};
use net::{Layout, Net};

/// The code of an answer that was not given.
pub(crate) const MISSING: u32 = u32::MAX;

/// Rows that are encoded at once.
const CHUNK: usize = 2048;

/// A fitted encoder: an embedding of each level, and a small net from the answers of a row to its vector.
///
/// A row is the sum of its answers' embeddings over the square root of their number, plus a one-layer perceptron of
/// that; the scalar product with an output vector per level gives the logits of the hidden answers (entity embeddings,
/// Guo and Berkhahn 2016, with the masked prediction of BERT, Devlin et al. 2019, in place of a target). Vectors are
/// given in the metric of the Fisher information at the observed shares of the levels: the squared distance of two
/// rows is, to second order, twice the divergence of the answers that they predict, whatever basis the net has found.
pub struct Entity {
    net: Net,
    metric: Vec<f32>,
    losses: Vec<f64>,
    stop: Stop,
}

/// Answers of `n` rows to `q` questions.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Row-major `n × q`: the level within its question, or [`MISSING`].
    pub codes: &'a [u32],
    /// Number of levels of each question.
    pub levels: &'a [usize],
}

/// What a person can choose about learned embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityOptions {
    /// Dimensions of the vectors.
    pub dim: usize,
    /// Passes over the rows at most.
    pub max_epochs: usize,
    /// Passes without a lower held-out loss after which it ends.
    pub patience: usize,
    /// Rows in a mini-batch.
    pub batch: usize,
    /// Step of Adam.
    pub learning_rate: f32,
    /// Least and greatest share of a row's answers that are hidden in training; drawn for each row.
    pub hidden: (f32, f32),
    /// Seed of all random choices; same seed, same bits, for any number of threads.
    pub seed: u64,
}

impl Default for EntityOptions {
    fn default() -> EntityOptions {
        EntityOptions {
            dim: 32,
            max_epochs: 100,
            patience: 5,
            batch: 256,
            learning_rate: 0.005,
            hidden: (0.1, 0.9),
            seed: 0,
        }
    }
}

impl Entity {
    /// Learns from `answers`; a stop by the user keeps the best so far. One pass takes `O(n·q·dim)` for the inputs and
    /// `O(n·V·dim)` for the predictions.
    ///
    /// # Errors
    /// [`ClusteringError::Stopped`] before the first pass has ended, sizes that do not fit, a code beyond its levels, no answer at all, or a failure of the tensor library.
    pub fn fit(
        answers: &Answers,
        options: &EntityOptions,
        watch: &dyn Watch,
    ) -> Result<Entity, ClusteringError> {
        let layout = Layout::new(answers.levels, options.dim);
        layout.check(answers.codes)?;
        let trained = train::train(answers.codes, layout, options, watch)?;
        Ok(Entity {
            metric: trained.net.fisher_root(&trained.shares),
            net: trained.net,
            losses: trained.losses,
            stop: trained.stop,
        })
    }

    /// Vectors of rows, row-major `n × dim`; also of rows that were not learned from.
    ///
    /// # Errors
    /// Other questions than those learned, a code beyond its levels, or [`ClusteringError::Stopped`].
    pub fn rows(&self, answers: &Answers, watch: &dyn Watch) -> Result<Vec<f32>, ClusteringError> {
        let layout = &self.net.layout;
        if answers.levels != layout.levels {
            return Err(ClusteringError::Shape {
                what: "levels of all questions".to_owned(),
                found: answers.levels.iter().sum(),
                wanted: self.net.biases.len(),
            });
        }
        let n_rows = layout.check(answers.codes)?;
        let mut vectors = Vec::with_capacity(n_rows * layout.dim);
        for codes in answers.codes.chunks(CHUNK * layout.levels.len()) {
            if watch.stopped() {
                return Err(ClusteringError::Stopped);
            }
            vectors.extend(self.net.encode(codes, &self.metric)?);
            watch.step(vectors.len() / layout.dim, n_rows, "encoding rows");
        }
        Ok(vectors)
    }

    /// Vectors of levels, row-major `V × dim`, those of the first question first: where a row with this answer only
    /// would be.
    ///
    /// # Errors
    /// A failure of the tensor library.
    pub fn levels(&self) -> Result<Vec<f32>, ClusteringError> {
        let layout = &self.net.layout;
        let questions = layout.levels.len();
        let mut vectors = Vec::with_capacity(self.net.biases.len() * layout.dim);
        for (question, &n_levels) in layout.levels.iter().enumerate() {
            let mut codes = vec![MISSING; n_levels * questions];
            for level in 0..n_levels {
                codes[level * questions + question] = level as u32;
            }
            vectors.extend(self.net.encode(&codes, &self.metric)?);
        }
        Ok(vectors)
    }

    /// Dimensions of the vectors.
    pub fn dim(&self) -> usize {
        self.net.layout.dim
    }

    /// Mean loss on the held-out rows in nats per answer: before learning, when all levels are predicted by their shares,
    /// and after each pass.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// Why the learning ended.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// Bytes that learning and encoding `n_rows` rows need at most, the codes not counted.
    pub fn memory(n_rows: usize, levels: &[usize], options: &EntityOptions) -> u64 {
        let (n_levels, questions, dim) = (levels.iter().sum::<usize>(), levels.len(), options.dim);
        let widest = levels.iter().copied().max().unwrap_or(0);
        // Tables, their gradients, two moments each, the best so far, and its successor.
        let tables = n_levels * (2 * dim + 1) * 6;
        let head = options.batch * questions * (dim + 2);
        let logits = 3 * options.batch * widest * rayon::current_num_threads().min(questions);
        let result = n_rows * (dim + 1) + 2 * n_levels * dim;
        4 * (tables + head + logits + result) as u64
    }
}
