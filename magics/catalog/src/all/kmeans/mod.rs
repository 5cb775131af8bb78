//! `%kmeans`: rows grouped by k-means.

mod card;
mod count;
mod input;
mod modes;
mod report;
mod show;
mod stream;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use mlk8s_clustering::{Fit, Init, Iteration, Metric, Options, scan};
use mlk8s_values::{Basis, Clusters};

use crate::call::{Call, Cancel, Progress};
use crate::error::MagicError;
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::rows::{Points, Rows, Source};
use crate::session::{Import, ImportKind, Value};
use count::K;
use report::{Report, report};
use show::Grouped;

/// Rows of which silhouettes are taken.
const SAMPLE: usize = 2000;
/// Products of dense rows in the time of one that is looked up.
const LOOKED_UP: usize = 64;
/// Products of numbers that the silhouettes may take.
const SILHOUETTE_WORK: usize = 40_000_000_000;
/// Groups from which on first centres are drawn many at once: as good, and quicker.
const MANY_GROUPS: usize = 50;
/// Group rows by k-means, and show what sets the groups apart
#[derive(Debug, Parser)]
pub(super) struct KMeans {
    /// A frame, vectors, or a file that ends in .parquet, .arrow or .csv
    #[arg(value_name = "ROWS")]
    source: String,
    /// How many groups: a number, or a range such as 2..20 of which the best is chosen
    #[arg(
        short = 'k',
        long = "clusters",
        value_name = "N|A..B",
        default_value = "8"
    )]
    k: K,
    /// Where it is computed
    #[arg(long, default_value = "auto")]
    on: On,
    /// How distance is measured
    #[arg(long, default_value = "l2")]
    metric: Distance,
    /// First centres: k-means++, k-means|| (quicker for many groups), random, or the name of a frame that has them; of k-modes cao
    /// or huang
    #[arg(long, value_name = "HOW", default_value = "auto")]
    init: String,
    /// Starts from different centres, of which the best is kept
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    n_init: u32,
    /// Ends when all centres together move less than this share of the variance
    #[arg(long, value_name = "SHARE", default_value = "0.0001")]
    tol: f64,
    /// Iterations of a start at most
    #[arg(long, value_name = "N", default_value = "300", value_parser = clap::value_parser!(u32).range(1..))]
    max_iter: u32,
    /// Look at so many rows an iteration, not at all
    #[arg(long, value_name = "ROWS")]
    batch: Option<usize>,
    /// Read a file block by block in each iteration, as is done with one that is larger than memory
    #[arg(long)]
    by_block: bool,
    /// A column that says how much each row counts
    #[arg(long, value_name = "COLUMN")]
    weights: Option<String>,
    /// Columns that are compared; by default the vectors, or else all that are numbers
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Bring all columns to the same spread first
    #[arg(long)]
    standardize: bool,
    /// A column with a few words for each row, to be shown
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Seed of all random choices
    #[arg(long, default_value = "0")]
    seed: u64,
    /// Name of the groups, in Rust cells and for other magics
    #[arg(long = "as", value_name = "NAME", default_value = "clusters")]
    name: ValueName,
}

/// Where numbers are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// On the GPU where there is one and it pays
    Auto,
    /// On the processor
    Cpu,
    /// On the GPU
    Cuda,
}

/// How distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Distance {
    /// Euclidean distance
    L2,
    /// Angle between vectors: their lengths do not count
    Cosine,
    /// Number of answers that differ, for rows of `%encode`; centres are the most frequent answers (k-modes)
    Matching,
}

impl Magic for KMeans {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%kmeans tables/points.csv -k 3 --label name",
            about: "three groups of the rows of a file, by all columns that are numbers",
            shows: "3 groups of 60 rows",
        },
        Example {
            after: &[],
            cell: "%kmeans tables/points.csv -k 2..6 --standardize",
            about: "as many groups as the rows fall into best",
            shows: "k = 3",
        },
        Example {
            after: &["%encode tables/survey.csv --as answers"],
            cell: "%kmeans answers -k 2 --n-init 5 --as people",
            about: "groups of people by what they answered",
            shows: "2 groups of 80 rows",
        },
        Example {
            after: &["%encode tables/survey.csv --as answers"],
            cell: "%kmeans answers -k 2 --metric matching --as people",
            about: "the same by k-modes: around the most frequent answers, for comparison",
            shows: "answers differ from the centre of their group",
        },
    ];
    type Outcome = Grouped;

    fn run(self, call: &mut Call) -> Result<Grouped, MagicError> {
        let source = Source::find(&self.source, call)?;
        if let Source::File(path, lazy) = &source
            && self.metric != Distance::Matching
            && stream::is_needed(path, &self)
        {
            return stream::run(&self, path, lazy, call);
        }
        let (rows, weights, mut notes) = input::rows(&self, source, call)?;
        self.check_modes(&rows)?;
        let mut options = self.options(call, rows.dims())?;
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
            most: options.max_iter,
        };
        let weights = weights.as_deref();
        let card = self.card(&rows, call)?;
        let (fit, scan, mut report) = match &rows.points {
            Points::Dense { values, dims } => {
                let points = mlk8s_clustering::Dense::new(values.as_slice(), *dims)?;
                let fit = |options: &Options| {
                    self.fit_dense(&points, &rows, weights, card.as_ref(), options, &watcher)
                };
                self.group(&points, *dims, &fit, &mut options, &watcher)?
            }
            Points::Codes(codes) => {
                let plain = card.as_ref().and_then(|_| card::Coded::of(codes));
                let card = card.as_ref().zip(plain.as_ref());
                let fit =
                    |options: &Options| self.fit_codes(codes, card, weights, options, &watcher);
                self.group(
                    codes,
                    codes.questions() * LOOKED_UP,
                    &fit,
                    &mut options,
                    &watcher,
                )?
            }
        };
        notes.extend(report.remark.clone());
        if self.metric == Distance::Matching {
            report.cost = Some(modes::told(&fit, &rows));
        }
        self.publish(&rows, &fit, call)?;
        Grouped::new(self.name, rows, fit, scan, report, notes)
    }
}

impl KMeans {
    /// The least and the most groups.
    fn numbers(&self) -> (usize, usize) {
        match self.k {
            K::One(k) => (k, k),
            K::Range(from, to) => (from, to),
        }
    }

    fn options(&self, call: &Call, dims: usize) -> Result<Options, MagicError> {
        let (_, k) = self.numbers();
        let mut options = Options::new(k);
        options.metric = match self.metric {
            // Of one-hot rows the same order: they are at twice as many squared units as answers differ.
            Distance::L2 | Distance::Matching => Metric::L2,
            Distance::Cosine => Metric::Cosine,
        };
        options.init = match (self.init.as_str(), k >= MANY_GROUPS) {
            // k-modes has starts of its own (`modes.rs`), and `--init` names one of them.
            _ if self.metric == Distance::Matching => Init::Random,
            ("auto", true) | ("k-means||", _) => Init::Parallel,
            ("auto", false) | ("k-means++", _) => Init::PlusPlus,
            ("random", _) => Init::Random,
            (name, _) => {
                let given = input::centres(name, call, dims)?;
                options.k = given.len() / dims.max(1);
                Init::Given(given)
            }
        };
        options.n_init = self.n_init as usize;
        options.tolerance = self.tol;
        options.max_iter = self.max_iter as usize;
        options.batch = self.batch;
        options.seed = self.seed;
        Ok(options)
    }

    /// Groups the points, having found out how many groups are best where that was asked.
    fn group<P: mlk8s_clustering::Points>(
        &self,
        points: &P,
        width: usize,
        fit: &scan::Grouping<'_>,
        options: &mut Options,
        watch: &Watcher<'_>,
    ) -> Result<(Fit, Option<scan::Scan>, Report), MagicError> {
        let work = points.rows() * width.max(1);
        let sample = (SILHOUETTE_WORK / work.max(1)).min(SAMPLE);
        let K::Range(from, to) = self.k else {
            let fit = fit(options)?;
            let report = report(points, &fit, sample, options, watch)?;
            return Ok((fit, None, report));
        };
        // What was tried is kept: the best of it need not be found again, also when the user has stopped the others.
        let kept = RefCell::new(BTreeMap::new());
        let keep = |options: &Options| {
            let fit = fit(options)?;
            kept.borrow_mut().insert(options.k, fit.clone());
            Ok(fit)
        };
        let to = to.min(points.rows());
        let (ks, least) = (from.min(to)..=to, sample.max(100));
        let tried = scan::scan_by(points, &keep, ks, options, least, watch)?;
        options.k = tried.best_silhouette.or(tried.knee).unwrap_or(from);
        let kept = kept.into_inner().remove(&options.k);
        let fit = kept.ok_or(mlk8s_clustering::ClusteringError::Stopped)?;
        let report = report(points, &fit, sample, options, watch)?;
        Ok((fit, Some(tried), report))
    }

    /// Gives the groups to Rust cells and to other magics.
    fn publish(&self, rows: &Rows, fit: &Fit, call: &mut Call) -> Result<(), MagicError> {
        let basis = Basis {
            columns: rows.columns.clone(),
            cosine: self.metric == Distance::Cosine,
            standard: rows.standard.clone(),
        };
        let clusters = Clusters::new(
            &fit.labels,
            fit.centroids.clone(),
            fit.sizes.clone(),
            fit.inertia,
            basis,
        )?;
        let path = call
            .session
            .crossing(self.name.as_str(), ImportKind::Clusters);
        mlk8s_values::write_clusters(&path, &clusters)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Clusters,
            path,
        };
        let value = Value::Clusters(Arc::new(clusters));
        call.session.put(self.name.as_str(), value, vec![import]);
        Ok(())
    }
}

/// Reports iterations to the notebook.
pub(super) struct Watcher<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a dyn Progress,
    pub(super) most: usize,
}

impl mlk8s_clustering::Watch for Watcher<'_> {
    fn stopped(&self) -> bool {
        self.cancel.is_raised()
    }

    fn iteration(&self, iteration: &Iteration) {
        let what = format!(
            "inertia {:.6e}, {} rows moved",
            iteration.inertia, iteration.moved
        );
        self.progress.report(iteration.number, self.most, &what);
    }

    fn step(&self, done: usize, total: usize, what: &str) {
        self.progress.report(done, total, what);
    }
}
