//! Empty clusters, equal rows, and what cannot be grouped.

use std::sync::Mutex;

use super::super::fit;
use super::{groups, with_init};
use crate::ClusteringError::{Empty, NotFinite, Shape, TooFewRows, Weight};
use crate::{Dense, Init, Iteration, Options, Silent, Watch};

/// Keeps what is reported.
struct Record<'a>(&'a Mutex<Vec<Iteration>>);
impl Watch for Record<'_> {
    fn stopped(&self) -> bool {
        false
    }
    fn iteration(&self, iteration: &Iteration) {
        self.0.lock().unwrap().push(*iteration);
    }
    fn step(&self, _: usize, _: usize, _: &str) {}
}

#[test]
fn empty_clusters_get_far_rows() {
    let (rows, _) = groups(500, 3, 5, 10.0, 8);
    let mut first = vec![1e4; 15];
    first[..3].copy_from_slice(&rows[..3]);
    let options = with_init(5, Init::Given(first));
    let reports = Mutex::new(Vec::new());
    let found = fit(
        &Dense::new(rows, 3).unwrap(),
        None,
        &options,
        &Record(&reports),
    )
    .unwrap();
    assert!(
        found.sizes.iter().all(|&size| size > 0),
        "{:?}",
        found.sizes
    );
    let reports = reports.into_inner().unwrap();
    assert_eq!(reports[0].reseeded, 4);
    assert_eq!(reports.len(), found.iterations);
    assert!(
        reports
            .windows(2)
            .all(|pair| pair[1].inertia <= pair[0].inertia * (1.0 + 1e-6))
    );
}

#[test]
fn few_distinct_rows_are_told() {
    let rows: Vec<f32> = (0..60).flat_map(|row| [(row % 3) as f32, 5.0]).collect();
    for init in [Init::PlusPlus, Init::Parallel, Init::Random] {
        let found = fit(
            &Dense::new(rows.as_slice(), 2).unwrap(),
            None,
            &with_init(5, init),
            &Silent,
        )
        .unwrap();
        assert_eq!(found.distinct, Some(3));
        assert!(found.inertia.abs() < 1e-30);
        assert_eq!(found.labels[0], found.labels[3]);
    }
    let same = vec![0.1_f32; 40];
    let found = fit(
        &Dense::new(same, 4).unwrap(),
        None,
        &Options::new(2),
        &Silent,
    )
    .unwrap();
    assert_eq!((found.distinct, found.inertia), (Some(1), 0.0));
    let one = fit(
        &Dense::new(&[7.5_f32, 1.0][..], 2).unwrap(),
        None,
        &Options::new(1),
        &Silent,
    )
    .unwrap();
    assert_eq!((one.labels, one.centroids), (vec![0], vec![7.5, 1.0]));
}

#[test]
fn what_cannot_be_grouped_is_an_error() {
    let rows = [1.0, f32::NAN, 2.0, 3.0, f32::INFINITY, 0.0];
    let error = Dense::new(&rows[..], 2).unwrap_err();
    assert!(matches!(error, NotFinite { n_rows: 2, row: 0, column: 1, value } if value.is_nan()));
    assert_eq!(
        error.to_string(),
        "2 rows have a value that is not a finite number, first at row 0, column 1: NaN"
    );
    assert!(matches!(Dense::new(&rows[..0], 2), Err(Empty { .. })));
    assert!(matches!(Dense::new(&rows[..], 0), Err(Empty { .. })));
    assert!(matches!(
        Dense::new(&rows[..], 4),
        Err(Shape {
            found: 2,
            wanted: 4,
            ..
        })
    ));
    let points = Dense::new(&rows[2..4], 1).unwrap();
    let run = |weights, options: &Options| fit(&points, weights, options, &Silent).unwrap_err();
    assert!(matches!(
        run(None, &Options::new(3)),
        TooFewRows { k: 3, n_rows: 2 }
    ));
    assert!(matches!(run(None, &Options::new(0)), Shape { .. }));
    assert!(matches!(run(Some(&[1.0]), &Options::new(1)), Shape { .. }));
    assert!(matches!(
        run(Some(&[1.0, -1.0]), &Options::new(1)),
        Weight { row: 1, .. }
    ));
    assert!(matches!(
        run(Some(&[0.0, 0.0]), &Options::new(1)),
        Weight { .. }
    ));
    assert!(matches!(
        run(None, &with_init(2, Init::Given(vec![0.0]))),
        Shape { .. }
    ));
    let huge = Dense::new(&[1e30_f32, -1e30][..], 1).unwrap();
    assert!(matches!(
        fit(&huge, None, &Options::new(1), &Silent),
        Err(NotFinite { .. })
    ));
}
