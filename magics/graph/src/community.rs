//! Communities: groups of nodes with more edges inside than chance would give.
//!
//! Louvain's local moving and aggregation (Blondel et al. 2008), with the step that Leiden (Traag et al. 2019) adds for
//! its main promise: a community that is not connected is split before it is aggregated. Each round costs O(edges).

use std::collections::BTreeMap;

/// Rounds of local moving on one level, at most; in practice it settles in under ten.
const ROUNDS: usize = 50;
/// Levels of aggregation, at most.
const LEVELS: usize = 20;
/// A move must gain more than this, so that rounding errors move nothing to and fro.
const LEAST_GAIN: f64 = 1e-9;

/// A weighted graph without directions; the weight of an edge counts once for each end, a loop twice for its node.
struct Level {
    neighbours: Vec<Vec<(u32, f64)>>,
    /// Weight of the edges inside each node, which stands for a group.
    inside: Vec<f64>,
}

impl Level {
    fn strength(&self, node: usize) -> f64 {
        self.inside[node]
            + self.neighbours[node]
                .iter()
                .map(|(_, weight)| weight)
                .sum::<f64>()
    }
}

/// The community of each node, numbered from 0 by size, the larger first; equal sizes go by their first node.
///
/// Directions are ignored and parallel edges add up. The result depends on nothing but the arguments. A node without
/// edges is a community of its own.
pub fn communities(n_nodes: usize, edges: &[(u32, u32, f32)]) -> Vec<u32> {
    let mut level = first_level(n_nodes, edges);
    let mut group_of: Vec<u32> = (0..n_nodes as u32).collect();
    for _ in 0..LEVELS {
        let moved = move_nodes(&level);
        let split = split_unconnected(&level, &moved);
        let n_groups = split.iter().max().map_or(0, |most| *most as usize + 1);
        for group in &mut group_of {
            *group = split[*group as usize];
        }
        if n_groups == level.inside.len() {
            break;
        }
        level = aggregate(&level, &split, n_groups);
    }
    by_size(&group_of)
}

fn first_level(n_nodes: usize, edges: &[(u32, u32, f32)]) -> Level {
    let mut weights: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); n_nodes];
    for &(a, b, weight) in edges {
        if a != b && weight > 0.0 {
            *weights[a as usize].entry(b).or_default() += f64::from(weight);
            *weights[b as usize].entry(a).or_default() += f64::from(weight);
        }
    }
    Level {
        neighbours: weights
            .into_iter()
            .map(|all| all.into_iter().collect())
            .collect(),
        inside: vec![0.0; n_nodes],
    }
}

/// Moves nodes to the neighbouring group with the largest gain in modularity until none moves.
fn move_nodes(level: &Level) -> Vec<u32> {
    let n = level.inside.len();
    let strengths: Vec<f64> = (0..n).map(|node| level.strength(node)).collect();
    let total: f64 = strengths.iter().sum();
    let mut group: Vec<u32> = (0..n as u32).collect();
    let mut group_strength = strengths.clone();
    let mut to_group = vec![0.0_f64; n];
    for _ in 0..ROUNDS {
        let mut moved = false;
        for node in 0..n {
            let own = group[node];
            let mut near: Vec<u32> = Vec::with_capacity(level.neighbours[node].len() + 1);
            near.push(own);
            for &(other, weight) in &level.neighbours[node] {
                let there = group[other as usize];
                to_group[there as usize] += weight;
                near.push(there);
            }
            near.sort_unstable();
            near.dedup();
            group_strength[own as usize] -= strengths[node];
            let gain = |to: u32| {
                to_group[to as usize] - group_strength[to as usize] * strengths[node] / total
            };
            let mut best = (own, gain(own));
            for &to in &near {
                let this = gain(to);
                if this > best.1 + LEAST_GAIN {
                    best = (to, this);
                }
            }
            group_strength[best.0 as usize] += strengths[node];
            group[node] = best.0;
            moved |= best.0 != own;
            for there in near {
                to_group[there as usize] = 0.0;
            }
        }
        if !moved {
            break;
        }
    }
    group
}

/// Numbers the connected parts of each group, in order of their first nodes.
fn split_unconnected(level: &Level, group: &[u32]) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut part = vec![UNSEEN; group.len()];
    let mut n_parts = 0;
    let mut stack = Vec::new();
    for start in 0..group.len() {
        if part[start] != UNSEEN {
            continue;
        }
        part[start] = n_parts;
        stack.push(start);
        while let Some(node) = stack.pop() {
            for &(other, _) in &level.neighbours[node] {
                let other = other as usize;
                if part[other] == UNSEEN && group[other] == group[start] {
                    part[other] = n_parts;
                    stack.push(other);
                }
            }
        }
        n_parts += 1;
    }
    part
}

/// The graph of the groups.
fn aggregate(level: &Level, group: &[u32], n_groups: usize) -> Level {
    let mut inside = vec![0.0; n_groups];
    let mut weights: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); n_groups];
    for (node, neighbours) in level.neighbours.iter().enumerate() {
        let own = group[node];
        inside[own as usize] += level.inside[node];
        for &(other, weight) in neighbours {
            let there = group[other as usize];
            if there == own {
                inside[own as usize] += weight;
            } else {
                *weights[own as usize].entry(there).or_default() += weight;
            }
        }
    }
    Level {
        neighbours: weights
            .into_iter()
            .map(|all| all.into_iter().collect())
            .collect(),
        inside,
    }
}

fn by_size(group_of: &[u32]) -> Vec<u32> {
    let mut sizes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (node, group) in group_of.iter().enumerate() {
        sizes.entry(*group).or_insert((0, node)).0 += 1;
    }
    let mut ranked: Vec<(u32, (usize, usize))> = sizes.into_iter().collect();
    ranked.sort_by_key(|&(_, (size, first))| (std::cmp::Reverse(size), first));
    let number: BTreeMap<u32, u32> = ranked
        .iter()
        .enumerate()
        .map(|(i, (group, _))| (*group, i as u32))
        .collect();
    group_of.iter().map(|group| number[group]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cliques of the given sizes, each joined to the next by one edge.
    fn cliques(sizes: &[u32]) -> (usize, Vec<(u32, u32, f32)>) {
        let (mut edges, mut first) = (Vec::new(), 0);
        for &size in sizes {
            for a in first..first + size {
                edges.extend((a + 1..first + size).map(|b| (a, b, 1.0)));
            }
            if first > 0 {
                edges.push((first - 1, first, 1.0));
            }
            first += size;
        }
        (first as usize, edges)
    }

    #[test]
    fn cliques_are_communities_numbered_by_size() {
        let (n, edges) = cliques(&[4, 6, 5]);
        let found = communities(n, &edges);
        assert_eq!(found, [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn lonely_nodes_and_loops_are_no_trouble() {
        assert!(communities(0, &[]).is_empty());
        assert_eq!(communities(3, &[(1, 1, 1.0)]), [0, 1, 2]);
        assert_eq!(communities(3, &[(0, 2, 1.0), (2, 0, 1.0)]), [0, 1, 0]);
    }

    #[test]
    fn the_order_of_edges_does_not_matter() {
        let (n, mut edges) = cliques(&[3, 8, 5, 5, 7]);
        let once = communities(n, &edges);
        edges.reverse();
        assert_eq!(communities(n, &edges), once);
    }

    #[test]
    fn every_community_is_connected() {
        let edges: Vec<(u32, u32, f32)> = (0..400_u32)
            .map(|i| (i * 7919 % 150, i * i * 31 % 150, 1.0))
            .collect();
        let found = communities(150, &edges);
        let level = first_level(150, &edges);
        let parts = split_unconnected(&level, &found);
        let n = |all: &[u32]| all.iter().max().copied();
        assert_eq!(n(&found), n(&parts));
    }
}
