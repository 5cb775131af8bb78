//! Rows for the tests, and k-means in its plainest form to compare with.

use fastrand::Rng;

/// Small whole numbers: every product and sum is exact in each format, and distances are often equal.
pub(super) fn whole(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::with_seed(seed);
    (0..n).map(|_| f32::from(rng.i8(-2..=2))).collect()
}

/// Rows around `centres` points, not centred on 0.
pub(super) fn scattered(n_rows: usize, dims: usize, centres: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::with_seed(seed);
    let mut normal = move || (0..6).map(|_| rng.f32() - 0.5).sum::<f32>() * 1.4;
    let points: Vec<f32> = (0..centres * dims).map(|_| 2.0 * normal() + 0.5).collect();
    (0..n_rows * dims)
        .map(|at| points[at / dims % centres * dims + at % dims] + normal())
        .collect()
}

/// Squared distance in f64.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum()
}

/// The nearest centroid, the first of equals, and its squared distance.
pub(super) fn nearest(row: &[f32], centroids: &[f32]) -> (u32, f64) {
    let mut best = (0, f64::INFINITY);
    for (label, centroid) in (0..).zip(centroids.chunks_exact(row.len())) {
        let distance = distance(row, centroid);
        if distance < best.1 {
            best = (label, distance);
        }
    }
    best
}

/// What plain k-means finds.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) labels: Vec<u32>,
    pub(super) centroids: Vec<f32>,
    pub(super) inertia: f64,
}

/// Lloyd's iterations in f64 until no row moves, at most `max_iter`; clusters must not become empty.
pub(super) fn lloyd(
    rows: &[f32],
    dims: usize,
    weights: Option<&[f32]>,
    centroids: &[f32],
    max_iter: usize,
) -> Plain {
    let (mut centroids, mut labels) = (centroids.to_vec(), Vec::new());
    let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
    for number in 0..=max_iter {
        let found: Vec<(u32, f64)> = rows
            .chunks_exact(dims)
            .map(|row| nearest(row, &centroids))
            .collect();
        let inertia = found
            .iter()
            .enumerate()
            .map(|(row, found)| weight(row) * found.1)
            .sum();
        let next: Vec<u32> = found.iter().map(|found| found.0).collect();
        if next == labels || number == max_iter {
            return Plain {
                labels: next,
                centroids,
                inertia,
            };
        }
        labels = next;
        let (mut sums, mut mass) = (
            vec![0.0; centroids.len()],
            vec![0.0; centroids.len() / dims],
        );
        for (row, (values, &label)) in rows.chunks_exact(dims).zip(&labels).enumerate() {
            mass[label as usize] += weight(row);
            for (sum, &value) in sums[label as usize * dims..].iter_mut().zip(values) {
                *sum += weight(row) * f64::from(value);
            }
        }
        for (at, (centroid, sum)) in centroids.iter_mut().zip(&sums).enumerate() {
            assert!(mass[at / dims] > 0.0, "cluster {} is empty", at / dims);
            *centroid = (sum / mass[at / dims]) as f32;
        }
    }
    unreachable!("the loop returns")
}
