//! What can go wrong with a clustering, and what to do about it.

/// Why rows could not be grouped or encoded.
#[derive(Debug, thiserror::Error)]
pub enum ClusteringError {
    /// A row holds a value that is not a finite number.
    #[error("{n_rows} {} a value that is not a finite number, first at row {row}, column {column}: {value}", if *n_rows == 1 { "row has" } else { "rows have" })]
    NotFinite {
        /// Rows with such a value.
        n_rows: usize,
        /// The first of them.
        row: usize,
        /// Its column.
        column: usize,
        /// The value.
        value: f32,
    },
    /// More clusters are wanted than there are rows.
    #[error("{k} clusters from {n_rows} {}", if *n_rows == 1 { "row" } else { "rows" })]
    TooFewRows {
        /// Clusters that were asked for.
        k: usize,
        /// Rows there are.
        n_rows: usize,
    },
    /// There is nothing to group: no rows or no columns.
    #[error("nothing to group: {n_rows} rows with {dims} columns")]
    Empty {
        /// Rows.
        n_rows: usize,
        /// Columns.
        dims: usize,
    },
    /// Things that belong together have different sizes.
    #[error("{what}: {found}, where {wanted} belong")]
    Shape {
        /// What has the wrong size.
        what: String,
        /// The size it has.
        found: usize,
        /// The size it needs.
        wanted: usize,
    },
    /// A weight is negative or not finite, or all are zero.
    #[error("row {row} has the weight {value}; weights are finite, at least 0, and not all 0")]
    Weight {
        /// The first such row.
        row: usize,
        /// Its weight.
        value: f32,
    },
    /// There are no columns to encode.
    #[error("no columns to encode")]
    NoColumns,
    /// A column has more levels than a category should have.
    #[error(
        "column `{column}` has {levels} different values, more than the {limit} that are allowed"
    )]
    TooManyLevels {
        /// Its name.
        column: String,
        /// Its levels.
        levels: usize,
        /// Levels that are allowed.
        limit: usize,
    },
    /// No column tells any two rows apart.
    #[error("each column has the same value in all rows")]
    Constant,
    /// No answer says anything about another, so that no space of few dimensions is left.
    #[error("no answer says anything about another: use one-hot columns")]
    Unrelated,
    /// The work would need more memory than allowed.
    #[error("{what} needs about {} MB, {} MB are allowed", needed.div_ceil(1_000_000), limit / 1_000_000)]
    Memory {
        /// What needs it.
        what: String,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// More dimensions are wanted than the data have.
    #[error("{wanted} dimensions, where between 1 and {possible} are possible")]
    Dimensions {
        /// Dimensions that were asked for.
        wanted: usize,
        /// The most there can be.
        possible: usize,
    },
    /// Further rows lack a column that the encoder was fitted on.
    #[error("no column `{column}`")]
    MissingColumn {
        /// Its name.
        column: String,
    },
    /// A learned encoding could not be computed.
    #[error("cannot learn an encoding: {0}")]
    Learning(#[from] candle_core::Error),
    /// A card could not do it.
    #[error("{what}")]
    Card {
        /// What went wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A source of rows could not be read.
    #[error("cannot read rows: {0}")]
    Source(String),
    /// The work was stopped before anything could be kept.
    #[error("the work was stopped")]
    Stopped,
}

impl ClusteringError {
    /// What to do about it; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        let hint = match self {
            ClusteringError::Card { hint, .. } => return hint.clone(),
            ClusteringError::NotFinite { .. } => {
                "in a Rust cell `filter(col(…).is_finite())` leaves such rows out, and `fill_nan` puts something in"
            }
            ClusteringError::TooFewRows { n_rows, .. } => {
                return format!("`-k {}` is the most that is possible", (*n_rows).max(1));
            }
            ClusteringError::TooManyLevels { .. } => {
                "a column that nearly each row has another value of tells no groups apart; leave it out, or put rare \
                 values together with `--rare 0.01`"
            }
            ClusteringError::Memory { .. } => {
                "fewer columns, `--rare 0.01` or `--method onehot` need less"
            }
            ClusteringError::Dimensions { possible, .. } => {
                return format!("`--dim {possible}` is the most that is possible");
            }
            ClusteringError::Constant | ClusteringError::NoColumns => {
                "columns with at least two different values are needed"
            }
            _ => "",
        };
        hint.to_owned()
    }
}
