//! How a walk comes into a layer: through gates that are all looked at, and down the layers between.

use rayon::prelude::*;

use super::codes::{Coded, Codes};
use super::links::scatter;
use super::walk::{Layer, Lost, Reach, Room, walk};
use crate::vectors::dot;

/// Nodes of the highest layer, at most; all of them are looked at.
///
/// A greedy walk through a few high layers, as in the paper, gets lost where vectors lie in many clusters that have no near
/// neighbours of each other; looking at some thousand gates costs as much as a hundred steps and finds the right cluster.
pub(crate) const GATES: usize = 4096;
/// Each layer has one in 2³ of the nodes below it.
const RATIO_BITS: u32 = 3;
/// Nodes that are kept on the way down.
const WIDTH: usize = 32;
/// Nodes that a walk starts from.
const STARTS: usize = 8;

/// Places of the nodes of each layer above the lowest; those of the last one are the gates.
///
/// The layer of a vector depends on its row only, so it stays when an index is put in order.
pub(super) fn members(rows: &[u32]) -> Vec<Vec<u32>> {
    let mut members: Vec<Vec<u32>> = Vec::new();
    let mut n = rows.len();
    while n > GATES {
        let level = members.len() as u32 + 1;
        let is_member = |place: u32| {
            scatter(u64::from(rows[place as usize])).trailing_zeros() >= RATIO_BITS * level
        };
        let layer: Vec<u32> = match members.last() {
            None => (0..rows.len() as u32)
                .into_par_iter()
                .filter(|&place| is_member(place))
                .collect(),
            Some(below) => below
                .iter()
                .copied()
                .filter(|&place| is_member(place))
                .collect(),
        };
        n = layer.len();
        members.push(layer);
    }
    members
}

/// The gates, side by side.
#[derive(Debug)]
pub(super) struct Gates {
    pub(super) places: Vec<u32>,
    rows: Vec<u8>,
    scales: Vec<f32>,
}

impl Gates {
    pub(super) fn new(codes: &Codes<'_>, places: &[u32]) -> Self {
        Self {
            places: places.to_vec(),
            rows: places
                .iter()
                .flat_map(|&place| codes.row(place))
                .copied()
                .collect(),
            scales: places.iter().map(|&place| codes.scale(place)).collect(),
        }
    }

    /// Numbers of the `k` nearest gates and their cosines, best first.
    pub(super) fn nearest(&self, query: &Coded, k: usize) -> Vec<(u32, f32)> {
        let mut sums = vec![0; self.places.len()];
        dot::codes(&query.codes, &self.rows, &mut sums);
        let cosines = sums.iter().zip(&self.scales);
        let mut near: Vec<(u32, f32)> = (0..)
            .zip(cosines.map(|(&sum, &scale)| query.cosine(sum, scale)))
            .collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if near.len() > k {
            near.select_nth_unstable_by(k, order);
            near.truncate(k);
        }
        near.sort_unstable_by(order);
        near
    }
}

/// The gates and the layers under them, highest first.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) gates: &'a Gates,
    pub(super) layers: Vec<Layer<'a>>,
}

impl Way<'_> {
    /// Places from which a walk along the next layer should start.
    pub(super) fn starts(
        &self,
        codes: &Codes<'_>,
        query: &Coded,
        room: &mut Room,
    ) -> Result<Vec<u32>, Lost> {
        let gates = self.gates.nearest(query, STARTS);
        let mut places: Vec<u32> = gates
            .into_iter()
            .map(|(gate, _)| self.gates.places[gate as usize])
            .collect();
        let reach = Reach {
            width: WIDTH,
            budget: usize::MAX,
            hidden: None,
        };
        for layer in &self.layers {
            let nodes: Vec<u32> = places.iter().filter_map(|&p| layer.node(p)).collect();
            let near = walk(layer, codes, query, &nodes, reach, |_| true, room)?;
            places.clear();
            places.extend(near.iter().take(STARTS).map(|near| layer.place(near.node)));
        }
        Ok(places)
    }
}
