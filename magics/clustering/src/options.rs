//! What a person can choose about k-means.

/// How far apart two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Squared Euclidean distance.
    L2,
    /// Spherical k-means: rows and centroids are scaled to length 1 (Dhillon and Modha 2001).
    Cosine,
}

/// How the first centroids are chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Greedy k-means++ (Arthur and Vassilvitskii 2007), `2 + ⌊ln k⌋` trials a centroid.
    PlusPlus,
    /// k-means‖ (Bahmani et al. 2012), weighted k-means++ over its candidates.
    Parallel,
    /// Rows drawn without repetition.
    Random,
    /// Given centroids, row-major `k × dims`.
    Given(Vec<f32>),
}

/// What to do with rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Number of clusters.
    pub k: usize,
    /// Distance.
    pub metric: Metric,
    /// First centroids.
    pub init: Init,
    /// Starts from different first centroids; the one with the least inertia is kept.
    pub n_init: usize,
    /// Stops when the squared shift of all centroids is at most this times the mean variance of the columns.
    pub tolerance: f64,
    /// Iterations of one start at most.
    pub max_iter: usize,
    /// Rows in a mini-batch; `None` looks at all rows in each iteration.
    pub batch: Option<usize>,
    /// Seed of all random choices; same seed, same result, for any number of threads.
    pub seed: u64,
}

impl Options {
    /// The defaults for `k` clusters: those of scikit-learn 1.9, with k-means‖ where it pays.
    pub fn new(k: usize) -> Options {
        Options {
            k,
            metric: Metric::L2,
            init: Init::PlusPlus,
            n_init: 1,
            tolerance: 1e-4,
            max_iter: 300,
            batch: None,
            seed: 0,
        }
    }
}
