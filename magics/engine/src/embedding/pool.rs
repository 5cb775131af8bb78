//! Many vectors to one, and one to length 1.

/// The mean of the vectors in `tokens`, each as long as `row`.
pub(super) fn mean(tokens: &[f32], row: &mut [f32]) {
    let width = row.len();
    row.fill(0.0);
    for token in tokens.chunks_exact(width) {
        for (sum, value) in row.iter_mut().zip(token) {
            *sum += value;
        }
    }
    let n = (tokens.len() / width) as f32;
    for sum in row {
        *sum /= n;
    }
}

/// Gives a row length 1; one of zeros stays as it is.
pub(super) fn normalise(row: &mut [f32]) {
    let squares: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = (squares.sqrt() as f32).max(1e-12);
    for x in row {
        *x /= length;
    }
}
