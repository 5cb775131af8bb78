//! k-modes on rows whose groups are known.

use super::*;
use crate::agreement::adjusted_rand;
use crate::kmeans;
use crate::watch::Silent;

/// Three kinds of rows, in each of which one answer of eight is random.
fn kinds() -> (Codes, Vec<u32>) {
    let mut rng = fastrand::Rng::with_seed(5);
    let kinds: Vec<u32> = (0..300).map(|row| row % 3).collect();
    let columns: Vec<Vec<u32>> = (0..12)
        .map(|_| {
            kinds
                .iter()
                .map(|&kind| if rng.u8(..8) == 0 { rng.u32(..3) } else { kind })
                .collect()
        })
        .collect();
    (Codes::new(&columns, &[3; 12]).unwrap(), kinds)
}

#[test]
fn finds_planted_kinds_from_both_inits() {
    let (codes, kinds) = kinds();
    for init in [ModesInit::Huang, ModesInit::Cao] {
        let found = kmodes(
            &codes,
            &ModesOptions {
                init,
                ..ModesOptions::new(3)
            },
            &Silent,
        )
        .unwrap();
        assert!(adjusted_rand(&found.labels, &kinds) > 0.98, "{init:?}");
        assert_eq!(found.stop, Stop::Settled);
        assert_eq!(found.predict(&codes).unwrap(), found.labels);
        let differing = |(row, &label): (usize, &u32)| {
            (0..12)
                .filter(|&q| codes.code(row, q) != Some(found.modes[label as usize * 12 + q]))
                .count() as u64
        };
        assert_eq!(
            found.cost,
            found.labels.iter().enumerate().map(differing).sum::<u64>()
        );
    }
}

#[test]
fn a_missing_answer_can_be_the_mode() {
    let missing = Codes::MISSING;
    let columns = [vec![0, 0, missing, missing, missing], vec![0, 0, 1, 1, 1]];
    let codes = Codes::new(&columns, &[1, 2]).unwrap();
    let found = kmodes(
        &codes,
        &ModesOptions {
            init: ModesInit::Cao,
            ..ModesOptions::new(2)
        },
        &Silent,
    )
    .unwrap();
    assert_eq!((found.cost, found.modes), (0, vec![missing, 1, 0, 0]));
}

#[test]
fn more_clusters_than_rows_are_refused() {
    let codes = Codes::new(&[vec![0, 1]], &[2]).unwrap();
    let refused = kmodes(&codes, &ModesOptions::new(3), &Silent);
    assert!(matches!(
        refused,
        Err(ClusteringError::TooFewRows { k: 3, n_rows: 2 })
    ));
}

#[test]
fn as_a_fit_the_modes_are_one_hot_centroids() {
    let (codes, _) = kinds();
    let modes = kmodes(&codes, &ModesOptions::new(3), &Silent).unwrap();
    let fit = modes.clone().into_fit(&codes);
    assert_eq!(fit.sizes.iter().sum::<usize>(), 300);
    assert!((fit.inertia - modes.cost as f64).abs() < 1e-9);
    // Rows that differ in one answer are at a squared distance of 2.
    assert_eq!(kmeans::predict(&codes, &fit, &Silent).unwrap(), fit.labels);
    let other = Codes::new(&[vec![0, 1]], &[2]).unwrap();
    assert!(matches!(
        modes.predict(&other),
        Err(ClusteringError::Shape { .. })
    ));
}
