//! One ranking out of several, by places and not by scores.

use std::collections::BTreeMap;

use crate::query::Ranked;
use crate::vectors::Scored;

/// The k of reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): the larger, the less the first places count.
const K: f32 = 60.0;

/// A row with its places.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Fused {
    pub(crate) row: u32,
    pub(crate) words: Option<Ranked>,
    pub(crate) vectors: Option<Ranked>,
    /// Sum of 1 / (60 + place).
    pub(crate) reciprocal: f32,
    /// What marks add to it for the order.
    boost: f32,
}

/// Fuses two rankings; a boost of 1 counts like the first place in one more ranking.
///
/// Rows that are boosted up come in even if no ranking has them. Ties go to the smaller row.
pub(crate) fn fuse(words: &[Scored], vectors: &[Scored], boosts: &[(u32, f32)]) -> Vec<Fused> {
    let mut fused: BTreeMap<u32, Fused> = BTreeMap::new();
    let mut take = |list: &[Scored], place: fn(&mut Fused) -> &mut Option<Ranked>| {
        for (rank, scored) in (1..).zip(list) {
            let entry = fused.entry(scored.row).or_default();
            *place(entry) = Some(Ranked {
                rank,
                score: scored.score,
            });
            entry.reciprocal += 1.0 / (K + rank as f32);
        }
    };
    take(words, |fused| &mut fused.words);
    take(vectors, |fused| &mut fused.vectors);
    for &(row, boost) in boosts {
        if boost > 0.0 || fused.contains_key(&row) {
            fused.entry(row).or_default().boost += boost / (K + 1.0);
        }
    }
    let mut ranking: Vec<Fused> = fused
        .into_iter()
        .map(|(row, fused)| Fused { row, ..fused })
        .collect();
    let key = |fused: &Fused| fused.reciprocal + fused.boost;
    ranking.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.row.cmp(&b.row)));
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[u32]) -> Vec<Scored> {
        rows.iter().map(|&row| Scored { row, score: 1.0 }).collect()
    }

    fn rows(fused: &[Fused]) -> Vec<u32> {
        fused.iter().map(|fused| fused.row).collect()
    }

    #[test]
    fn what_both_lists_have_comes_first() {
        let fused = fuse(&list(&[1, 2, 3]), &list(&[4, 2, 5]), &[]);
        assert_eq!(rows(&fused), [2, 1, 4, 3, 5]);
        assert!((fused[0].reciprocal - 2.0 / 62.0).abs() < 1e-7);
    }

    #[test]
    fn marks_move_items() {
        assert_eq!(
            rows(&fuse(
                &list(&[1, 2, 3]),
                &[],
                &[(3, 1.0), (1, -1.0), (9, -1.0)]
            )),
            [3, 2, 1]
        );
        assert_eq!(rows(&fuse(&list(&[1, 2]), &[], &[(9, 1.5)])), [9, 1, 2]);
    }
}
