//! Grouping of rows: k-means over dense, sparse and categorical data, encodings of categorical data, measures.
//!
//! Nothing here knows files, frames, Jupyter or the screen: data come in as slices, results go out as vectors.

mod agreement;
mod choose;
mod codes;
mod csr;
pub mod cuda;
mod dense;
pub mod encode;
mod error;
mod fit;
mod gather;
pub mod kmeans;
pub mod measure;
mod modes;
mod options;
pub mod pca;
mod points;
mod product;
pub mod scan;
mod svd;
mod table;
mod watch;

pub use agreement::{accuracy, adjusted_rand, mutual_information};
pub use choose::{Candidate, Choice, ChooseOptions, Way, choose};
pub use codes::Codes;
pub use csr::Csr;
pub use dense::Dense;
pub use error::ClusteringError;
pub use fit::{Fit, Iteration, Stop};
pub use gather::Tiles;
pub use kmeans::Blocks;
pub use modes::{Modes, ModesInit, ModesOptions, kmodes};
pub use options::{Init, Metric, Options};
pub use points::Points;
pub use product::Product;
pub use svd::{Svd, SvdOptions, svd};
pub use table::{Column, Numeric, Table};
pub use watch::{Silent, Watch};
