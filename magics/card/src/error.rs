//! What can go wrong before a kernel runs.

use thiserror::Error;

/// A card that cannot be used.
#[derive(Debug, Error)]
pub enum CardError {
    /// There is no such GPU, or none that the kernels run on.
    #[error("GPU {number} cannot be used: {reason}")]
    Missing {
        /// Its number.
        number: usize,
        /// Why.
        reason: String,
    },
    /// It does not take the kernels.
    #[error("{reason}")]
    Kernels {
        /// Why.
        reason: String,
    },
}
