//! What is kept when the user stops the work.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fit;
use super::{by_hand, groups};
use crate::{ClusteringError, Dense, Iteration, Options, Stop, Watch};

/// Stops after so many questions.
struct Impatient(AtomicUsize);

impl Watch for Impatient {
    fn stopped(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_err()
    }
    fn iteration(&self, _: &Iteration) {}
    fn step(&self, _: usize, _: usize, _: &str) {}
}

#[test]
fn an_interrupt_keeps_labels_that_belong_to_the_centroids() {
    let (rows, _) = groups(6000, 20, 12, 0.3, 11);
    let points = Dense::new(rows.as_slice(), 20).unwrap();
    let mut kept = 0;
    for (batch, n_init) in [(None, 1), (None, 3), (Some(200), 1)] {
        let options = Options {
            batch,
            n_init,
            tolerance: 0.0,
            ..Options::new(12)
        };
        for patience in (0..200).step_by(3) {
            match fit(
                &points,
                None,
                &options,
                &Impatient(AtomicUsize::new(patience)),
            ) {
                Err(error) => assert!(matches!(error, ClusteringError::Stopped)),
                Ok(found) => {
                    kept += usize::from(found.stop == Stop::Interrupted);
                    let (labels, inertia) = by_hand(&rows, 20, &found);
                    let wrong = labels
                        .iter()
                        .zip(&found.labels)
                        .filter(|(a, b)| a != b)
                        .count();
                    assert!(wrong <= 10, "{wrong}");
                    assert!((inertia - found.inertia).abs() <= 1e-4 * inertia);
                }
            }
        }
    }
    assert!(kept > 20, "{kept}");
}
