//! The network that questions walk on: phrases and passages, and personalised PageRank over them.

use rayon::prelude::*;

/// Share of the walk that goes on from a node, the rest returns to the question's phrases (Jeh and Widom 2003).
const DAMPING: f32 = 0.5;
/// Steps of the walk; what is left after them is under a millionth.
const STEPS: usize = 20;
/// Nodes from which a step is worth sharing among threads.
const WORTH_THREADS: usize = 20_000;

/// Phrases first, passages after them; edges have no direction.
#[derive(Debug, Default)]
pub(crate) struct Network {
    n_phrases: usize,
    /// For each node, where its neighbours begin; compressed sparse rows.
    starts: Vec<u32>,
    neighbours: Vec<u32>,
    /// Weight of the edge, divided by all weights at its other end: what a step brings from there.
    shares: Vec<f32>,
}

impl Network {
    /// A network of `n_phrases` phrases and `n_passages` passages; the weights of parallel edges add up.
    pub(crate) fn new(
        n_phrases: usize,
        n_passages: usize,
        mut edges: Vec<(u32, u32, f32)>,
    ) -> Network {
        let n = n_phrases + n_passages;
        edges.retain(|(a, b, _)| a != b);
        for (a, b, _) in &mut edges {
            (*a, *b) = ((*a).min(*b), (*a).max(*b));
        }
        edges.sort_by_key(|&(a, b, _)| (a, b));
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut degrees = vec![0_u32; n + 1];
        let mut strengths = vec![0.0_f32; n];
        for &(a, b, weight) in &edges {
            for node in [a, b] {
                degrees[node as usize + 1] += 1;
                strengths[node as usize] += weight;
            }
        }
        let mut starts = degrees;
        for node in 0..n {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![0; starts[n] as usize];
        let mut shares = vec![0.0; starts[n] as usize];
        for (a, b, weight) in edges {
            for (to, from) in [(a, b), (b, a)] {
                let at = next[to as usize] as usize;
                next[to as usize] += 1;
                neighbours[at] = from;
                shares[at] = weight / strengths[from as usize];
            }
        }
        Network {
            n_phrases,
            starts,
            neighbours,
            shares,
        }
    }

    /// How much of the walk that starts at `seeds` is at each node: phrases, and passages.
    pub(crate) fn walk(&self, seeds: &[(u32, f32)]) -> (Vec<f32>, Vec<f32>) {
        let n = self.starts.len().saturating_sub(1);
        let sum: f32 = seeds.iter().map(|(_, weight)| weight).sum();
        let mut origin = vec![0.0; n];
        for &(node, weight) in seeds {
            origin[node as usize] += weight / sum;
        }
        let mut at = origin.clone();
        for _ in 0..STEPS {
            let arrive = |node: usize| {
                let row = self.starts[node] as usize..self.starts[node + 1] as usize;
                let came: f32 = row
                    .map(|i| at[self.neighbours[i] as usize] * self.shares[i])
                    .sum();
                DAMPING * came + (1.0 - DAMPING) * origin[node]
            };
            at = if n < WORTH_THREADS {
                (0..n).map(arrive).collect()
            } else {
                (0..n)
                    .into_par_iter()
                    .with_min_len(1024)
                    .map(arrive)
                    .collect()
            };
        }
        let passages = at.split_off(self.n_phrases);
        (at, passages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_stays_near_its_seeds_and_reaches_what_is_linked() {
        // Phrases 0-1-2 in a row, 3 apart; passages 4 (of 0), 5 (of 2), 6 (of 3).
        let edges = vec![
            (0, 1, 0.5),
            (2, 1, 1.0),
            (0, 4, 1.0),
            (2, 5, 1.0),
            (3, 6, 1.0),
            (1, 0, 0.5),
            (3, 3, 9.0),
        ];
        let (phrases, passages) = Network::new(4, 3, edges).walk(&[(0, 2.0)]);
        assert!(phrases[0] > phrases[1] && phrases[1] > phrases[2] && phrases[2] > 0.0);
        assert!(passages[0] > passages[1] && passages[1] > 0.0);
        assert!(passages[2] == 0.0 && phrases[3] == 0.0);
        let sum: f32 = phrases.iter().chain(&passages).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
}
