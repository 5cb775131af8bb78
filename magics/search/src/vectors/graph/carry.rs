//! What an older graph is worth for vectors of which some went, some came and all may have moved.

use rayon::prelude::*;

use super::codes::Codes;
use super::draft::thinned;
use super::links::{BASE, Broken, Links, NONE, UPPER};
use super::walk::Layer;

/// Nodes that are looked through at a time.
const CHUNK: usize = 1 << 16;

/// Lists of links that a layer has from the start: nodes, each with its links.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) lists: Vec<(u32, Vec<u32>)>,
}

/// Where each vector of a file is in another; [`NONE`] where it went. Both sides ascend.
pub(super) fn moved(old: &[u32], new: &[u32]) -> Vec<u32> {
    let mut place = 0;
    old.iter()
        .map(|&row| {
            while new.get(place).is_some_and(|&other| other < row) {
                place += 1;
            }
            if new.get(place) == Some(&row) {
                place as u32
            } else {
                NONE
            }
        })
        .collect()
}

/// The lists of one layer for the places that its vectors have now.
///
/// A node that loses neighbours may link with theirs (Singh et al. 2021, `FreshDiskANN`, algorithm 4).
pub(super) fn carry(
    old: &Layer<'_>,
    moved: &[u32],
    new_places: Option<&[u32]>,
    codes: &Codes<'_>,
) -> Result<Carried, Broken> {
    let n = new_places.map_or(moved.len(), <[u32]>::len);
    let width = if new_places.is_none() { BASE } else { UPPER };
    // Of the new layer only the places are needed.
    let new = Layer {
        links: Links::new(&[], width),
        places: new_places,
    };
    let now = |node: u32| {
        let place = moved[old.place(node) as usize];
        (place != NONE).then(|| new.node(place)).flatten()
    };
    let list = |node: u32| -> Result<Option<(u32, Vec<u32>)>, Broken> {
        let links = old.links.of(node)?;
        let Some(here) = now(node) else {
            return Ok(None);
        };
        let mut kept: Vec<u32> = links.iter().filter_map(|&link| now(link)).collect();
        if kept.len() < links.len() {
            for &gone in links.iter().filter(|&&link| now(link).is_none()) {
                let behind = old.links.of(gone)?.iter();
                kept.extend(behind.filter_map(|&link| now(link)));
            }
            kept.sort_unstable();
            kept.dedup();
            kept.retain(|&link| link != here);
            kept = thinned(&new, codes, here, &kept, width);
        }
        // Without links it has to be looked for anew.
        Ok((!kept.is_empty()).then_some((here, kept)))
    };
    let mut lists = Vec::with_capacity(n);
    let n_old = old.links.len() as u32;
    for start in (0..n_old).step_by(CHUNK) {
        let end = n_old.min(start + CHUNK as u32);
        let chunk: Result<Vec<_>, Broken> = (start..end).into_par_iter().map(list).collect();
        lists.extend(chunk?.into_iter().flatten());
    }
    Ok(Carried { lists })
}
