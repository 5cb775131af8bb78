//! What can go wrong on a card, and what to do about it.

use crate::error::ClusteringError;

/// Why the k-means on a card did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// There is no card that can be used.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The data or the options are wrong, or the work was stopped; as on the CPU.
    #[error(transparent)]
    Clustering(#[from] ClusteringError),
    /// Not even a small part of the rows fits on the card.
    #[error("the card has no room: {wanted} bytes are wanted, {free} are free")]
    OutOfMemory {
        /// Bytes that were asked for.
        wanted: u64,
        /// Bytes that were free.
        free: u64,
    },
    /// NVRTC refused the kernels: an error of this program, or an NVRTC that does not know the card.
    #[error("the kernels do not compile for `{architecture}`: {log}")]
    Compile {
        /// Architecture, as NVRTC names it.
        architecture: String,
        /// What NVRTC says.
        log: String,
    },
    /// The driver or cuBLAS reports an error.
    #[error("{what} failed on the card: {why}")]
    Card {
        /// What was tried.
        what: String,
        /// What the library says.
        why: String,
    },
    /// The CPU can do this, the card cannot.
    #[error("the card cannot do {what}")]
    Unsupported {
        /// What it cannot do.
        what: &'static str,
    },
}

/// What keeps a card from being used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No driver.
    #[error("no NVIDIA driver (`libcuda.so.1`)")]
    Driver,
    /// A driver that is too old for these kernels.
    #[error("the NVIDIA driver is too old: it is for CUDA {found}")]
    OldDriver {
        /// The newest CUDA that it supports.
        found: String,
    },
    /// A driver, but no card, or none that this process may use.
    #[error("the NVIDIA driver finds no card: {why}")]
    NoCard {
        /// What the driver says.
        why: String,
    },
    /// No run-time compiler.
    #[error("no NVRTC (`libnvrtc.so`)")]
    Nvrtc,
    /// No cuBLAS.
    #[error("no cuBLAS (`libcublas.so`)")]
    Cublas,
}

impl From<CudaError> for ClusteringError {
    fn from(error: CudaError) -> ClusteringError {
        let hint = match &error {
            CudaError::Unavailable(why) => why.hint(),
            _ => "`--on cpu` computes on the processor",
        };
        match error {
            CudaError::Clustering(error) => error,
            other => ClusteringError::Card {
                what: other.to_string(),
                hint: hint.to_owned(),
            },
        }
    }
}

impl Unavailable {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Unavailable::Driver => {
                "install the NVIDIA driver; `--on cpu` computes on the processor"
            }
            Unavailable::OldDriver { .. } => {
                "install a driver for CUDA 12 or newer, or use the CPU"
            }
            Unavailable::NoCard { .. } => {
                "see what `nvidia-smi` lists and what CUDA_VISIBLE_DEVICES hides, or use the CPU"
            }
            Unavailable::Nvrtc => {
                "install the CUDA toolkit or `pip install nvidia-cuda-nvrtc`, and name the folder of its libraries in the settings or in LD_LIBRARY_PATH"
            }
            Unavailable::Cublas => {
                "install the CUDA toolkit or `pip install nvidia-cublas`, and name the folder of its libraries in the settings or in LD_LIBRARY_PATH"
            }
        }
    }
}
