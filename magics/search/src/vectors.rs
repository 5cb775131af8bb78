//! Search by vectors: files of unit vectors, looked through exactly or along a graph.

mod bits;
mod dot;
mod graph;
mod scan;
mod segment;
mod top;

pub(crate) use bits::Bits;
pub use graph::Recall;
pub(crate) use graph::{GATES, Graph, Lost};
pub use scan::Scan;
pub(crate) use scan::{Probe, nearest};
pub(crate) use segment::{Segment, write};
pub(crate) use top::{Scored, Top};

#[cfg(test)]
mod tests;
