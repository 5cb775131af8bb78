//! Tests against values made elsewhere and by hand.

use super::{
    Typical, calinski_harabasz, davies_bouldin, differences, silhouette, simplified_silhouette,
    typical,
};
use crate::scan::{knee, scan};
use crate::{ClusteringError, Dense, Init, Metric, Options, Silent, kmeans};

/// Two pairs of columns, three groups; the measures were made by scikit-learn 1.9.1.
const ROWS: [f32; 24] = [
    0.0, 0.5, 1.0, 0.0, 0.2, 0.9, 5.0, 5.5, 6.1, 5.0, 5.2, 4.1, 9.0, 0.0, 8.5, 1.0, 9.9, 0.3, 4.0,
    3.0, 2.0, 2.5, 7.0, 2.0,
];
const LABELS: [u32; 12] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 0, 2];
/// Calinski-Harabasz, Davies-Bouldin, silhouette of all, of the first row, of row 10.
const GOLDEN: [f64; 5] = [
    37.398_310_05,
    0.429_635_270_9,
    0.605_131_009_8,
    0.771_989_766_8,
    0.280_002_121_3,
];

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-5, "{a} {b}");
}

#[test]
fn measures_are_those_of_scikit_learn() {
    let points = Dense::new(&ROWS[..], 2).unwrap();
    close(calinski_harabasz(&points, &LABELS, 3), GOLDEN[0]);
    close(davies_bouldin(&points, &LABELS, 3), GOLDEN[1]);
    let found = silhouette(&points, &LABELS, 3, Metric::L2, 100, 0, &Silent).unwrap();
    close(found.mean, GOLDEN[2]);
    close(f64::from(found.values[0]), GOLDEN[3]);
    close(f64::from(found.values[10]), GOLDEN[4]);
    assert!(found.exact);
    // The clusters have numbers from 0 to 4, two of them without rows: that changes nothing.
    let apart: Vec<u32> = LABELS.iter().map(|label| label * 2).collect();
    close(calinski_harabasz(&points, &apart, 5), GOLDEN[0]);
    close(davies_bouldin(&points, &apart, 5), GOLDEN[1]);
    let wide = silhouette(&points, &apart, 5, Metric::L2, 100, 0, &Silent).unwrap();
    close(wide.mean, GOLDEN[2]);
    assert!(wide.of_cluster[1].is_nan());
}

#[test]
fn a_sample_has_the_values_of_the_whole() {
    let points = Dense::new(&ROWS[..], 2).unwrap();
    for metric in [Metric::L2, Metric::Cosine] {
        let whole = silhouette(&points, &LABELS, 3, metric, 12, 0, &Silent).unwrap();
        let part = silhouette(&points, &LABELS, 3, metric, 5, 7, &Silent).unwrap();
        assert_eq!(part.rows.len(), 5);
        assert!(!part.exact);
        for (&row, &value) in part.rows.iter().zip(&part.values) {
            close(f64::from(value), f64::from(whole.values[row]));
        }
    }
}

#[test]
fn one_cluster_has_no_measures() {
    let points = Dense::new(&ROWS[..], 2).unwrap();
    assert!(calinski_harabasz(&points, &[0; 12], 1).is_nan());
    assert!(davies_bouldin(&points, &[0; 12], 1).is_nan());
    assert!(
        silhouette(&points, &[0; 12], 1, Metric::L2, 100, 0, &Silent)
            .unwrap()
            .mean
            .is_nan()
    );
}

#[test]
fn simplified_silhouette_compares_with_centroids() {
    let points = Dense::new(&[0.0_f32, 2.0, 10.0, 14.0][..], 1).unwrap();
    let options = Options {
        init: Init::Given(vec![0.0, 10.0]),
        ..Options::new(2)
    };
    let fit = kmeans::fit(&points, None, &options, &Silent).unwrap();
    // Centroids 1 and 12: (1 − 1/12 + 1 − 1/10 + 1 − 2/9 + 1 − 2/13) / 4.
    let expected = 1.0 - (1.0 / 12.0 + 0.1 + 2.0 / 9.0 + 2.0 / 13.0) / 4.0;
    close(
        simplified_silhouette(&points, &fit, &Silent).unwrap(),
        expected,
    );
    let nearest = typical(&points, &fit, 1).unwrap();
    assert_eq!(
        nearest[0],
        [Typical {
            row: 0,
            distance: 1.0
        }]
    );
    assert_eq!(
        nearest[1],
        [Typical {
            row: 2,
            distance: 2.0
        }]
    );
}

#[test]
fn columns_set_clusters_apart() {
    let rows = [0.0, 5.0, 1.0, 0.0, 6.0, 1.0, 10.0, 5.0, 1.0, 10.0, 6.0, 1.0];
    let points = Dense::new(&rows[..], 3).unwrap();
    let found = differences(&points, &[0, 0, 1, 1], 2, 5);
    // The last column has one value.
    assert_eq!(found[0].len(), 2);
    assert_eq!(
        (found[0][0].column, found[0][0].mean, found[0][0].rest),
        (0, 0.0, 10.0)
    );
    close(found[0][0].score, -2.0);
    close(found[1][0].score, 2.0);
    close(found[0][1].score, 0.0);
}

#[test]
fn a_scan_finds_the_number_of_groups() {
    let mut random = fastrand::Rng::with_seed(1);
    let rows: Vec<f32> = (0..400)
        .flat_map(|row| [(row % 4) as f32 * 10.0 + random.f32(), random.f32()])
        .collect();
    let points = Dense::new(rows, 2).unwrap();
    let found = scan(
        &points,
        None,
        1..=8,
        &Options {
            n_init: 3,
            ..Options::new(1)
        },
        100,
        &Silent,
    )
    .unwrap();
    assert_eq!((found.best_silhouette, found.tried.len()), (Some(4), 8));
    assert!(matches!(found.knee, Some(2..=4)), "{:?}", found.knee);
    assert!(found.tried[0].silhouette.is_nan());
    let none = scan(&points, None, 401..=402, &Options::new(1), 100, &Silent);
    assert!(matches!(none, Err(ClusteringError::TooFewRows { .. })));
}

#[test]
fn the_knee_is_farthest_below_the_chord() {
    let curve: Vec<(f64, f64)> = (1..=10)
        .map(|x| (f64::from(x), 100.0 / f64::from(x)))
        .collect();
    assert_eq!(knee(&curve), Some(2));
    let line: Vec<(f64, f64)> = (1..=10)
        .map(|x| (f64::from(x), 100.0 - f64::from(x)))
        .collect();
    assert_eq!(knee(&line), None);
    assert_eq!(knee(&curve[..2]), None);
}
