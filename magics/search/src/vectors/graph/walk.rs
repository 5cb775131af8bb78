//! The best-first walk along one layer (algorithm 2 of Malkov & Yashunin 2016).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::codes::{Coded, Codes};
use super::links::{Broken, Links};
use crate::vectors::dot;

/// One layer: its links, and where the vectors of its nodes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'a> {
    pub(super) links: Links<'a>,
    /// Place of each node, ascending; none where nodes are places.
    pub(super) places: Option<&'a [u32]>,
}

impl Layer<'_> {
    pub(super) fn place(&self, node: u32) -> u32 {
        self.places.map_or(node, |places| places[node as usize])
    }

    /// The node of a place, if the layer has it.
    pub(super) fn node(&self, place: u32) -> Option<u32> {
        match self.places {
            None => Some(place),
            Some(places) => places.binary_search(&place).ok().map(|node| node as u32),
        }
    }
}

/// A node and its cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) node: u32,
    pub(super) cosine: f32,
}

impl Near {
    /// Nearer ones first.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "this is what sorting takes"
    )]
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let cosines = other.cosine.total_cmp(&self.cosine);
        cosines.then(self.node.cmp(&other.node))
    }
}

/// Why a walk came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A list of links is not what was written.
    Broken,
    /// It looked at as many vectors as was allowed.
    Tired,
}

impl From<Broken> for Lost {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Nodes that are kept.
    pub(super) width: usize,
    /// Vectors that are looked at, at most.
    pub(super) budget: usize,
    /// A node that does not exist for this walk.
    pub(super) hidden: Option<u32>,
}

/// Room that walks share, one after the other.
#[derive(Debug, Default)]
pub(super) struct Room {
    seen: Vec<u64>,
    touched: Vec<u32>,
    fresh: Vec<u32>,
    places: Vec<u32>,
    sums: Vec<i32>,
    cosines: Vec<f32>,
    /// Nodes that are still to be left for their neighbours, best on top.
    open: BinaryHeap<u64>,
    /// The best that count, worst on top.
    best: BinaryHeap<Reverse<u64>>,
}

/// The nodes that `counts` nearest to `query` along the links, best first; those that do not count are walked through.
pub(super) fn walk(
    layer: &Layer<'_>,
    codes: &Codes<'_>,
    query: &Coded,
    starts: &[u32],
    reach: Reach,
    counts: impl Fn(u32) -> bool,
    room: &mut Room,
) -> Result<Vec<Near>, Lost> {
    room.clear(layer.links.len());
    if let Some(hidden) = reach.hidden {
        room.see(hidden);
    }
    room.look(layer, codes, query, starts, reach.width, &counts);
    while let Some(key) = room.open.pop() {
        if room.best.len() == reach.width && room.worst() > key {
            break;
        }
        let links = layer.links.of(node_of(key))?;
        if let Some(next) = room.open.peek()
            && let Some(list) = layer.links.raw(node_of(*next))
        {
            dot::fetch(list);
        }
        room.look(layer, codes, query, links, reach.width, &counts);
        if room.touched.len() > reach.budget {
            return Err(Lost::Tired);
        }
    }
    let mut best: Vec<u64> = room.best.drain().map(|Reverse(key)| key).collect();
    best.sort_unstable_by_key(|&key| Reverse(key));
    Ok(best.into_iter().map(near).collect())
}

impl Room {
    /// Makes room for a layer of `n` nodes.
    fn clear(&mut self, n: usize) {
        for node in self.touched.drain(..) {
            self.seen[node as usize / 64] = 0;
        }
        if self.seen.len() < n.div_ceil(64) {
            self.seen.resize(n.div_ceil(64), 0);
        }
        self.open.clear();
        self.best.clear();
    }

    /// Whether a node is seen for the first time.
    fn see(&mut self, node: u32) -> bool {
        let (word, bit) = (&mut self.seen[node as usize / 64], 1 << (node % 64));
        let first = *word & bit == 0;
        if first {
            *word |= bit;
            self.touched.push(node);
        }
        first
    }

    fn worst(&self) -> u64 {
        self.best.peek().map_or(0, |Reverse(key)| *key)
    }

    /// Looks at nodes that were not seen yet.
    fn look(
        &mut self,
        layer: &Layer<'_>,
        codes: &Codes<'_>,
        query: &Coded,
        nodes: &[u32],
        width: usize,
        counts: &impl Fn(u32) -> bool,
    ) {
        self.fresh.clear();
        for &node in nodes {
            if self.see(node) {
                self.fresh.push(node);
            }
        }
        self.places.clear();
        self.places
            .extend(self.fresh.iter().map(|&node| layer.place(node)));
        codes.cosines(query, &self.places, &mut self.sums, &mut self.cosines);
        for (&node, &cosine) in self.fresh.iter().zip(&self.cosines) {
            let key = key(Near { node, cosine });
            if self.best.len() < width || key > self.worst() {
                self.open.push(key);
                if counts(node) {
                    self.best.push(Reverse(key));
                    if self.best.len() > width {
                        self.best.pop();
                    }
                }
            }
        }
    }
}

/// A number that is the larger, the nearer a node is; of equally near ones the first is larger.
fn key(near: Near) -> u64 {
    let bits = near.cosine.to_bits();
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u64::from(ordered) << 32 | u64::from(!near.node)
}

fn node_of(key: u64) -> u32 {
    !(key as u32)
}

fn near(key: u64) -> Near {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    };
    Near {
        node: node_of(key),
        cosine: f32::from_bits(bits),
    }
}
