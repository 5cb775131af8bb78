//! What a person can choose about an encoding.

use std::fmt;

/// How categories become vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One column a level.
    OneHot,
    /// One column a level, divided by the square root of its share of the rows, so that rare levels count more.
    Chi2,
    /// Multiple correspondence analysis to this many dimensions (Greenacre 2007): the principal components of
    /// [`Method::Chi2`].
    Mca(usize),
    /// Positive pointwise mutual information of answer pairs, factorised to this many dimensions (Levy and Goldberg
    /// 2014); a row is the mean of its answers.
    Ppmi(usize),
    /// Each answer stands for the shares of all answers among the rows that gave it, its coupling to the other columns
    /// (as in Jian et al. 2018); a row is the mean of its answers, reduced to at most this many principal components.
    Coupling(usize),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::OneHot => f.write_str("one-hot"),
            Method::Chi2 => f.write_str("chi2"),
            Method::Mca(dims) => write!(f, "mca({dims})"),
            Method::Ppmi(dims) => write!(f, "ppmi({dims})"),
            Method::Coupling(dims) => write!(f, "coupling({dims})"),
        }
    }
}

/// What becomes of values that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Missing is a level like others.
    Level,
    /// A missing value says nothing: its part of the vector is zero, in reduced spaces the mean.
    Ignore,
}

/// What a person can choose about an encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeOptions {
    /// How categories become vectors.
    pub method: Method,
    /// What becomes of missing values.
    pub missing: Missing,
    /// Levels on fewer than this share of the rows become one level, `other`.
    pub rare: f64,
    /// Levels on fewer than this many rows do so, too.
    pub rare_count: usize,
    /// More levels than this in a column are an error, not a category.
    pub max_levels: usize,
    /// Bytes that the work may need.
    pub memory: Option<u64>,
    /// Seed of the decompositions.
    pub seed: u64,
}

impl EncodeOptions {
    /// The defaults for `method`.
    pub fn new(method: Method) -> EncodeOptions {
        EncodeOptions {
            method,
            missing: Missing::Level,
            rare: 0.0,
            rare_count: 0,
            max_levels: 65_534,
            memory: None,
            seed: 0,
        }
    }
}
