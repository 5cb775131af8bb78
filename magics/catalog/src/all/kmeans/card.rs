//! Whether groups are found on a GPU, and how.

use mlk8s_clustering::cuda::{self, Settings};
use mlk8s_clustering::{ClusteringError, Codes, Fit, Options, kmeans, kmodes};

use super::{Distance, KMeans, On, Watcher};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::rows::{Points, Rows};

/// Products of numbers in an iteration from which on sending the rows to a GPU pays.
const WORTH: usize = 500_000_000;

impl KMeans {
    /// How the GPU is used, if it is.
    pub(super) fn card(&self, rows: &Rows, call: &Call) -> Result<Option<Settings>, MagicError> {
        let settings = Settings {
            libraries: call.session.cuda_libraries().to_vec(),
            ..Settings::default()
        };
        let (_, most) = self.numbers();
        let work = rows.n_rows() * rows.dims() * most;
        match self.on {
            On::Cpu => Ok(None),
            On::Auto if self.metric == Distance::Matching => Ok(None),
            On::Auto if work < WORTH || self.batch.is_some() => Ok(None),
            On::Auto => Ok(cuda::available(&settings).is_ok().then_some(settings)),
            On::Cuda => match cuda::available(&settings) {
                Ok(_) => Ok(Some(settings)),
                Err(why) => Err(MagicError::new(
                    ErrorKind::Input,
                    format!("no GPU can be used: {why}"),
                )
                .with_hint(why.hint())),
            },
        }
    }

    /// Groups dense rows, on the GPU where `card` says so.
    pub(super) fn fit_dense(
        &self,
        points: &mlk8s_clustering::Dense<'_>,
        rows: &Rows,
        weights: Option<&[f32]>,
        card: Option<&Settings>,
        options: &Options,
        watch: &Watcher<'_>,
    ) -> Result<Fit, ClusteringError> {
        if let (Some(card), Points::Dense { values, dims }) = (card, &rows.points) {
            let given = cuda::Rows {
                values,
                dims: *dims,
                weights,
            };
            let fit = cuda::fit(&given, options, card, watch).map_err(ClusteringError::from);
            if !self.goes_on(&fit) {
                return fit;
            }
        }
        kmeans::fit(points, weights, options, watch)
    }

    /// Groups answers, on the GPU where `card` says so.
    pub(super) fn fit_codes(
        &self,
        codes: &Codes,
        card: Option<(&Settings, &Coded)>,
        weights: Option<&[f32]>,
        options: &Options,
        watch: &Watcher<'_>,
    ) -> Result<Fit, ClusteringError> {
        if self.metric == Distance::Matching {
            let found = kmodes(codes, &self.modes(options), watch)?;
            return Ok(found.into_fit(codes));
        }
        if let Some((card, coded)) = card {
            let given = cuda::Answers {
                codes: &coded.codes,
                levels: &coded.levels,
                scales: codes.factors(),
            };
            let fit =
                cuda::fit_answers(&given, options, card, watch).map_err(ClusteringError::from);
            if !self.goes_on(&fit) {
                return fit;
            }
        }
        kmeans::fit(codes, weights, options, watch)
    }

    /// Whether the processor takes over from a GPU that could not do it.
    fn goes_on(&self, fit: &Result<Fit, ClusteringError>) -> bool {
        self.on == On::Auto && matches!(fit, Err(ClusteringError::Card { .. }))
    }
}

/// Answers row by row, as the GPU takes them.
pub(super) struct Coded {
    codes: Vec<u32>,
    levels: Vec<usize>,
}

impl Coded {
    /// The answers of `codes`, if they are nothing but answers.
    pub(super) fn of(codes: &Codes) -> Option<Coded> {
        use mlk8s_clustering::Points as _;
        let questions = codes.questions();
        codes.is_plain().then(|| Coded {
            codes: (0..codes.rows())
                .flat_map(|row| (0..questions).map(move |question| (row, question)))
                .map(|(row, question)| codes.code(row, question).unwrap_or(Codes::MISSING))
                .collect(),
            levels: (0..questions)
                .map(|question| codes.levels(question))
                .collect(),
        })
    }
}
