//! Where to draw the nodes of a graph: forces on several levels, no browser needed.
//!
//! Each connected component is laid out by itself with springs along edges and repulsion between all nodes, coarse
//! graph first (Walshaw 2003, Hu 2005), in O(n log n) a step by a quadtree (Barnes and Hut 1986). The largest stands in
//! the middle, the others in rings around it. A short edge is about one unit long.

mod coarse;
mod force;
mod rings;
mod tree;

use std::collections::BTreeMap;

use rayon::prelude::*;

/// What each neighbour adds to the push of a node, so that hubs stand apart (Jacomy et al. 2014).
const DEGREE_COUNTS: f32 = 2.0;

/// A connected graph with node and edge weights.
#[derive(Debug, Clone, Default)]
struct Piece {
    /// How strongly each node pushes others away, and how hard it is to pull.
    sizes: Vec<f32>,
    neighbours: Vec<Vec<(u32, f32)>>,
}

/// Places `n_nodes` nodes; edges are pairs with a weight above zero, directions and loops do not matter.
///
/// The same arguments give the same places.
pub fn layout(n_nodes: usize, edges: &[(u32, u32, f32)], seed: u64) -> Vec<[f32; 2]> {
    let neighbours = neighbours(n_nodes, edges);
    let members = components(&neighbours);
    let pieces: Vec<Vec<[f32; 2]>> = members
        .par_iter()
        .map(|members| force::place(&piece(members, &neighbours), seed))
        .collect();
    let offsets = rings::arrange(&pieces);
    let mut places = vec![[0.0; 2]; n_nodes];
    for ((members, placed), offset) in members.iter().zip(&pieces).zip(offsets) {
        for (&node, place) in members.iter().zip(placed) {
            places[node as usize] = [place[0] + offset[0], place[1] + offset[1]];
        }
    }
    places
}

fn neighbours(n_nodes: usize, edges: &[(u32, u32, f32)]) -> Vec<BTreeMap<u32, f32>> {
    let mut neighbours = vec![BTreeMap::new(); n_nodes];
    for &(a, b, weight) in edges {
        if a != b {
            *neighbours[a as usize].entry(b).or_insert(0.0) += weight;
            *neighbours[b as usize].entry(a).or_insert(0.0) += weight;
        }
    }
    neighbours
}

/// The connected components, the largest first, then by first node.
fn components(neighbours: &[BTreeMap<u32, f32>]) -> Vec<Vec<u32>> {
    let mut seen = vec![false; neighbours.len()];
    let mut components = Vec::new();
    for start in 0..neighbours.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut members = vec![start as u32];
        let mut next = 0;
        while let Some(&node) = members.get(next) {
            next += 1;
            for &other in neighbours[node as usize].keys() {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    members.push(other);
                }
            }
        }
        members.sort_unstable();
        components.push(members);
    }
    components.sort_by_key(|members| (std::cmp::Reverse(members.len()), members[0]));
    components
}

fn piece(members: &[u32], neighbours: &[BTreeMap<u32, f32>]) -> Piece {
    let number: BTreeMap<u32, u32> = members
        .iter()
        .enumerate()
        .map(|(i, &node)| (node, i as u32))
        .collect();
    let own = |node: &u32| {
        neighbours[*node as usize]
            .iter()
            .map(|(other, &weight)| (number[other], weight))
            .collect()
    };
    Piece {
        sizes: members
            .iter()
            .map(|&node| 1.0 + DEGREE_COUNTS * neighbours[node as usize].len() as f32)
            .collect(),
        neighbours: members.iter().map(own).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
        (a[0] - b[0]).hypot(a[1] - b[1])
    }

    #[test]
    fn nothing_and_little_are_placed() {
        assert!(layout(0, &[], 1).is_empty());
        assert_eq!(layout(1, &[], 1), [[0.0, 0.0]]);
        let pair = layout(2, &[(0, 1, 1.0), (1, 1, 2.0)], 1);
        assert!((0.4..2.0).contains(&distance(pair[0], pair[1])), "{pair:?}");
    }

    #[test]
    fn the_same_arguments_give_the_same_places() {
        let edges: Vec<_> = (0..300_u32).map(|i| (i % 97, i * 31 % 101, 1.0)).collect();
        assert_eq!(layout(120, &edges, 7), layout(120, &edges, 7));
    }

    #[test]
    fn neighbours_are_near_and_nodes_apart() {
        // A star of 40 rays and a ring of 30 nodes, joined.
        let mut edges: Vec<(u32, u32, f32)> = (1..=40).map(|ray| (0, ray, 1.0)).collect();
        edges.extend((41..71).map(|i| (i, if i == 70 { 41 } else { i + 1 }, 1.0)));
        edges.push((0, 41, 1.0));
        let places = layout(71, &edges, 3);
        assert!(places.iter().flatten().all(|x| x.is_finite()));
        let mean = edges
            .iter()
            .map(|&(a, b, _)| distance(places[a as usize], places[b as usize]))
            .sum::<f32>()
            / edges.len() as f32;
        assert!((0.3..4.0).contains(&mean), "{mean}");
        for a in 0..71 {
            for b in 0..a {
                assert!(distance(places[a], places[b]) > 0.15, "{a} {b}");
            }
        }
    }

    #[test]
    fn small_components_stand_around_the_large_one() {
        let mut edges: Vec<(u32, u32, f32)> = (0..50).map(|i| (i, (i + 1) % 50, 1.0)).collect();
        edges.extend((50..90).step_by(2).map(|i| (i, i + 1, 1.0)));
        let places = layout(90, &edges, 3);
        let far = |nodes: std::ops::Range<usize>| {
            places[nodes]
                .iter()
                .map(|p| p[0].hypot(p[1]))
                .fold(0.0, f32::max)
        };
        let near = places[50..]
            .iter()
            .map(|p| p[0].hypot(p[1]))
            .fold(f32::MAX, f32::min);
        assert!(near > far(0..50), "{near} {}", far(0..50));
    }
}
