//! How far two groupings of the same rows agree.

use std::collections::BTreeMap;

/// The Rand index adjusted for chance (Hubert and Arabie 1985): 1 for the same groups, about 0 for unrelated ones.
pub fn adjusted_rand(a: &[u32], b: &[u32]) -> f64 {
    let (cells, rows, columns) = contingency(a, b);
    let pairs = |count: &u64| (*count as f64) * (*count as f64 - 1.0) / 2.0;
    let all = pairs(&(a.len() as u64));
    let both: f64 = cells.values().map(pairs).sum();
    let (in_a, in_b): (f64, f64) = (
        rows.values().map(pairs).sum(),
        columns.values().map(pairs).sum(),
    );
    let expected = if all > 0.0 { in_a * in_b / all } else { 0.0 };
    let most = f64::midpoint(in_a, in_b);
    if most - expected == 0.0 {
        1.0
    } else {
        (both - expected) / (most - expected)
    }
}

/// Mutual information over the mean of the entropies (NMI): 0 to 1.
pub fn mutual_information(a: &[u32], b: &[u32]) -> f64 {
    let (cells, rows, columns) = contingency(a, b);
    let n = a.len() as f64;
    let entropy = |counts: &BTreeMap<u32, u64>| -> f64 {
        counts
            .values()
            .map(|&count| count as f64 / n)
            .map(|share| -share * share.ln())
            .sum()
    };
    let mean = f64::midpoint(entropy(&rows), entropy(&columns));
    let information: f64 = cells
        .iter()
        .map(|((row, column), &count)| {
            let count = count as f64;
            count / n * (n * count / (rows[row] as f64 * columns[column] as f64)).ln()
        })
        .sum();
    if mean == 0.0 {
        1.0
    } else {
        (information / mean).clamp(0.0, 1.0)
    }
}

/// Share of rows in matching groups, when groups are matched one to one as well as possible (Kuhn 1955); `O(k³)`.
pub fn accuracy(a: &[u32], b: &[u32]) -> f64 {
    let (cells, rows, columns) = contingency(a, b);
    let size = rows.len().max(columns.len());
    let index = |counts: &BTreeMap<u32, u64>| -> BTreeMap<u32, usize> {
        counts.keys().copied().zip(0..).collect()
    };
    let (row_at, column_at) = (index(&rows), index(&columns));
    let mut gains = vec![vec![0; size]; size];
    for ((row, column), &count) in &cells {
        gains[row_at[row]][column_at[column]] = i64::try_from(count).unwrap_or(i64::MAX);
    }
    let matched: i64 = matching(&gains)
        .into_iter()
        .enumerate()
        .map(|(row, column)| gains[row][column])
        .sum();
    if a.is_empty() {
        1.0
    } else {
        matched as f64 / a.len() as f64
    }
}

type Contingency = (
    BTreeMap<(u32, u32), u64>,
    BTreeMap<u32, u64>,
    BTreeMap<u32, u64>,
);

fn contingency(a: &[u32], b: &[u32]) -> Contingency {
    let (mut cells, mut rows, mut columns) = Contingency::default();
    for (&a, &b) in a.iter().zip(b) {
        *cells.entry((a, b)).or_default() += 1;
        *rows.entry(a).or_default() += 1;
        *columns.entry(b).or_default() += 1;
    }
    (cells, rows, columns)
}

/// The column of each row in the one-to-one matching with the largest gain: shortest augmenting paths with potentials.
fn matching(gains: &[Vec<i64>]) -> Vec<usize> {
    let size = gains.len();
    // Row and column 0 stand for "not matched yet"; real ones count from 1.
    let (mut row_price, mut column_price) = (vec![0; size + 1], vec![0; size + 1]);
    let mut row_of = vec![0; size + 1];
    for row in 1..=size {
        row_of[0] = row;
        let (mut slack, mut previous, mut done) = (
            vec![i64::MAX; size + 1],
            vec![0; size + 1],
            vec![false; size + 1],
        );
        let mut column = 0;
        while row_of[column] != 0 {
            done[column] = true;
            let (mut least, mut next) = (i64::MAX, 0);
            for other in (1..=size).filter(|&other| !done[other]) {
                let cost = -gains[row_of[column] - 1][other - 1]
                    - row_price[row_of[column]]
                    - column_price[other];
                if cost < slack[other] {
                    (slack[other], previous[other]) = (cost, column);
                }
                if slack[other] < least {
                    (least, next) = (slack[other], other);
                }
            }
            for other in 0..=size {
                if done[other] {
                    row_price[row_of[other]] += least;
                    column_price[other] -= least;
                } else if other > 0 {
                    slack[other] -= least;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[previous[column]];
            column = previous[column];
        }
    }
    let mut column_of = vec![0; size];
    for column in 1..=size {
        column_of[row_of[column] - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &[u32], b: &[u32], wanted: [f64; 3]) {
        let found = [
            adjusted_rand(a, b),
            mutual_information(a, b),
            accuracy(a, b),
        ];
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
        }
    }

    #[test]
    fn agrees_with_scikit_learn() {
        // The first two by scikit-learn 1.9.1, the third by hand.
        check(
            &[0, 0, 1, 1, 2, 2],
            &[0, 0, 1, 2, 2, 2],
            [0.444_444_444_444_444_4, 0.739_667_376_800_759_2, 5.0 / 6.0],
        );
    }

    #[test]
    fn names_of_groups_do_not_matter() {
        check(&[0, 0, 1, 1, 2], &[7, 7, 3, 3, 0], [1.0, 1.0, 1.0]);
    }

    #[test]
    fn one_group_says_nothing() {
        check(&[0, 0, 0, 0], &[0, 1, 0, 1], [0.0, 0.0, 0.5]);
    }

    #[test]
    fn matches_groups_where_the_greedy_choice_fails() {
        // Cells 3 2 / 2 0: the greedy 3 + 0 is less than 2 + 2.
        let (a, b): (Vec<u32>, Vec<u32>) = [(0, 0), (0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0)]
            .into_iter()
            .unzip();
        assert!((accuracy(&a, &b) - 4.0 / 7.0).abs() < 1e-12);
    }
}
