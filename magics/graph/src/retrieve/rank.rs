//! How the walk, the words of passages and the best of their sentences rank passages together.

use std::collections::BTreeSet;

use super::asked::Score;
use super::bm25::best;
use super::evidence::Reader;
use super::link::Link;
use super::{MOST_PASSAGES, Ranking};

/// How much plain word search counts beside the walk where names lead. With more, passages that only lead to the answer
/// fall behind: of 0.1 to 0.4, less was always better for questions in several steps.
const PLAIN_COUNTS: f32 = 0.1;
/// What is added to that where no name leads: a common noun is in many passages, and the walk from it cannot tell
/// which of them the question means.
const PLAIN_COUNTS_UNNAMED: f32 = 0.8;
/// How much more a passage counts that states in one triple all that the question asks for, as `NVIDIA was founded by …`
/// does for `Who founded NVIDIA?`. Anything from 1.1 to 2 ranks the same.
const STATED_COUNTS: f32 = 1.5;
/// How much nearness in meaning counts beside words where names lead; where none does, the walk says too little to multiply.
const MEANT_COUNTS: f32 = 2.0;
/// How much it counts by itself.
const MEANT_COUNTS_ALONE: f32 = 0.4;
/// Fewest passages shown of which plain word search may have one.
const LEAST_SHARED: usize = 3;

/// What is known of the passages before they are read.
pub(super) struct Weighed {
    /// How much of the walk is at each passage; empty without links.
    walked: Vec<f32>,
    /// How well the words of each passage match.
    pub(super) plain: Vec<f32>,
    /// How near each passage is in meaning, from 0 to 1; empty when nobody knows.
    pub(super) meant: Vec<f32>,
    /// Share of the walk that starts at names.
    named: f32,
}

impl Weighed {
    pub(super) fn new(
        walked: Vec<f32>,
        plain: Vec<f32>,
        meant: Vec<f32>,
        links: &[Link],
    ) -> Weighed {
        let sum =
            |links: &mut dyn Iterator<Item = &Link>| links.map(|link| link.weight).sum::<f32>();
        let all = sum(&mut links.iter()).max(f32::MIN_POSITIVE);
        Weighed {
            named: sum(&mut links.iter().filter(|link| link.named)) / all,
            walked,
            plain,
            meant,
        }
    }

    /// Passages, best first; plain words alone without links and meanings.
    ///
    /// The walk says how near a passage is to what the question names, the words whether it speaks of what is asked:
    /// they multiply, so that words decide among passages that are equally near, also where none of the names stands.
    /// The walk's part enters by its square root, since it falls off by orders of magnitude with each step. Words are
    /// those of the passage (BM25) and those that meet in its best sentence; how near a passage is in meaning counts as
    /// they do. Among the `shown` first there is always
    /// the best of plain word search: what a reader would have found without a graph is never lost.
    pub(super) fn guided(&self, reader: &Reader, shown: usize) -> Ranking {
        let plain_best = best(&self.plain, MOST_PASSAGES);
        if self.walked.is_empty() && self.meant.is_empty() {
            return plain_best;
        }
        let plain: Vec<f32> = portions(&self.plain).collect();
        let or_none = |known: Vec<f32>| {
            if known.is_empty() {
                vec![0.0; plain.len()]
            } else {
                known
            }
        };
        let walked = or_none(portions(&self.walked).map(f32::sqrt).collect());
        let meant = or_none(self.meant.clone());
        let plain_counts = PLAIN_COUNTS + PLAIN_COUNTS_UNNAMED * (1.0 - self.named);
        let meant_counts = MEANT_COUNTS * self.named;
        let score = |passage: usize, sentence: f32| {
            walked[passage] * (1.0 + plain[passage] + sentence + meant_counts * meant[passage])
                + plain_counts * plain[passage]
                + MEANT_COUNTS_ALONE * meant[passage]
        };
        // Only what is near, shares words or means the like is read: reading all passages of many documents would take seconds.
        let unread: Vec<f32> = (0..plain.len())
            .map(|passage| score(passage, 0.0))
            .collect();
        let candidates: BTreeSet<u32> = best(&unread, MOST_PASSAGES)
            .iter()
            .chain(&plain_best)
            .chain(&best(&meant, MOST_PASSAGES))
            .map(|(passage, _)| *passage)
            .collect();
        let read: Vec<Score> = candidates.iter().map(|&p| reader.best_score(p)).collect();
        let most = read
            .iter()
            .map(|read| read.said)
            .fold(f32::MIN_POSITIVE, f32::max);
        let mut ranked: Ranking = candidates
            .iter()
            .zip(&read)
            .map(|(&passage, read)| {
                let stated = if read.stated { STATED_COUNTS } else { 1.0 };
                (passage, stated * score(passage as usize, read.said / most))
            })
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if let (Some((first, _)), LEAST_SHARED..) = (plain_best.first(), shown) {
            share(&mut ranked, *first, shown);
        }
        ranked.truncate(MOST_PASSAGES);
        ranked
    }
}

/// Puts a passage at the last of the first `shown` places, unless it has one of them.
fn share(ranked: &mut Ranking, passage: u32, shown: usize) {
    let at = ranked.iter().position(|(other, _)| *other == passage);
    if let Some(at) = at.filter(|at| *at >= shown) {
        let score = ranked[shown - 1].1;
        ranked.remove(at);
        ranked.insert(shown - 1, (passage, score));
    }
}

/// Scores as shares of the highest.
fn portions(scores: &[f32]) -> impl Iterator<Item = f32> {
    let most = scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    scores.iter().map(move |score| score / most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plain_search_finds_first_is_among_what_is_shown() {
        let mut ranked = vec![(7, 1.0), (3, 0.9), (5, 0.5), (2, 0.4), (8, 0.3)];
        share(&mut ranked, 3, 3);
        assert_eq!(ranked[..3], [(7, 1.0), (3, 0.9), (5, 0.5)]);
        share(&mut ranked, 8, 3);
        assert_eq!(ranked, [(7, 1.0), (3, 0.9), (8, 0.5), (5, 0.5), (2, 0.4)]);
    }
}
