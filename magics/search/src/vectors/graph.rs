//! A graph of one file of vectors, for searches that look at a few hundred of them (HNSW; Malkov & Yashunin 2016).
//!
//! What differs from the paper: walks compare codes of 8 bits, and the values decide among those that were found; the
//! highest layer has up to 4,096 nodes, which are all looked at; nodes come in batches, so that any number of threads makes
//! the same graph; and nothing on disk is trusted: a list of links is checked whenever it is read.
//!
//! It is ours because no crate has these together: a walk over vectors that stay in a mapped file, the same graph on any
//! threads, files that may be damaged (`hnsw_rs` 0.3 reads beyond its buffer or ends the process then), vectors that go.
//!
//! Memory: making a graph holds 128 bytes a vector, and 150 more where an older one is taken over; the vectors stay mapped.
//! The file takes 136 bytes a vector; a search holds a bit a vector and what it looks at.

mod carry;
mod codes;
mod draft;
mod file;
mod grow;
mod links;
mod recall;
mod select;
mod walk;
mod way;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;

use super::bits::Bits;
use super::scan::Probe;
use super::segment::{Segment, map};
use super::top::Scored;
use crate::error::{SearchError, at};
use crate::watch::Watch;
pub(crate) use codes::Coded;
use codes::Codes;
use file::Head;
use grow::{Unmade, grow};
pub use recall::Recall;
pub(crate) use walk::Lost;
use walk::{Layer, Reach, Room, walk};
pub(crate) use way::GATES;
use way::{Gates, Way, members};

/// A graph is made anew when more than this part of its vectors went since it was made, in hundredths.
const MOST_GONE: usize = 30;
/// What looking at the next vector of a file costs, where looking at one that a walk comes to costs 16.
const STREAMED: usize = 3;
/// What looking at one value after the other costs that a filter lets through.
const PICKED: usize = 48;

/// A mapped graph; belongs to one file of vectors.
#[derive(Debug)]
pub(crate) struct Graph {
    path: PathBuf,
    map: Mmap,
    head: Head,
    /// Places of the nodes of each layer above the lowest; the last are the gates.
    members: Vec<Vec<u32>>,
    gates: OnceLock<Gates>,
}

impl Graph {
    /// Maps the graph of `segment`; its header and its length are checked, each list when it is read.
    pub(crate) fn open(path: &Path, segment: &Segment) -> Result<Self, SearchError> {
        let damaged = |what: &str| SearchError::Damaged {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let map = map(path)?;
        let head = Head::read(&map, path)?;
        if head.n != segment.len() || head.stamp != segment.stamp() {
            return Err(damaged("it belongs to other vectors"));
        }
        let members = members(segment.rows());
        if map.len() != file::n_bytes(head.n, &members) {
            return Err(damaged(&format!("{} bytes are not its length", map.len())));
        }
        Ok(Self {
            path: path.to_owned(),
            map,
            head,
            members,
            gates: OnceLock::new(),
        })
    }

    /// Makes the graph of `segment`, from `older` as far as that is worth it, and writes it, synced to the disk.
    ///
    /// Measures what share of the true neighbours it finds, and sets how far walks go by that.
    pub(crate) fn make(
        path: &Path,
        segment: &Segment,
        older: Option<(&Self, &Segment)>,
        watch: &dyn Watch,
    ) -> Result<(), SearchError> {
        let broke = |_| SearchError::Damaged {
            path: path.to_owned(),
            what: "its lists broke while they were made".to_owned(),
        };
        let codes = Codes::of(segment);
        let members = members(segment.rows());
        let (carried, n_gone) = older
            .and_then(|(graph, old)| graph.worth(old, segment, &members))
            .unwrap_or_default();
        let lists = match grow(&codes, segment.rows(), &members, carried, watch) {
            Ok(lists) => lists,
            Err(Unmade::Stopped) => return Err(SearchError::Stopped),
            Err(Unmade::Lost(lost)) => return Err(broke(lost)),
        };
        let layers: Vec<Layer> = layers(&members, lists.iter().map(Vec::as_slice));
        let measured = recall::measure(segment, &layers, &members, watch)?;
        let (recall, width) = measured.map_err(broke)?;
        let head = Head {
            n: segment.len(),
            stamp: segment.stamp(),
            width,
            recall,
            n_gone,
        };
        file::write(path, head, &lists).map_err(at(path))
    }

    /// What the lists say about the vectors of another file, and how many vectors went; none if making them anew is better.
    fn worth(
        &self,
        old: &Segment,
        new: &Segment,
        members: &[Vec<u32>],
    ) -> Option<(Vec<carry::Carried>, usize)> {
        self.verify().ok()?;
        let moved = carry::moved(old.rows(), new.rows());
        let gone = moved.iter().filter(|&&place| place == links::NONE).count();
        let n_gone = self.head.n_gone + gone;
        if n_gone * 100 > new.len() * MOST_GONE {
            return None;
        }
        let codes = Codes::of(new);
        let mut carried = Vec::new();
        for (level, layer) in self.layers().iter().enumerate().take(members.len()) {
            let places = level.checked_sub(1).map(|upper| members[upper].as_slice());
            carried.push(carry::carry(layer, &moved, places, &codes).ok()?);
        }
        Some((carried, n_gone))
    }

    /// The `k` nearest of the rows in `mask`, best first, approximately; says why if looking at all of them is better.
    pub(crate) fn nearest(
        &self,
        segment: &Segment,
        probe: &Probe,
        mask: &Bits,
        k: usize,
    ) -> Result<Vec<Scored>, Lost> {
        self.nearest_with(segment, probe, mask, k, self.width(k))
    }

    /// As [`Graph::nearest`], with a walk that keeps `width` nodes.
    fn nearest_with(
        &self,
        segment: &Segment,
        probe: &Probe,
        mask: &Bits,
        k: usize,
        width: usize,
    ) -> Result<Vec<Scored>, Lost> {
        let (n, n_counting) = (segment.len(), mask.count().min(segment.len()));
        // Where everything that counts is looked at, a filter is followed vector by vector or in the flow.
        let budget = (STREAMED * n / 16).min(PICKED * n_counting / 16 + n / 64);
        if n_counting == 0 || width * 16 * n / n_counting > budget {
            return Err(Lost::Tired);
        }
        let codes = Codes::of(segment);
        let gates = self
            .gates
            .get_or_init(|| Gates::new(&codes, self.members.last().map_or(&[], Vec::as_slice)));
        let layers = self.layers();
        let rows = segment.rows();
        let counts = |place: u32| mask.get(rows[place as usize]);
        let found = descend(&codes, gates, &layers, probe, (width, budget, None), counts)?;
        Ok(best(segment, probe, &found, k))
    }

    /// Nodes that a walk for the `k` nearest keeps.
    fn width(&self, k: usize) -> usize {
        width(self.head.width, k)
    }

    /// How near it comes to the truth.
    pub(crate) fn recall(&self) -> Recall {
        self.head.recall
    }

    /// Reads everything and compares it with the checksum.
    pub(crate) fn verify(&self) -> Result<(), SearchError> {
        file::verify(&self.map, &self.path)
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        layers(
            &self.members,
            file::lists(&self.map, self.head.n, &self.members),
        )
    }
}

/// Nodes that a walk for the `k` nearest keeps if one for the ten nearest keeps `base`.
fn width(base: usize, k: usize) -> usize {
    base.max(base / 2 + 3 * k)
}

/// Layers with links, the lowest first.
fn layers<'a>(members: &'a [Vec<u32>], lists: impl Iterator<Item = &'a [u32]>) -> Vec<Layer<'a>> {
    let places = std::iter::once(None).chain(members.iter().map(|places| Some(places.as_slice())));
    places
        .zip(lists)
        .map(|(places, words)| Layer {
            links: links::Links::new(words, file::list_width(places.is_none())),
            places,
        })
        .collect()
}

/// Goes through the gates and down to the lowest layer; `goal` is how many are kept, how many looked at and who is left out.
fn descend(
    codes: &Codes<'_>,
    gates: &Gates,
    layers: &[Layer<'_>],
    probe: &Probe,
    (width, budget, hidden): (usize, usize, Option<u32>),
    counts: impl Fn(u32) -> bool,
) -> Result<Vec<walk::Near>, Lost> {
    let Some((base, uppers)) = layers.split_first() else {
        return Err(Lost::Tired);
    };
    let (query, mut room) = (probe.coded(), Room::default());
    let way = Way {
        gates,
        layers: uppers.iter().rev().copied().collect(),
    };
    let starts = way.starts(codes, &query, &mut room)?;
    let reach = Reach {
        width,
        budget,
        hidden,
    };
    walk(base, codes, &query, &starts, reach, counts, &mut room)
}

/// The `k` best of what a walk found, by their values.
fn best(segment: &Segment, probe: &Probe, found: &[walk::Near], k: usize) -> Vec<Scored> {
    let likely = found.iter().take((2 * k).max(k + 32));
    let mut scored: Vec<Scored> = likely
        .map(|near| Scored {
            row: segment.rows()[near.node as usize],
            score: probe.cosine(segment, near.node as usize),
        })
        .collect();
    scored.sort_unstable_by(Scored::order);
    scored.truncate(k);
    scored
}

#[cfg(test)]
mod tests;
