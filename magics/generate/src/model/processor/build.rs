//! Weights of a file become matrices: converted, quantised and packed.

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor};
use half::f16;
use rayon::prelude::*;

use super::dense::Dense;
use super::kind::{Kind, SMALL};
use super::matrix::Matrix;
use super::packed::Packed;
use crate::error::GenerateError;
use crate::model::Precision;
use crate::model::weights::{Stored, Tensor, dequantise, model};

/// Values that are quantised at a time.
const PIECE: usize = 1 << 20;

/// Makes a matrix of a tensor with two dimensions, in the precision that was asked for.
///
/// What is quantised in the file stays as it is, unless single precision is asked for; formats without a kernel become
/// `Q8_0`. Rows that are no whole blocks of the format become `Q8_0` (multiples of 32) or stay in single precision.
pub(super) fn matrix(tensor: &Tensor<'_>, precision: Precision) -> Result<Matrix, GenerateError> {
    let [n, k] = *tensor.shape else {
        let reason = format!("tensor `{}` is no matrix: {:?}", tensor.name, tensor.shape);
        return Err(model(reason));
    };
    if let Stored::Quantised(dtype) = tensor.stored {
        return match Kind::of(dtype) {
            Some(kind) if precision != Precision::F32 => {
                Ok(Matrix::Packed(Packed::new(kind, tensor.bytes, n, k)?))
            }
            None if precision != Precision::F32 => {
                quantised(tensor, GgmlDType::Q8_0, Kind::Q8_0, n, k)
            }
            _ => {
                let values = dequantise(dtype, tensor.bytes, n * k)?;
                Ok(Matrix::Dense(Dense::new(n, k, |at| values[at])))
            }
        };
    }
    match precision {
        Precision::Q4K if k.is_multiple_of(Kind::Q4K.block()) => {
            quantised(tensor, GgmlDType::Q4K, Kind::Q4K, n, k)
        }
        Precision::Q4K | Precision::Q8_0 if k.is_multiple_of(SMALL) => {
            quantised(tensor, GgmlDType::Q8_0, Kind::Q8_0, n, k)
        }
        _ => Ok(Matrix::Dense(dense(tensor, n, k))),
    }
}

/// The matrix that is both the table of embeddings and the head: with four bits its rows get six.
pub(super) fn head(tensor: &Tensor<'_>, precision: Precision) -> Result<Matrix, GenerateError> {
    match (precision, tensor.shape.as_slice()) {
        (Precision::Q4K, &[n, k])
            if !matches!(tensor.stored, Stored::Quantised(_))
                && k.is_multiple_of(Kind::Q6K.block()) =>
        {
            quantised(tensor, GgmlDType::Q6K, Kind::Q6K, n, k)
        }
        _ => matrix(tensor, precision),
    }
}

fn dense(tensor: &Tensor<'_>, n: usize, k: usize) -> Dense {
    Dense::new(n, k, |at| tensor.value(at))
}

/// Quantises some rows at a time, so that no copy of the whole tensor in single precision is needed.
fn quantised(
    tensor: &Tensor<'_>,
    dtype: GgmlDType,
    kind: Kind,
    n: usize,
    k: usize,
) -> Result<Matrix, GenerateError> {
    let rows = (PIECE / k).max(1);
    let firsts: Vec<usize> = (0..n).step_by(rows).collect();
    let failed = |error: candle_core::Error| model(format!("tensor `{}`: {error}", tensor.name));
    let piece = |first: &usize| {
        let n = rows.min(n - first);
        let values = tensor.rows(*first, n)?.values()?;
        let values = candle_core::Tensor::from_vec(values, (n, k), &Device::Cpu).map_err(failed)?;
        let quantised = QTensor::quantize(&values, dtype).map_err(failed)?;
        Ok(quantised.data().map_err(failed)?.into_owned())
    };
    let pieces: Vec<Vec<u8>> = firsts
        .par_iter()
        .map(piece)
        .collect::<Result<_, GenerateError>>()?;
    Ok(Matrix::Packed(Packed::new(kind, &pieces.concat(), n, k)?))
}

/// The table of embeddings, where it is not the head: as the file has it.
#[derive(Debug)]
pub(super) enum Table {
    /// A matrix.
    Matrix(Matrix),
    /// Numbers of 16 bits.
    Short {
        /// Values of a row.
        width: usize,
        /// Whether they are bf16, not f16.
        brain: bool,
        /// Their bits.
        values: Vec<u16>,
    },
}

impl Table {
    /// Makes the table of a tensor with two dimensions.
    pub(super) fn new(tensor: &Tensor<'_>) -> Result<Self, GenerateError> {
        match (tensor.stored, tensor.shape.as_slice()) {
            (Stored::F16 | Stored::Bf16, &[_, width]) => {
                let pairs = tensor.bytes.as_chunks::<2>().0;
                let values = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
                Ok(Self::Short {
                    width,
                    brain: tensor.stored == Stored::Bf16,
                    values,
                })
            }
            _ => Ok(Self::Matrix(matrix(tensor, Precision::Stored)?)),
        }
    }

    /// The values of one row.
    pub(super) fn row(&self, row: usize, into: &mut [f32]) {
        match self {
            Self::Matrix(matrix) => matrix.row(row, into),
            Self::Short {
                width,
                brain,
                values,
            } => {
                for (into, value) in into.iter_mut().zip(&values[row * width..]) {
                    *into = if *brain {
                        half::bf16::from_bits(*value).to_f32()
                    } else {
                        f16::from_bits(*value).to_f32()
                    };
                }
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Matrix(matrix) => matrix.n_bytes(),
            Self::Short { values, .. } => size_of_val(values.as_slice()),
        }
    }
}
