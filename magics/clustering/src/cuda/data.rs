//! What Lloyd's iterations and the choice of first centroids need of rows on a card, whatever their form.

use std::rc::Rc;

use super::engine::{Engine, Memory, Place};
use super::error::CudaError;
use super::model::{Model, Reduced};
use super::stream::{Chunk, Stream};
use crate::options::Metric;
use crate::watch::Watch;

/// Trials that [`Data::weigh`] takes at a time.
pub(super) const TRIALS: usize = 16;
/// Rows of a block of the kernels that add over rows.
pub(super) const BLOCK: usize = 256;

/// Rows on a card.
pub(super) trait Data {
    /// The card.
    fn engine(&self) -> &Rc<dyn Engine>;
    /// The rows themselves.
    fn stream(&self) -> &Stream<'_>;
    /// Rows that are worked on at a time.
    fn chunk(&self) -> usize;
    /// Columns, as the outside counts them.
    fn columns(&self) -> usize;
    /// Numbers of a centroid on the card.
    fn width(&self) -> usize;
    /// Distance.
    fn metric(&self) -> Metric;
    /// In which form the centroids are wanted besides f32.
    fn reduced(&self) -> Reduced;
    /// Weight of a row.
    fn weight(&self, row: usize) -> f64;
    /// Weights of all rows on the card, or none.
    fn weights(&self) -> Place;
    /// ‖x‖² of all rows, f32.
    fn squares(&self) -> &Memory;
    /// Σ w·‖x‖².
    fn total_square(&self) -> f64;
    /// Mean variance of the columns; `None` when the user stopped it.
    fn variance(&self, watch: &dyn Watch) -> Result<Option<f64>, CudaError>;
    /// A row as it would be as a centroid.
    fn row(&self, row: usize) -> Vec<f32>;
    /// Rows in the form in which [`Data::weigh`] compares with them.
    fn trials(&self, rows: &[u32]) -> Vec<u32>;
    /// Compares a chunk with `count` ≤ [`TRIALS`] rows: for each block of [`BLOCK`] rows and each trial, adds up what
    /// the squared distances to the closest centroid would be; with `keep` they become that.
    fn weigh(&self, chunk: Chunk, trials: Place, count: usize, spot: Spot)
    -> Result<(), CudaError>;
    /// What groups the rows into `k` clusters.
    fn grouping(&self, k: usize, adds: bool) -> Result<Box<dyn Grouping + '_>, CudaError>;
    /// Σ w·‖x − c‖² of the rows with the kept labels of the model, where that is more exact than the scores.
    fn exact_inertia(&self, model: &Model, watch: &dyn Watch) -> Result<Option<f64>, CudaError>;
    /// Whether rows can be copied as rows of another table with weights of its own.
    fn candidates(&self) -> bool;
}

/// Where [`Data::weigh`] finds and leaves its numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Squared distance of each row to the closest centroid, f32.
    pub(super) closest: Place,
    /// Σ of each block and trial, f64.
    pub(super) potentials: Place,
    /// Whether the smaller distance is kept.
    pub(super) keep: bool,
}

/// Memory and launches for the assignment of rows to `k` centroids.
pub(super) trait Grouping {
    /// Makes the model's current centroids ready, and its sums empty.
    fn begin(&self, model: &Model) -> Result<(), CudaError>;
    /// Labels a chunk.
    fn assign(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError>;
    /// Adds a labelled chunk to the sums.
    fn add(&self, model: &Model, chunk: Chunk) -> Result<(), CudaError>;
    /// Completes the sums.
    fn end(&self, model: &Model) -> Result<(), CudaError>;
}
