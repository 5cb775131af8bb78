//! The rows that are farthest from their centroids, which take the place of empty clusters.

use std::sync::PoisonError;

use rayon::prelude::*;

use super::Rows;
use crate::points::{Bounded, Points};

/// Rows whose distances are computed together.
const TOGETHER: usize = 64;
/// Such groups at a time, for threads.
const GROUPS: usize = 4;

/// The `count` rows that are farthest from their centroids (squared distance, row, label), the farthest first, by the bounds
/// of the pass for the same centroids; `None` where there was none.
pub(in super::super) fn farthest<P: Points>(
    rows: &Rows<P>,
    points: &dyn Bounded<P::Ready>,
    centroids: &[f32],
    k: usize,
    count: usize,
) -> Option<Vec<(f32, usize, u32)>> {
    let kept = rows.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let upper = &kept
        .as_ref()
        .filter(|kept| kept.centroids == centroids)?
        .upper;
    let mut order: Vec<usize> = (0..upper.len())
        .filter(|&row| rows.pull(row) > 0.0)
        .collect();
    order.sort_unstable_by(|&a, &b| upper[b].total_cmp(&upper[a]).then(a.cmp(&b)));
    let ready = rows.ready(centroids, k);
    let look = |some: &[usize]| {
        let mut some = some.to_vec();
        some.sort_unstable();
        let mut labels = vec![0; some.len()];
        let (mut scores, mut seconds) = (vec![0.0; some.len()], vec![0.0; some.len()]);
        points.nearest_two(&some, &ready, &mut labels, &mut scores, &mut seconds);
        let found = some.into_iter().zip(scores).zip(labels);
        let found = found.map(|((row, score), label)| (rows.distance(row, score), row, label));
        found
            .filter(|&(distance, ..)| distance > 0.0)
            .collect::<Vec<_>>()
    };
    let mut found: Vec<(f32, usize, u32)> = Vec::new();
    for some in order.chunks(TOGETHER * GROUPS) {
        let most = upper[some[0]].powi(2);
        if found.get(count - 1).is_some_and(|last| last.0 > most) {
            break;
        }
        let groups: Vec<_> = some.par_chunks(TOGETHER).map(look).collect();
        found.extend(groups.into_iter().flatten());
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(count);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::Dense;
    use crate::kmeans::lloyd::Source;
    use crate::options::Metric;
    use crate::watch::Silent;

    #[test]
    fn bounds_find_the_same_rows_as_looking_at_all() {
        let mut rng = fastrand::Rng::with_seed(5);
        for (n, dims, k) in [(700, 200, 9), (300, 1100, 4)] {
            let values: Vec<f32> = (0..n * dims).map(|_| rng.f32()).collect();
            let points = Dense::new(&values[..], dims).unwrap();
            let weights: Vec<f32> = (0..n).map(|row| f32::from(row % 5 != 0)).collect();
            let rows = Rows::new(&points, Some(&weights), Metric::L2).unwrap();
            let bounded = points.bounded().unwrap();
            let (mut before, mut labels) = (vec![u32::MAX; n], vec![0; n]);
            // Centroids that move a little, so that bounds are stretched in the second pass.
            let mut centroids = values[..k * dims].to_vec();
            for _ in 0..2 {
                (&rows)
                    .assign(&centroids, k, &before, &mut labels, &Silent)
                    .unwrap()
                    .unwrap();
                for count in [1, 8, n] {
                    let found = farthest(&rows, bounded, &centroids, k, count);
                    let all = rows.farthest_of_all(&centroids, k, count);
                    assert_eq!(found.unwrap(), all);
                }
                before.copy_from_slice(&labels);
                for value in &mut centroids {
                    *value *= 1.001;
                }
            }
            assert_eq!(farthest(&rows, bounded, &centroids, k, 1), None);
        }
    }
}
