//! How a graph is made, or made from one of fewer vectors: layer by layer, the highest first.

use super::carry::Carried;
use super::codes::Codes;
use super::draft::Draft;
use super::links::{BASE, UPPER, scatter};
use super::walk::Lost;
use super::way::{Gates, Way};
use crate::watch::Watch;

/// Why a graph was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmade {
    Stopped,
    Lost(Lost),
}

impl From<Lost> for Unmade {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// Lists of links of each layer, the lowest first, for vectors at `rows`; `carried` has what older layers say already.
///
/// Nodes come in batches of at most 512, in an order that looks random: the nodes of a batch look for neighbours in what
/// there was before (Manohar et al. 2024, `ParlayANN`), so the same vectors give the same graph on any number of threads.
pub(super) fn grow(
    codes: &Codes<'_>,
    rows: &[u32],
    members: &[Vec<u32>],
    mut carried: Vec<Carried>,
    watch: &dyn Watch,
) -> Result<Vec<Vec<u32>>, Unmade> {
    let Some((gates, uppers)) = members.split_last() else {
        return Ok(Vec::new());
    };
    let gates = Gates::new(codes, gates);
    let mut done = vec![Draft::of_gates(codes, &gates)?];
    carried.truncate(members.len());
    carried.resize_with(members.len(), Carried::default);
    for (level, carried) in carried.into_iter().enumerate().rev() {
        let mut draft = match level {
            0 => Draft::new(rows.len(), BASE, None),
            _ => Draft::new(uppers[level - 1].len(), UPPER, Some(&uppers[level - 1])),
        };
        for (node, links) in carried.lists {
            draft.put(node, &links);
        }
        let order = order(&draft, rows);
        if let Some(above) = done.last() {
            draft.seed(above)?;
        }
        let way = Way {
            gates: &gates,
            layers: done[1..].iter().map(Draft::layer).collect(),
        };
        insert(&mut draft, codes, &way, &order, watch)?;
        done.push(draft);
    }
    Ok(done.drain(1..).rev().map(|draft| draft.words).collect())
}

/// Nodes that are not here yet, in an order that looks random: neighbours in a document should not come together.
fn order(draft: &Draft<'_>, rows: &[u32]) -> Vec<u32> {
    let layer = draft.layer();
    let mut order: Vec<u32> = (0..layer.links.len() as u32)
        .filter(|&node| !draft.here.get(node))
        .collect();
    // Other bits than those that make a vector a member of a layer.
    let key = |node: &u32| scatter(!u64::from(rows[layer.place(*node) as usize]));
    order.sort_by_cached_key(key);
    order
}

fn insert(
    draft: &mut Draft<'_>,
    codes: &Codes<'_>,
    way: &Way<'_>,
    order: &[u32],
    watch: &dyn Watch,
) -> Result<(), Unmade> {
    let mut n_here = draft.here.count();
    let mut done = 0;
    while done < order.len() {
        if watch.stopped() {
            return Err(Unmade::Stopped);
        }
        watch.step(done, order.len(), "vectors linked");
        let batch = &order[done..(done + Draft::batch(n_here)).min(order.len())];
        draft.insert(codes, way, batch)?;
        done += batch.len();
        n_here += batch.len();
    }
    Ok(())
}
