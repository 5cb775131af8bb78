//! How near a graph comes to the truth, measured against looking at every vector.

use rayon::prelude::*;

use super::codes::Codes;
use super::links::scatter;
use super::walk::{Layer, Lost};
use super::way::Gates;
use super::{best, descend};
use crate::error::SearchError;
use crate::vectors::{Bits, Probe, Scan, Segment, nearest};
use crate::watch::Watch;

/// Neighbours that are compared.
const AT: usize = 10;
/// Vectors that are looked for.
const QUERIES: usize = 200;
/// Numbers of nodes that walks keep, tried until enough is found.
const WIDTHS: [usize; 8] = [64, 96, 128, 192, 256, 384, 512, 768];
/// Enough: this share of the true neighbours, in thousandths.
const ENOUGH: usize = 980;

/// What share of the true nearest neighbours a graph finds.
///
/// Measured when the graph was made: vectors of the index were looked for as if they were not in it. Queries that are unlike
/// what is in the index find less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    /// Vectors that were looked for.
    pub n_queries: usize,
    /// Neighbours of each.
    pub at: usize,
    /// True neighbours that were found, of all together.
    pub n_found: usize,
}

impl Recall {
    /// The share, from 0 to 1.
    pub fn share(self) -> f64 {
        self.n_found as f64 / (self.n_queries * self.at).max(1) as f64
    }
}

impl std::fmt::Display for Recall {
    /// `recall@10 0.983 on 200 sampled queries`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "recall@{} {:.3} on {} sampled queries",
            self.at,
            self.share(),
            self.n_queries
        )
    }
}

/// A vector of the file that is looked for as if it were not there.
struct Sample {
    place: u32,
    probe: Probe,
    /// Cosine of the last true neighbour.
    least: f32,
    n_true: usize,
}

/// The recall of a graph, and how many nodes walks must keep for it.
pub(super) fn measure(
    segment: &Segment,
    layers: &[Layer<'_>],
    members: &[Vec<u32>],
    watch: &dyn Watch,
) -> Result<Result<(Recall, usize), Lost>, SearchError> {
    let samples = samples(segment, members, watch)?;
    let codes = Codes::of(segment);
    let gates = Gates::new(&codes, members.last().map_or(&[], Vec::as_slice));
    let mut measured = (
        Recall {
            n_queries: samples.len(),
            at: AT,
            n_found: 0,
        },
        WIDTHS[0],
    );
    for width in WIDTHS {
        if watch.stopped() {
            return Err(SearchError::Stopped);
        }
        let found = |sample: &Sample| {
            let goal = (width, usize::MAX, Some(sample.place));
            let found = descend(&codes, &gates, layers, &sample.probe, goal, |_| true)?;
            let found = best(segment, &sample.probe, &found, AT);
            let true_ones = found.iter().filter(|scored| scored.score >= sample.least);
            Ok(true_ones.count().min(sample.n_true))
        };
        let found: Result<Vec<usize>, Lost> = samples.par_iter().map(found).collect();
        match found {
            Ok(found) => measured.0.n_found = found.iter().sum(),
            Err(lost) => return Ok(Err(lost)),
        }
        measured.1 = width;
        if measured.0.n_found * 1000 >= measured.0.n_queries * AT * ENOUGH {
            break;
        }
    }
    Ok(Ok(measured))
}

/// Vectors that are looked for, and the truth about them; nodes of the lowest layer only, so that they can be hidden.
fn samples(
    segment: &Segment,
    members: &[Vec<u32>],
    watch: &dyn Watch,
) -> Result<Vec<Sample>, SearchError> {
    let rows = segment.rows();
    let mut others = Bits::none(rows.last().map_or(0, |&row| row as usize + 1));
    for &row in rows {
        others.set(row);
    }
    let upper: &[u32] = members.first().map_or(&[], Vec::as_slice);
    let mut places: Vec<u32> = (0..rows.len() as u32)
        .filter(|place| upper.binary_search(place).is_err())
        .collect();
    // Neither the order of insertion nor that of the layers.
    places.sort_by_cached_key(|&place| scatter(u64::from(rows[place as usize]) << 32));
    places.truncate(QUERIES);
    let mut samples = Vec::with_capacity(places.len());
    for (done, &place) in places.iter().enumerate() {
        if watch.stopped() {
            return Err(SearchError::Stopped);
        }
        watch.step(done, places.len(), "recall measured");
        let probe = Probe::new(segment.vector(place as usize));
        let segments = std::slice::from_ref(segment);
        let row = rows[place as usize];
        let mut truth = nearest(segments, &probe, &others, AT + 1, Scan::Codes);
        truth.retain(|scored| scored.row != row);
        truth.truncate(AT);
        samples.push(Sample {
            place,
            probe,
            least: truth.last().map_or(f32::INFINITY, |scored| scored.score),
            n_true: truth.len(),
        });
    }
    Ok(samples)
}
