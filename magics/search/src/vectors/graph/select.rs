//! Which of its near nodes a node is linked with: those that are not nearer to one already taken.

use super::codes::{Coded, Codes};
use super::walk::{Layer, Near};
use crate::vectors::dot;

/// Up to `most` of `candidates`, which come best first (algorithm 4 of Malkov & Yashunin 2016).
///
/// Links that lead into different directions are what makes a walk short: a candidate that is nearer to one already taken
/// than to the node itself can be reached through that one. Rejected ones fill the list up to `least`.
pub(super) fn select(
    layer: &Layer<'_>,
    codes: &Codes<'_>,
    candidates: &[Near],
    least: usize,
    most: usize,
) -> Vec<u32> {
    let mut taken: Vec<(u32, Coded)> = Vec::with_capacity(most);
    let mut rejected: Vec<u32> = Vec::new();
    for candidate in candidates {
        if taken.len() == most {
            break;
        }
        let place = layer.place(candidate.node);
        let (row, scale) = (codes.row(place), codes.scale(place));
        let behind = taken.iter().any(|(_, other)| {
            let mut sum = [0];
            dot::codes(&other.codes, row, &mut sum);
            other.cosine(sum[0], scale) > candidate.cosine
        });
        if behind {
            rejected.push(candidate.node);
        } else {
            taken.push((candidate.node, codes.coded(place)));
        }
    }
    let mut nodes: Vec<u32> = taken.into_iter().map(|(node, _)| node).collect();
    let n_filled = least.saturating_sub(nodes.len());
    nodes.extend(rejected.into_iter().take(n_filled));
    nodes
}
