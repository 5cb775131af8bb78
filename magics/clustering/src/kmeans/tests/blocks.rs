//! Rows that are read again in each pass.

use super::super::{Blocks, fit, fit_blocks};
use super::{groups, with_init};
use crate::{ClusteringError, Dense, Init, Metric, Options, Silent};

/// Rows in memory as a source.
struct Cut<'a> {
    rows: &'a [f32],
    dims: usize,
    block: usize,
    at: usize,
    broken: bool,
}

impl Blocks for Cut<'_> {
    fn dims(&self) -> usize {
        self.dims
    }
    fn rewind(&mut self) -> Result<(), ClusteringError> {
        self.at = 0;
        Ok(())
    }
    fn next(&mut self, into: &mut Vec<f32>) -> Result<bool, ClusteringError> {
        if self.broken && self.at > 0 {
            return Err(ClusteringError::Source("gone".to_owned()));
        }
        let end = (self.at + self.block * self.dims).min(self.rows.len());
        into.clear();
        into.extend_from_slice(&self.rows[self.at..end]);
        self.at = end;
        Ok(!into.is_empty())
    }
}

#[test]
fn blocks_give_what_memory_gives() {
    let (rows, _) = groups(5000, 24, 15, 1.0, 13);
    let points = Dense::new(rows.as_slice(), 24).unwrap();
    let weights: Vec<f32> = (0..5000).map(|row| 1.0 + (row % 3) as f32).collect();
    let given = Init::Given(rows[..15 * 24].to_vec());
    for metric in [Metric::L2, Metric::Cosine] {
        for (init, weights) in [
            (given.clone(), None),
            (Init::Random, Some(&*weights)),
            (Init::Parallel, None),
        ] {
            let options = Options {
                metric,
                n_init: 2,
                ..with_init(15, init)
            };
            let whole = fit(&points, weights, &options, &Silent).unwrap();
            let mut cut = Cut {
                rows: &rows,
                dims: 24,
                block: 700,
                at: 0,
                broken: false,
            };
            let blocks = fit_blocks(&mut cut, weights, &options, &Silent).unwrap();
            assert_eq!(whole.labels, blocks.labels);
            assert_eq!(
                (whole.iterations, whole.stop),
                (blocks.iterations, blocks.stop)
            );
            assert!((whole.inertia - blocks.inertia).abs() < 1e-6 * whole.inertia);
            for (a, b) in whole.centroids.iter().zip(&blocks.centroids) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }
    let options = Options {
        batch: Some(256),
        ..Options::new(15)
    };
    let mut cut = Cut {
        rows: &rows,
        dims: 24,
        block: 700,
        at: 0,
        broken: false,
    };
    let batch = fit_blocks(&mut cut, None, &options, &Silent).unwrap();
    let whole = fit(&points, None, &Options::new(15), &Silent).unwrap();
    assert!(batch.inertia < 1.1 * whole.inertia);
}

#[test]
fn a_broken_source_says_so() {
    let rows = vec![1.0; 100];
    let mut cut = Cut {
        rows: &rows,
        dims: 2,
        block: 10,
        at: 0,
        broken: true,
    };
    let error = fit_blocks(&mut cut, None, &Options::new(2), &Silent).unwrap_err();
    assert_eq!(error.to_string(), "cannot read rows: gone");
    let mut rows = rows;
    (rows[51], rows[90]) = (f32::NAN, f32::NAN);
    let mut cut = Cut {
        rows: &rows,
        dims: 2,
        block: 10,
        at: 0,
        broken: false,
    };
    let error = fit_blocks(&mut cut, None, &Options::new(2), &Silent).unwrap_err();
    assert!(matches!(
        error,
        ClusteringError::NotFinite {
            n_rows: 2,
            row: 25,
            column: 1,
            ..
        }
    ));
}
