//! A graph with about half the nodes: pairs of neighbours become one.

use std::collections::BTreeMap;

use super::Piece;

/// A smaller piece, and the node in it that stands for each node of the larger; none when it hardly shrinks.
///
/// Each node pairs with the free neighbour to which its edge is heaviest for the sizes; what finds none, as the rays of
/// a star do, joins the group of a neighbour. O(edges).
pub(super) fn coarser(piece: &Piece) -> Option<(Piece, Vec<u32>)> {
    const FREE: u32 = u32::MAX;
    let n = piece.sizes.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&node| (piece.neighbours[node].len(), node));
    let mut group = vec![FREE; n];
    let mut sizes: Vec<f32> = Vec::new();
    for node in order {
        if group[node] != FREE {
            continue;
        }
        let worth = |&(other, weight): &(u32, f32)| {
            weight / (piece.sizes[node] * piece.sizes[other as usize])
        };
        let free = piece.neighbours[node]
            .iter()
            .filter(|(other, _)| group[*other as usize] == FREE);
        let mate = free.max_by(|a, b| worth(a).total_cmp(&worth(b)).then(b.0.cmp(&a.0)));
        let taken = piece.neighbours[node]
            .iter()
            .map(|(other, _)| group[*other as usize])
            .find(|&g| g != FREE);
        match (mate, taken) {
            (Some(&(mate, _)), _) => {
                group[node] = sizes.len() as u32;
                group[mate as usize] = group[node];
                sizes.push(piece.sizes[node] + piece.sizes[mate as usize]);
            }
            (None, Some(taken)) => {
                group[node] = taken;
                sizes[taken as usize] += piece.sizes[node];
            }
            (None, None) => {
                group[node] = sizes.len() as u32;
                sizes.push(piece.sizes[node]);
            }
        }
    }
    if sizes.len() * 10 > n * 9 {
        return None;
    }
    let mut weights: Vec<BTreeMap<u32, f32>> = vec![BTreeMap::new(); sizes.len()];
    for (node, neighbours) in piece.neighbours.iter().enumerate() {
        for &(other, weight) in neighbours {
            let (from, to) = (group[node], group[other as usize]);
            if from != to {
                *weights[from as usize].entry(to).or_default() += weight;
            }
        }
    }
    let neighbours = weights
        .into_iter()
        .map(|all| all.into_iter().collect())
        .collect();
    Some((Piece { sizes, neighbours }, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_halves_and_a_star_collapses() {
        let path = |n: u32| Piece {
            sizes: vec![1.0; n as usize],
            neighbours: (0..n)
                .map(|i| {
                    [i.checked_sub(1), (i + 1 < n).then_some(i + 1)]
                        .into_iter()
                        .flatten()
                        .map(|o| (o, 1.0))
                        .collect()
                })
                .collect(),
        };
        let (small, group) = coarser(&path(8)).unwrap();
        assert_eq!(small.sizes, [2.0; 4]);
        assert_eq!(group.len(), 8);
        let star = Piece {
            sizes: vec![1.0; 9],
            neighbours: (0..9_u32)
                .map(|i| {
                    if i == 0 {
                        (1..9).map(|o| (o, 1.0)).collect()
                    } else {
                        vec![(0, 1.0)]
                    }
                })
                .collect(),
        };
        let (small, _) = coarser(&star).unwrap();
        assert_eq!(small.sizes, [9.0]);
    }
}
