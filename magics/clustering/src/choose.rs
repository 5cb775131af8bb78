//! Which encoding the data themselves favour; labels are never looked at.

mod differences;

use std::fmt;

use crate::agreement::adjusted_rand;
use crate::codes::Codes;
use crate::dense::Dense;
use crate::encode::{EncodeOptions, Encoder, Method, Vectors};
use crate::error::ClusteringError;
use crate::fit::Fit;
use crate::kmeans;
use crate::modes::{ModesInit, ModesOptions, kmodes};
use crate::options::Options;
use crate::table::Table;
use crate::watch::{Silent, Watch};
use differences::Differences;

/// How the choice is made.
#[derive(Debug, Clone, PartialEq)]
pub struct ChooseOptions {
    /// Number of clusters.
    pub k: usize,
    /// Methods to compare. The first is kept unless another is clearly better.
    pub methods: Vec<Method>,
    /// Samples with repetition that each method is tried on.
    pub bootstraps: usize,
    /// Rows at most that are looked at; more are drawn.
    pub max_rows: usize,
    /// Starts of each k-means.
    pub n_init: usize,
    /// How missing values and rare levels are treated; its method is not used.
    pub encode: EncodeOptions,
    /// Seed of all random choices.
    pub seed: u64,
}

impl ChooseOptions {
    /// The defaults for `k` clusters.
    pub fn new(k: usize) -> ChooseOptions {
        ChooseOptions {
            k,
            methods: vec![
                Method::Coupling(64),
                Method::OneHot,
                Method::Chi2,
                Method::Mca(5),
                Method::Ppmi(16),
            ],
            bootstraps: 10,
            max_rows: 2000,
            n_init: 5,
            encode: EncodeOptions::new(Method::OneHot),
            seed: 0,
        }
    }
}

/// A way to group answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// k-means on the rows, encoded.
    Encoded(Method),
    /// k-modes on the answers themselves, as a comparison: it is never chosen, being no encoding.
    Modes,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Encoded(method) => method.fmt(f),
            Way::Modes => f.write_str("k-modes"),
        }
    }
}

/// What was found about one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The way.
    pub way: Way,
    /// Mean adjusted Rand index between the clusters of two bootstrap samples, on the same rows.
    pub stability: f64,
    /// Mean silhouette of the clusters, by the number of answers in which rows differ: the same measure for all methods.
    pub silhouette: f64,
    /// Standard errors by which it is more stable than the first method.
    pub more_stable: f64,
    /// Standard errors by which its silhouette is higher than that of the first method.
    pub better_apart: f64,
}

/// Which method to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The method.
    pub method: Method,
    /// Why, in a sentence.
    pub reason: String,
    /// All methods, in the order given, and k-modes.
    pub candidates: Vec<Candidate>,
}

/// Compares methods by how far clusters of bootstrap samples agree (Ben-Hur et al. 2002; Hennig 2007) and by their
/// silhouette in the space of the answers themselves.
///
/// The first method (by default the one that is best on average over public data sets) is kept, unless another is
/// better in both by more than one standard error (the rule of Breiman et al. 1984): stability alone favours
/// clusterings that find the same wrong thing again and again, the silhouette alone favours the space it is measured in.
pub fn choose(
    table: &Table,
    options: &ChooseOptions,
    watch: &dyn Watch,
) -> Result<Choice, ClusteringError> {
    let Some(&first) = options.methods.first() else {
        return Err(ClusteringError::Shape {
            what: "methods".to_owned(),
            found: 0,
            wanted: 1,
        });
    };
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let n_rows = table.n_rows();
    let mut order: Vec<usize> = (0..n_rows).collect();
    rng.shuffle(&mut order);
    order.truncate(options.max_rows.max(1));
    let rows = table.select(&order);
    let answers = match Encoder::fit(
        &rows,
        &EncodeOptions {
            method: Method::OneHot,
            ..options.encode.clone()
        },
        watch,
    )?
    .encode(&rows)?
    {
        Vectors::Codes(codes) => codes,
        Vectors::Dense { .. } => return Err(ClusteringError::NoColumns),
    };
    let measured = Differences::new(&answers);
    let samples: Vec<Vec<usize>> = (0..options.bootstraps.max(2))
        .map(|_| order.iter().map(|_| rng.usize(..order.len())).collect())
        .collect();
    let mut trials = Vec::new();
    // Where all rows answer alike, k-modes has nothing to tell them by.
    let has_answers = answers.questions() > 0;
    let n_ways = options.methods.len() + usize::from(has_answers);
    for (at, &method) in options.methods.iter().enumerate() {
        let labels = encoded(&rows, method, &samples, options, watch)?;
        trials.push(Trial::new(
            Way::Encoded(method),
            &labels,
            &measured,
            options.k,
        ));
        watch.step(at + 1, n_ways, "comparing encodings");
    }
    if has_answers {
        let labels = by_modes(&answers, &samples, options, watch)?;
        trials.push(Trial::new(Way::Modes, &labels, &measured, options.k));
        watch.step(n_ways, n_ways, "comparing encodings");
    }
    let candidates = trials
        .iter()
        .map(|trial| trial.against(&trials[0]))
        .collect();
    Ok(chosen(first, candidates))
}

/// The first method, unless another is clearly better.
fn chosen(first: Method, candidates: Vec<Candidate>) -> Choice {
    let clearly = candidates
        .iter()
        .filter_map(|candidate| match candidate.way {
            Way::Encoded(method) if candidate.more_stable > 1.0 && candidate.better_apart > 1.0 => {
                Some((method, candidate))
            }
            _ => None,
        });
    let best = clearly.max_by(|(_, a), (_, b)| a.stability.total_cmp(&b.stability));
    let reason = match best {
        Some((method, best)) => format!(
            "{method} is more stable than {first} over samples of the rows ({:.2} against {:.2}) and sets clusters further apart ({:.3} against {:.3})",
            best.stability, candidates[0].stability, best.silhouette, candidates[0].silhouette
        ),
        None => format!(
            "no method is clearly better than {first} both in stability and in how far clusters are apart"
        ),
    };
    Choice {
        method: best.map_or(first, |(method, _)| method),
        reason,
        candidates,
    }
}

/// Clusters of all rows, found on each sample by k-means on the encoded answers.
fn encoded(
    rows: &Table,
    method: Method,
    samples: &[Vec<usize>],
    options: &ChooseOptions,
    watch: &dyn Watch,
) -> Result<Vec<Vec<u32>>, ClusteringError> {
    let of_sample = |(number, sample): (usize, &Vec<usize>)| {
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        let drawn = rows.select(sample);
        let encode = EncodeOptions {
            method,
            ..options.encode.clone()
        };
        let encoder = Encoder::fit(&drawn, &encode, watch)?;
        let kmeans = Options {
            n_init: options.n_init,
            seed: options.seed.wrapping_add(number as u64),
            ..Options::new(options.k)
        };
        let fit = cluster(encoder.encode(&drawn)?, &kmeans)?;
        predict(encoder.encode(rows)?, &fit)
    };
    samples.iter().enumerate().map(of_sample).collect()
}

/// The same by k-modes.
fn by_modes(
    answers: &Codes,
    samples: &[Vec<usize>],
    options: &ChooseOptions,
    watch: &dyn Watch,
) -> Result<Vec<Vec<u32>>, ClusteringError> {
    let of_sample = |sample: &Vec<usize>| {
        if watch.stopped() {
            return Err(ClusteringError::Stopped);
        }
        let settings = ModesOptions {
            init: ModesInit::Cao,
            ..ModesOptions::new(options.k)
        };
        kmodes(&answers.select(sample), &settings, &Silent)?.predict(answers)
    };
    samples.iter().map(of_sample).collect()
}

/// One way on all samples.
struct Trial {
    way: Way,
    /// For each sample, the mean agreement with the others.
    agreement: Vec<f64>,
    silhouettes: Vec<f64>,
}

impl Trial {
    fn new(way: Way, labels: &[Vec<u32>], measured: &Differences, k: usize) -> Trial {
        let agreement = (0..labels.len()).map(|at| {
            let others = (0..labels.len()).filter(|&other| other != at);
            others
                .map(|other| adjusted_rand(&labels[at], &labels[other]))
                .sum::<f64>()
                / (labels.len() - 1) as f64
        });
        Trial {
            way,
            agreement: agreement.collect(),
            silhouettes: labels
                .iter()
                .map(|labels| measured.silhouette(labels, k))
                .collect(),
        }
    }

    fn against(&self, first: &Trial) -> Candidate {
        Candidate {
            way: self.way,
            stability: mean(&self.agreement),
            silhouette: mean(&self.silhouettes),
            // A mean over pairs varies as twice the mean over their members (Hoeffding 1948).
            more_stable: errors(&self.agreement, &first.agreement, 2.0),
            better_apart: errors(&self.silhouettes, &first.silhouettes, 1.0),
        }
    }
}

/// Clusters rows, whatever their form.
fn cluster(vectors: Vectors, options: &Options) -> Result<Fit, ClusteringError> {
    match vectors {
        Vectors::Codes(codes) => kmeans::fit(&codes, None, options, &Silent),
        Vectors::Dense { values, dims, .. } => {
            kmeans::fit(&Dense::new(values, dims)?, None, options, &Silent)
        }
    }
}

fn predict(vectors: Vectors, fit: &Fit) -> Result<Vec<u32>, ClusteringError> {
    match vectors {
        Vectors::Codes(codes) => kmeans::predict(&codes, fit, &Silent),
        Vectors::Dense { values, dims, .. } => {
            kmeans::predict(&Dense::new(values, dims)?, fit, &Silent)
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean of the paired differences in standard errors, times `factor` for the error.
fn errors(values: &[f64], others: &[f64], factor: f64) -> f64 {
    let differences: Vec<f64> = values.iter().zip(others).map(|(a, b)| a - b).collect();
    let (middle, count) = (mean(&differences), differences.len() as f64);
    let variance = differences
        .iter()
        .map(|value| (value - middle).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    let error = factor * (variance / count).sqrt();
    if middle == 0.0 {
        0.0
    } else {
        middle / error.max(1e-12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;

    /// Two kinds of rows, told apart by `signal` of ten columns; the others are noise.
    fn two_kinds(signal: u32) -> Table {
        let mut rng = fastrand::Rng::with_seed(1);
        let columns = (0..10).map(|column| Column {
            name: format!("c{column}"),
            levels: ["a", "b", "c"].map(str::to_owned).to_vec(),
            codes: (0..120)
                .map(|row| {
                    if column < signal && rng.u8(..10) > 0 {
                        row % 2
                    } else {
                        rng.u32(..3)
                    }
                })
                .collect(),
        });
        Table {
            columns: columns.collect(),
            numeric: Vec::new(),
        }
    }

    #[test]
    fn compares_all_methods_and_says_why() {
        let options = ChooseOptions {
            bootstraps: 4,
            n_init: 2,
            ..ChooseOptions::new(2)
        };
        let choice = choose(&two_kinds(8), &options, &Silent).unwrap();
        assert_eq!(choice.candidates.len(), 6);
        assert_eq!(choice.candidates[5].way, Way::Modes);
        for candidate in &choice.candidates {
            assert!(candidate.stability <= 1.0, "{candidate:?}");
            assert!(candidate.silhouette > 0.1, "{candidate:?}");
        }
        assert!(choice.candidates[0].stability > 0.9);
        assert!(choice.reason.contains(&choice.method.to_string()));
        assert_eq!(choose(&two_kinds(8), &options, &Silent).unwrap(), choice);
    }

    #[test]
    fn stays_with_the_first_method_where_nothing_is_to_be_found() {
        let options = ChooseOptions {
            bootstraps: 4,
            n_init: 1,
            methods: vec![Method::Chi2, Method::Chi2],
            ..ChooseOptions::new(2)
        };
        let choice = choose(&two_kinds(0), &options, &Silent).unwrap();
        assert_eq!(choice.method, Method::Chi2);
        assert!(choice.candidates[1].more_stable.abs() < 1e-9);
    }
}
