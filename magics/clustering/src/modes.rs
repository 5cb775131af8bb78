//! k-modes: clusters of answers around the most frequent answers, as a comparison for k-means in an encoded space.

use rayon::prelude::*;

use crate::codes::{Codes, shape};
use crate::error::ClusteringError;
use crate::fit::{Fit, Stop};
use crate::options::Metric;
use crate::points::Points;
use crate::watch::Watch;

/// How the first modes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModesInit {
    /// Answers drawn as often as they occur, then replaced by the nearest row (Huang 1998).
    Huang,
    /// Dense rows that are far from each other (Cao, Liang and Bai 2009); nothing is drawn, one start is enough.
    Cao,
}

/// What a person can choose about k-modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModesOptions {
    /// Number of clusters.
    pub k: usize,
    /// First modes.
    pub init: ModesInit,
    /// Starts; the one with the least cost is kept.
    pub n_init: usize,
    /// Iterations of one start at most.
    pub max_iter: usize,
    /// Seed of all random choices.
    pub seed: u64,
}

impl ModesOptions {
    /// The defaults for `k` clusters.
    pub fn new(k: usize) -> ModesOptions {
        ModesOptions {
            k,
            init: ModesInit::Huang,
            n_init: 10,
            max_iter: 100,
            seed: 0,
        }
    }
}

/// Clusters around modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    /// Cluster of each row.
    pub labels: Vec<u32>,
    /// Most frequent answers, row-major `k × questions`; [`Codes::MISSING`] where most did not answer.
    pub modes: Vec<u32>,
    /// Number of clusters.
    pub k: usize,
    /// Answers that differ from the mode of their cluster, over all rows.
    pub cost: u64,
    /// Iterations of the start that was kept.
    pub iterations: usize,
    /// Why it ended.
    pub stop: Stop,
}

impl Modes {
    /// The cluster of each row of `codes`, by the same questions: the first of those whose mode differs in the fewest answers.
    pub fn predict(&self, codes: &Codes) -> Result<Vec<u32>, ClusteringError> {
        let questions = self.modes.len() / self.k.max(1);
        if codes.questions() != questions {
            return Err(shape("questions", codes.questions(), questions));
        }
        let rows = Rows::new(codes);
        let entries = rows.entries.iter().cycle();
        let modes = self.modes.iter().zip(entries);
        let modes: Vec<u32> = modes
            .map(|(&code, &entries)| code.min(entries as u32 - 1))
            .collect();
        Ok(rows.nearest(&modes))
    }

    /// The same as clusters of one-hot rows: a centroid has a 1 for each answer of its mode, and `inertia` is the number of
    /// answers that differ. `codes` are the rows that were grouped.
    pub fn into_fit(self, codes: &Codes) -> Fit {
        let dims = Points::dims(codes);
        let mut centroids = vec![0.0; self.k * dims];
        let questions = codes.questions();
        for (mode, centroid) in self.modes.chunks(questions).zip(centroids.chunks_mut(dims)) {
            for (question, &code) in mode.iter().enumerate() {
                if code != Codes::MISSING {
                    centroid[codes.offset(question) + code as usize] = 1.0;
                }
            }
        }
        let mut sizes = vec![0; self.k];
        for &label in &self.labels {
            sizes[label as usize] += 1;
        }
        Fit {
            labels: self.labels,
            centroids,
            k: self.k,
            dims,
            metric: Metric::L2,
            inertia: self.cost as f64,
            sizes,
            iterations: self.iterations,
            stop: self.stop,
            distinct: None,
        }
    }
}

/// Groups rows by k-modes (Huang 1998): the distance of two rows is the number of answers in which they differ, a
/// missing answer being an answer of its own. Costs `O(n · k · questions)` an iteration.
pub fn kmodes(
    codes: &Codes,
    options: &ModesOptions,
    watch: &dyn Watch,
) -> Result<Modes, ClusteringError> {
    let n_rows = Points::rows(codes);
    if n_rows == 0 || codes.questions() == 0 {
        return Err(ClusteringError::Empty {
            n_rows,
            dims: codes.questions(),
        });
    }
    if options.k == 0 || options.k > n_rows {
        return Err(ClusteringError::TooFewRows {
            k: options.k,
            n_rows,
        });
    }
    let starts = if options.init == ModesInit::Cao {
        1
    } else {
        options.n_init.max(1)
    };
    let mut best: Option<Modes> = None;
    for start in 0..starts {
        let rows = Rows::new(codes);
        let modes = match options.init {
            ModesInit::Cao => rows.cao(options.k, watch),
            ModesInit::Huang => {
                rows.huang(options.k, options.seed.wrapping_add(start as u64), watch)
            }
        };
        let Some(modes) = modes else {
            return best.ok_or(ClusteringError::Stopped);
        };
        let found = rows.run(modes, options, watch);
        watch.step(start + 1, starts, "k-modes");
        let stopped = found.stop == Stop::Interrupted;
        if best.as_ref().is_none_or(|best| found.cost < best.cost) {
            best = Some(found);
        }
        if stopped {
            return best
                .map(|best| Modes {
                    stop: Stop::Interrupted,
                    ..best
                })
                .ok_or(ClusteringError::Stopped);
        }
    }
    best.ok_or(ClusteringError::Stopped)
}

/// Answers row by row; a missing one is the number of levels.
struct Rows {
    questions: usize,
    /// Levels of each question and one for none.
    entries: Vec<usize>,
    codes: Vec<u32>,
}

impl Rows {
    fn new(codes: &Codes) -> Rows {
        let questions = codes.questions();
        let mut rows = vec![0; Points::rows(codes) * questions];
        for question in 0..questions {
            let mut places = rows[question..].iter_mut().step_by(questions);
            codes.each_answer(question, |code| {
                if let Some(place) = places.next() {
                    *place = code as u32;
                }
            });
        }
        Rows {
            questions,
            entries: (0..questions)
                .map(|question| codes.levels(question) + 1)
                .collect(),
            codes: rows,
        }
    }

    fn run(&self, mut modes: Vec<u32>, options: &ModesOptions, watch: &dyn Watch) -> Modes {
        let mut labels = vec![u32::MAX; self.codes.len() / self.questions];
        let (mut stop, mut iterations) = (Stop::MaxIter, 0);
        for iteration in 1..=options.max_iter.max(1) {
            iterations = iteration;
            let before = std::mem::replace(&mut labels, self.nearest(&modes));
            if before == labels {
                stop = Stop::Settled;
                break;
            }
            if watch.stopped() {
                stop = Stop::Interrupted;
                break;
            }
            self.update(&labels, &mut modes);
        }
        if stop != Stop::Settled {
            labels = self.nearest(&modes);
        }
        let cost = self
            .rows()
            .zip(&labels)
            .map(|(row, &label)| differences(row, self.mode(&modes, label)) as u64)
            .sum();
        let missing = |(at, &code): (usize, &u32)| {
            if code as usize + 1 == self.entries[at % self.questions] {
                Codes::MISSING
            } else {
                code
            }
        };
        Modes {
            labels,
            modes: modes.iter().enumerate().map(missing).collect(),
            k: options.k,
            cost,
            iterations,
            stop,
        }
    }

    fn nearest(&self, modes: &[u32]) -> Vec<u32> {
        let nearest = |row: &[u32]| {
            let distances = modes
                .chunks(self.questions)
                .map(|mode| differences(row, mode));
            distances.zip(0..).min().map_or(0, |(_, label)| label)
        };
        self.codes.par_chunks(self.questions).map(nearest).collect()
    }

    /// The most frequent answers of each cluster; an empty one keeps its mode.
    fn update(&self, labels: &[u32], modes: &mut [u32]) {
        let k = modes.len() / self.questions;
        let of_question = |question: usize| {
            let entries = self.entries[question];
            let mut counts = vec![0_u32; k * entries];
            for (row, &label) in self.rows().zip(labels) {
                counts[label as usize * entries + row[question] as usize] += 1;
            }
            let mode = |counts: &[u32]| {
                let most = counts.iter().max().copied().filter(|&most| most > 0)?;
                counts.iter().position(|&count| count == most)
            };
            counts.chunks(entries).map(mode).collect::<Vec<_>>()
        };
        let found: Vec<Vec<Option<usize>>> = (0..self.questions)
            .into_par_iter()
            .map(of_question)
            .collect();
        for (question, found) in found.iter().enumerate() {
            for (cluster, code) in found.iter().enumerate() {
                if let Some(code) = code {
                    modes[cluster * self.questions + question] = *code as u32;
                }
            }
        }
    }

    /// First modes; none when the user stops it.
    fn huang(&self, k: usize, seed: u64, watch: &dyn Watch) -> Option<Vec<u32>> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let n_rows = self.codes.len() / self.questions;
        let mut taken = vec![false; n_rows];
        let mut modes = Vec::with_capacity(k * self.questions);
        for _ in 0..k {
            if watch.stopped() {
                return None;
            }
            // An answer of a random row is an answer drawn as often as it occurs.
            let drawn: Vec<u32> = (0..self.questions)
                .map(|question| self.codes[rng.usize(..n_rows) * self.questions + question])
                .collect();
            let free = self.rows().enumerate().filter(|(row, _)| !taken[*row]);
            let nearest = free
                .map(|(at, row)| (differences(row, &drawn), at))
                .min()
                .map_or(0, |(_, at)| at);
            taken[nearest] = true;
            modes.extend_from_slice(self.row(nearest));
        }
        Some(modes)
    }

    fn cao(&self, k: usize, watch: &dyn Watch) -> Option<Vec<u32>> {
        let mut density = vec![0_u64; self.codes.len() / self.questions];
        for (question, &entries) in self.entries.iter().enumerate() {
            let mut counts = vec![0_u64; entries];
            for row in self.rows() {
                counts[row[question] as usize] += 1;
            }
            density
                .iter_mut()
                .zip(self.rows())
                .for_each(|(density, row)| *density += counts[row[question] as usize]);
        }
        // The first of equals, as in the paper; scores are products of whole numbers, hence exact.
        let first_best = |scores: &[u64]| {
            let best = scores.iter().max().copied().unwrap_or(0);
            scores.iter().position(|&score| score == best).unwrap_or(0)
        };
        let mut modes = self.row(first_best(&density)).to_vec();
        let mut far = vec![usize::MAX; density.len()];
        while modes.len() < k * self.questions {
            if watch.stopped() {
                return None;
            }
            let last = modes[modes.len() - self.questions..].to_vec();
            far.par_iter_mut()
                .zip(self.codes.par_chunks(self.questions))
                .for_each(|(far, row)| *far = differences(row, &last).min(*far));
            let scores: Vec<u64> = far
                .iter()
                .zip(&density)
                .map(|(&far, &density)| far as u64 * density)
                .collect();
            modes.extend_from_slice(self.row(first_best(&scores)));
        }
        Some(modes)
    }

    fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.codes.chunks(self.questions)
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.codes[row * self.questions..][..self.questions]
    }

    fn mode<'a>(&self, modes: &'a [u32], label: u32) -> &'a [u32] {
        &modes[label as usize * self.questions..][..self.questions]
    }
}

fn differences(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests;
