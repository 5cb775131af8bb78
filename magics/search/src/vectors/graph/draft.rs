//! A layer in the making: nodes come in batch by batch, and the result does not depend on threads.

use rayon::prelude::*;

use super::codes::Codes;
use super::links::{self, Links, UPPER};
use super::select::select;
use super::walk::{Layer, Lost, Near, Reach, Room, walk};
use super::way::{Gates, Way};
use crate::vectors::Bits;

/// Nodes that a walk keeps while it looks for the neighbours of a new one.
pub(super) const SEARCHED: usize = 128;
/// Nodes of a batch, at most: they do not see each other.
const BATCH: usize = 512;
/// A batch is at most this part of what is there.
const PART: usize = 32;

/// A layer in the making.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    places: Option<&'a [u32]>,
    pub(super) words: Vec<u32>,
    width: usize,
    /// Nodes that are linked.
    pub(super) here: Bits,
}

impl<'a> Draft<'a> {
    /// `n` nodes without links.
    pub(super) fn new(n: usize, width: usize, places: Option<&'a [u32]>) -> Self {
        Self {
            places,
            words: links::empty(n, width),
            width,
            here: Bits::none(n),
        }
    }

    pub(super) fn layer(&self) -> Layer<'_> {
        Layer {
            links: Links::new(&self.words, self.width),
            places: self.places,
        }
    }

    /// Gives a node its links.
    pub(super) fn put(&mut self, node: u32, links: &[u32]) {
        links::write(&mut self.words, self.width, node, links);
        self.here.set(node);
    }

    /// The gates as a layer: links chosen from all.
    pub(super) fn of_gates(codes: &Codes<'_>, gates: &'a Gates) -> Result<Self, Lost> {
        let n = gates.places.len();
        let mut draft = Self::new(n, UPPER, Some(&gates.places));
        let layer = draft.layer();
        let choose = |node: u32| {
            let query = codes.coded(layer.place(node));
            let near = gates.nearest(&query, SEARCHED).into_iter();
            let near: Vec<Near> = near
                .filter(|&(other, _)| other != node)
                .map(|(node, cosine)| Near { node, cosine })
                .collect();
            select(&layer, codes, &near, UPPER / 2, UPPER - 1)
        };
        let nodes: Vec<u32> = (0..n as u32).collect();
        let chosen: Vec<Vec<u32>> = nodes.par_iter().map(|&node| choose(node)).collect();
        draft.link(codes, &nodes, &chosen)?;
        Ok(draft)
    }

    /// Takes over links between nodes of the layer above that have none here: a walk has something to start from.
    pub(super) fn seed(&mut self, above: &Draft<'_>) -> Result<(), Lost> {
        let upper = above.layer();
        for high in 0..upper.links.len() as u32 {
            let here = self.layer();
            let Some(node) = here.node(upper.place(high)) else {
                continue;
            };
            if self.here.get(node) {
                continue;
            }
            let links = upper.links.of(high)?.iter();
            let links: Vec<u32> = links
                .filter_map(|&link| here.node(upper.place(link)))
                .collect();
            self.put(node, &links);
        }
        Ok(())
    }

    /// How many of the nodes that come next make a batch.
    pub(super) fn batch(n_here: usize) -> usize {
        (n_here / PART).clamp(1, BATCH)
    }

    /// Links nodes with those that are here, and those with them.
    pub(super) fn insert(
        &mut self,
        codes: &Codes<'_>,
        way: &Way<'_>,
        nodes: &[u32],
    ) -> Result<(), Lost> {
        let choose = |room: &mut Room, &node: &u32| self.choose(codes, way, node, room);
        let chosen: Result<Vec<Vec<u32>>, Lost> =
            nodes.par_iter().map_init(Room::default, choose).collect();
        let chosen = chosen?;
        self.link(codes, nodes, &chosen)
    }

    /// The links of a new node.
    fn choose(
        &self,
        codes: &Codes<'_>,
        way: &Way<'_>,
        node: u32,
        room: &mut Room,
    ) -> Result<Vec<u32>, Lost> {
        let layer = self.layer();
        let query = codes.coded(layer.place(node));
        let starts = way.starts(codes, &query, room)?;
        let starts: Vec<u32> = starts
            .into_iter()
            .filter_map(|place| layer.node(place).filter(|&start| self.here.get(start)))
            .collect();
        let reach = Reach {
            width: SEARCHED,
            budget: usize::MAX,
            hidden: Some(node),
        };
        let mut near = walk(&layer, codes, &query, &starts, reach, |_| true, room)?;
        for &link in layer.links.of(node)? {
            if near.iter().all(|near| near.node != link) {
                let cosine = codes.cosine(&query, layer.place(link));
                near.push(Near { node: link, cosine });
            }
        }
        near.sort_unstable_by(Near::order);
        Ok(select(&layer, codes, &near, self.width / 2, self.width - 1))
    }

    /// Writes the links of nodes, and links back to them.
    fn link(&mut self, codes: &Codes<'_>, nodes: &[u32], chosen: &[Vec<u32>]) -> Result<(), Lost> {
        let mut back: Vec<(u32, u32)> = Vec::new();
        for (&node, links) in nodes.iter().zip(chosen) {
            self.put(node, links);
            back.extend(links.iter().map(|&link| (link, node)));
        }
        back.sort_unstable();
        let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
        let relinked: Result<Vec<Vec<u32>>, Lost> = groups
            .par_iter()
            .map(|group| self.relinked(codes, group))
            .collect();
        for (group, links) in groups.iter().zip(relinked?) {
            links::write(&mut self.words, self.width, group[0].0, &links);
        }
        Ok(())
    }

    /// The links of a node after others linked to it: pairs of it and another.
    fn relinked(&self, codes: &Codes<'_>, group: &[(u32, u32)]) -> Result<Vec<u32>, Lost> {
        let layer = self.layer();
        let node = group[0].0;
        let old = layer.links.of(node)?;
        let others = group.iter().map(|&(_, other)| other);
        let mut links = old.to_vec();
        links.extend(others.filter(|other| !old.contains(other)));
        if links.len() < self.width {
            return Ok(links);
        }
        Ok(thinned(&layer, codes, node, &links, self.width))
    }
}

/// The best links of a node for which there are too many.
pub(super) fn thinned(
    layer: &Layer<'_>,
    codes: &Codes<'_>,
    node: u32,
    links: &[u32],
    width: usize,
) -> Vec<u32> {
    let query = codes.coded(layer.place(node));
    let places: Vec<u32> = links.iter().map(|&link| layer.place(link)).collect();
    let (mut sums, mut cosines) = (Vec::new(), Vec::new());
    codes.cosines(&query, &places, &mut sums, &mut cosines);
    let mut near: Vec<Near> = links
        .iter()
        .zip(cosines)
        .map(|(&node, cosine)| Near { node, cosine })
        .collect();
    near.sort_unstable_by(Near::order);
    select(layer, codes, &near, width / 2, width - 1)
}
