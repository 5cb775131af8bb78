//! CaRB's scorer with its default matcher (S. Bhardwaj, S. Aggarwal, Mausam, "CaRB: a crowdsourced benchmark for open
//! IE", EMNLP 2019): words in common, recall by the best extraction of each gold tuple, precision one to one.

use std::collections::BTreeMap;

/// An extraction or a gold tuple.
#[derive(Debug, Clone)]
pub(crate) struct Tuple {
    pub(crate) confidence: f64,
    pub(crate) relation: String,
    pub(crate) arguments: Vec<String>,
}

/// Tuples by sentence.
pub(crate) type Tuples = BTreeMap<String, Vec<Tuple>>;

/// The point of the precision-recall curve with the best F1, and the area below the curve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score {
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
    pub(crate) auc: f64,
}

/// Numerators and denominators of precision and recall at one confidence.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    precision: f64,
    n_extractions: f64,
    recall: f64,
    n_gold: f64,
}

/// Scores `extractions` against `gold`; sentences are compared without spaces and punctuation.
pub(crate) fn score(gold: &Tuples, extractions: &Tuples) -> Score {
    let by_key: BTreeMap<String, &Vec<Tuple>> = extractions
        .iter()
        .map(|(sentence, tuples)| (key(sentence), tuples))
        .collect();
    let gold: BTreeMap<String, &Vec<Tuple>> = gold
        .iter()
        .map(|(sentence, tuples)| (key(sentence), tuples))
        .collect();
    let mut thresholds: Vec<f64> = by_key
        .values()
        .flat_map(|tuples| tuples.iter().map(|tuple| tuple.confidence))
        .collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let mut sums = vec![Sums::default(); thresholds.len()];
    let none = Vec::new();
    for (sentence, gold) in &gold {
        add_sentence(
            gold,
            by_key.get(sentence).copied().unwrap_or(&none),
            &thresholds,
            &mut sums,
        );
    }
    curve(&sums)
}

fn add_sentence(gold: &[Tuple], found: &[Tuple], thresholds: &[f64], sums: &mut [Sums]) {
    let scores: Vec<Vec<(f64, f64)>> = gold
        .iter()
        .map(|g| found.iter().map(|f| match_said(g, f)).collect())
        .collect();
    let mut confidences: Vec<f64> = found.iter().map(|tuple| tuple.confidence).collect();
    confidences.sort_by(f64::total_cmp);
    confidences.dedup();
    let mut from = 0;
    for confidence in confidences {
        let to = thresholds.partition_point(|&threshold| threshold <= confidence);
        let kept: Vec<usize> = (0..found.len())
            .filter(|&i| found[i].confidence >= confidence)
            .collect();
        let recall: f64 = scores
            .iter()
            .map(|row| kept.iter().map(|&i| row[i].1).fold(0.0, f64::max))
            .sum();
        let precision = one_to_one(&scores, &kept);
        for sum in &mut sums[from..to] {
            sum.precision += precision;
            sum.n_extractions += kept.len() as f64;
            sum.recall += recall;
        }
        from = to;
    }
    for sum in sums {
        sum.n_gold += gold.len() as f64;
    }
}

/// Sum of precisions when each gold tuple takes one extraction, the best pair first.
fn one_to_one(scores: &[Vec<(f64, f64)>], kept: &[usize]) -> f64 {
    let (mut rows, mut columns): (Vec<usize>, Vec<usize>) =
        ((0..scores.len()).collect(), kept.to_vec());
    let mut total = 0.0;
    while !rows.is_empty() && !columns.is_empty() {
        let mut best = (0, 0, -1.0);
        for (r, &row) in rows.iter().enumerate() {
            for (c, &column) in columns.iter().enumerate() {
                if scores[row][column].0 > best.2 {
                    best = (r, c, scores[row][column].0);
                }
            }
        }
        rows.remove(best.0);
        columns.remove(best.1);
        total += best.2;
    }
    total
}

fn curve(sums: &[Sums]) -> Score {
    let mut best = Score {
        precision: 0.0,
        recall: 0.0,
        f1: 0.0,
        auc: 0.0,
    };
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(sums.len() + 1);
    for sum in sums {
        let precision = if sum.n_extractions > 0.0 {
            sum.precision / sum.n_extractions
        } else {
            1.0
        };
        let recall = if sum.n_gold > 0.0 {
            sum.recall / sum.n_gold
        } else {
            0.0
        };
        let f1 = if precision + recall > 0.0 {
            2.0 * precision * recall / (precision + recall)
        } else {
            0.0
        };
        if f1 > best.f1 {
            best = Score {
                precision,
                recall,
                f1,
                auc: 0.0,
            };
        }
        points.push((recall, precision));
    }
    points.push((0.0, 1.0));
    best.auc = points
        .windows(2)
        .map(|pair| (pair[0].0 - pair[1].0) * f64::midpoint(pair[0].1, pair[1].1))
        .sum();
    best
}

/// The default matcher: words after the first argument are one argument; reported speech may be turned round.
fn match_said(gold: &Tuple, found: &Tuple) -> (f64, f64) {
    const SAID: [&str; 5] = ["said", "told", "added", "adds", "says"];
    let reference = two_parts(&gold.arguments);
    let parts = two_parts(&found.arguments);
    let straight = match_parts(&gold.relation, &reference, &found.relation, &parts);
    if !SAID.iter().any(|verb| gold.relation.contains(verb)) {
        return straight;
    }
    let turned: Vec<Vec<&str>> = if parts.len() == 2 {
        parts.into_iter().rev().collect()
    } else {
        parts
    };
    let reverse = match_parts(&gold.relation, &reference, &found.relation, &turned);
    if reverse > straight {
        reverse
    } else {
        straight
    }
}

fn two_parts(arguments: &[String]) -> Vec<Vec<&str>> {
    let Some((first, rest)) = arguments.split_first() else {
        return Vec::new();
    };
    let mut parts = vec![first.split_whitespace().collect()];
    if !rest.is_empty() {
        parts.push(
            rest.iter()
                .flat_map(|argument| argument.split_whitespace())
                .collect(),
        );
    }
    parts
}

/// Precision and recall in words; nothing when the relations share no word.
fn match_parts(
    gold: &str,
    gold_parts: &[Vec<&str>],
    found: &str,
    parts: &[Vec<&str>],
) -> (f64, f64) {
    const BE: [&str; 8] = ["be", "is", "am", "are", "was", "were", "been", "being"];
    let gold_words: Vec<&str> = gold.split_whitespace().collect();
    let mut words: Vec<&str> = found.split_whitespace().collect();
    let (mut n_found, mut n_gold) = (words.len(), gold_words.len());
    let mut common = take_common(&gold_words, &mut words);
    if words.contains(&"be") && BE.iter().any(|form| gold_words.contains(form)) {
        common += 1;
    }
    if common == 0 {
        return (0.0, 0.0);
    }
    for (i, gold_words) in gold_parts.iter().enumerate() {
        let Some(part) = parts.get(i) else {
            return (0.0, 0.0);
        };
        let mut words = part.clone();
        n_gold += gold_words.len();
        n_found += words.len();
        common += take_common(gold_words, &mut words);
    }
    let share = |n: usize| {
        if n == 0 {
            0.0
        } else {
            common as f64 / n as f64
        }
    };
    (share(n_found), share(n_gold))
}

fn take_common(gold: &[&str], words: &mut Vec<&str>) -> usize {
    let before = words.len();
    for word in gold {
        if let Some(at) = words.iter().position(|other| other == word) {
            words.remove(at);
        }
    }
    before - words.len()
}

/// The sentence without spaces, punctuation and the treebank's names of brackets.
fn key(sentence: &str) -> String {
    let mut text: String = sentence.chars().filter(|c| *c != ' ').collect();
    for name in ["-LRB-", "-RRB-", "-LSB-", "-RSB-", "-LCB-", "-RCB-"] {
        text = text.replace(name, "");
    }
    text.retain(|c| !c.is_ascii_punctuation());
    text
}
