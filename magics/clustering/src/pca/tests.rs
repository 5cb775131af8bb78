//! Tests against values made elsewhere and by hand.

use super::map;
use crate::{Dense, Silent};

/// Rows along two directions of deviation 10 and 3, with noise of 0.1, far from zero.
fn rows(n: usize, dims: usize, at: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(2);
    let mut normal = move || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
    (0..n)
        .flat_map(|_| {
            let (a, b) = (10.0 * normal(), 3.0 * normal());
            let mut row: Vec<f32> = (0..dims).map(|_| at + 0.1 * normal()).collect();
            row[1] += a;
            row[dims - 1] += b;
            row
        })
        .collect()
}

#[test]
fn axes_are_the_directions_of_most_variance() {
    for (n, dims, at) in [
        (500, 20, 0.0),
        (500, 20, 1000.0),
        (60, 1500, 5.0),
        (300, 3, 0.0),
    ] {
        let points = Dense::new(rows(n, dims, at), dims).unwrap();
        let found = map(&points, 2, 0, &Silent).unwrap();
        assert!(found.axes[1] > 0.98, "{n} {dims} {at} {}", found.axes[1]);
        assert!(found.axes[2 * dims - 1] > 0.9);
        let noise = 0.01 * (dims - 2) as f64;
        let share = 100.0 / (109.0 + noise);
        assert!(
            (found.explained[0] - share).abs() < 0.12,
            "{:?} {share}",
            found.explained
        );
        let mean: f32 = found.coordinates.iter().step_by(2).sum::<f32>() / n as f32;
        assert!(mean.abs() < 0.05, "{mean}");
        let variance: f32 = found
            .coordinates
            .iter()
            .step_by(2)
            .map(|x| x * x)
            .sum::<f32>()
            / n as f32;
        assert!((70.0..140.0).contains(&variance), "{variance}");
        assert_eq!(found, map(&points, 2, 0, &Silent).unwrap());
    }
}

#[test]
fn few_rows_and_columns_have_few_components() {
    let one = Dense::new(&[1.0_f32, 2.0, 3.0][..], 3).unwrap();
    let found = map(&one, 2, 0, &Silent).unwrap();
    assert_eq!(
        (found.components, found.coordinates, found.explained),
        (1, vec![0.0], vec![0.0])
    );
    let line = Dense::new(&[1.0_f32, 2.0, 6.0][..], 1).unwrap();
    let found = map(&line, 2, 0, &Silent).unwrap();
    assert_eq!(found.components, 1);
    for (a, b) in found.coordinates.iter().zip([-2.0, -1.0, 3.0]) {
        assert!((a - b).abs() < 1e-5);
    }
    assert!((found.explained[0] - 1.0).abs() < 1e-6);
}
