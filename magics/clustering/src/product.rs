//! What a reduction to few dimensions needs of rows, whatever their form.

/// Rows that can be multiplied by a matrix from both sides.
pub trait Product: Sync {
    /// Rows.
    fn rows(&self) -> usize;
    /// Columns.
    fn dims(&self) -> usize;
    /// `X · right`, where `right` is row-major `dims × m`, into row-major `rows × m`.
    fn times(&self, right: &[f32], m: usize, into: &mut [f32]);
    /// `Xᵀ · left`, where `left` is row-major `rows × m`, into row-major `dims × m`.
    fn transposed_times(&self, left: &[f32], m: usize, into: &mut [f64]);
    /// Means of the columns.
    fn means(&self) -> Vec<f64>;
    /// The sum of the variances of the columns: the mean squared distance of the rows to their mean.
    fn variance(&self) -> f64;

    /// `(X − 1·meansᵀ) · right`; to be overridden where differences can be taken before the products, which keeps more
    /// digits of data far from zero.
    fn centred_times(&self, means: &[f64], right: &[f32], m: usize, into: &mut [f32]) {
        let mut offset = vec![0.0; m];
        for (mean, row) in means.iter().zip(right.chunks_exact(m)) {
            for (offset, &value) in offset.iter_mut().zip(row) {
                *offset += mean * f64::from(value);
            }
        }
        self.times(right, m, into);
        for row in into.chunks_exact_mut(m) {
            for (value, offset) in row.iter_mut().zip(&offset) {
                *value = (f64::from(*value) - offset) as f32;
            }
        }
    }
}
