//! Weights on the device: dense or quantised matrices.

#[cfg(not(test))]
use candle_core::Module;
use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::error::GenerateError;
use crate::model::Precision;
use crate::model::weights::{self, Stored, model};

#[cfg(test)]
mod emulated;

/// Values that are quantised at a time.
const PIECE: usize = 1 << 20;

/// Formats for which candle has kernels for cards; others are kept dense.
const KERNELS: [GgmlDType; 10] = [
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q2K,
    GgmlDType::Q3K,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

/// A matrix of outputs × inputs.
#[derive(Debug)]
pub(super) enum Matrix {
    /// Every number by itself.
    Dense(Tensor),
    /// In blocks, as ggml quantises.
    Quantised {
        product: QMatMul,
        dtype: GgmlDType,
        shape: [usize; 2],
    },
}

impl Matrix {
    /// Products of rows (rows × inputs) with the matrix: rows × outputs, of the rows' type.
    pub(super) fn product(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(matrix) => x.matmul(&matrix.t()?),
            #[cfg(test)]
            Self::Quantised { product, .. } => emulated::product(product, x),
            // Where the kernels give another type than they were given, which is theirs to choose.
            #[cfg(not(test))]
            Self::Quantised { product, .. } => product.forward(x)?.to_dtype(x.dtype()),
        }
    }

    /// Outputs and inputs.
    fn shape(&self) -> [usize; 2] {
        match self {
            Self::Dense(matrix) => {
                let dims = matrix.dims();
                [dims[0], dims[1]]
            }
            Self::Quantised { shape, .. } => *shape,
        }
    }

    /// Numbers in it.
    pub(super) fn n_values(&self) -> usize {
        let [n, k] = self.shape();
        n * k
    }

    /// Bytes on the device.
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.elem_count() * matrix.dtype().size_in_bytes(),
            Self::Quantised { dtype, shape, .. } => {
                shape[0] * shape[1] / dtype.block_size() * dtype.type_size()
            }
        }
    }

    /// The name of its format.
    pub(super) fn format(&self) -> String {
        match self {
            Self::Dense(matrix) if matrix.dtype() == DType::F32 => "F32".to_owned(),
            Self::Dense(_) => "BF16".to_owned(),
            Self::Quantised { dtype, .. } => format!("{dtype:?}"),
        }
    }
}

/// In which format a matrix is kept on the device: a quantised one, or none for dense.
pub(super) fn format(tensor: &weights::Tensor<'_>, precision: Precision) -> Option<GgmlDType> {
    let k = tensor.shape.last().copied().unwrap_or(0);
    let whole = |dtype: GgmlDType| k.is_multiple_of(dtype.block_size()).then_some(dtype);
    match (precision, tensor.stored) {
        (Precision::F32 | Precision::Bf16, _) => None,
        (_, Stored::Quantised(dtype)) => KERNELS.contains(&dtype).then_some(dtype),
        (Precision::Q8_0, _) => whole(GgmlDType::Q8_0),
        (Precision::Q4K, _) => whole(GgmlDType::Q4K).or_else(|| whole(GgmlDType::Q8_0)),
        (Precision::Stored, _) => None,
    }
}

/// The same for the head: with four bits its rows get six, as on the processor.
pub(super) fn head_format(tensor: &weights::Tensor<'_>, precision: Precision) -> Option<GgmlDType> {
    let k = tensor.shape.last().copied().unwrap_or(0);
    match (precision, tensor.stored) {
        (Precision::Q4K, stored)
            if !matches!(stored, Stored::Quantised(_))
                && k.is_multiple_of(GgmlDType::Q6K.block_size()) =>
        {
            Some(GgmlDType::Q6K)
        }
        _ => format(tensor, precision),
    }
}

/// A dense matrix of some tensors' rows, one behind the other.
pub(super) fn dense(
    tensors: &[weights::Tensor<'_>],
    dtype: DType,
    device: &Device,
) -> std::result::Result<Tensor, GenerateError> {
    let k = tensors
        .first()
        .and_then(|tensor| tensor.shape.last())
        .copied()
        .unwrap_or(1);
    let n: usize = tensors
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>() / k)
        .sum();
    if dtype == DType::BF16 {
        let mut values = vec![bf16::ZERO; n * k];
        let mut rest = values.as_mut_slice();
        for tensor in tensors {
            let (into, behind) = rest.split_at_mut(tensor.shape.iter().product());
            rest = behind;
            round(tensor, k, into)?;
        }
        return Tensor::from_vec(values, (n, k), device).map_err(|error| failed(&error));
    }
    let mut values = Vec::with_capacity(n * k);
    for tensor in tensors {
        values.extend(tensor.values()?);
    }
    Tensor::from_vec(values, (n, k), device).map_err(|error| failed(&error))
}

/// The values of a tensor, rounded, some rows at a time so that no whole copy in single precision is needed.
fn round(
    tensor: &weights::Tensor<'_>,
    k: usize,
    into: &mut [bf16],
) -> std::result::Result<(), GenerateError> {
    if tensor.stored == Stored::Bf16 {
        let pairs = tensor.bytes.as_chunks::<2>().0;
        into.iter_mut()
            .zip(pairs)
            .for_each(|(into, pair)| *into = bf16::from_le_bytes(*pair));
        return Ok(());
    }
    let rows = (PIECE / k).max(1);
    into.par_chunks_mut(rows * k)
        .enumerate()
        .try_for_each(|(at, into)| {
            let values = tensor.rows(at * rows, into.len() / k)?.values()?;
            into.iter_mut()
                .zip(values)
                .for_each(|(into, value)| *into = bf16::from_f32(value));
            Ok(())
        })
}

/// A quantised matrix: the file's own blocks, or new ones.
pub(super) fn quantised(
    tensor: &weights::Tensor<'_>,
    dtype: GgmlDType,
    device: &Device,
) -> std::result::Result<Matrix, GenerateError> {
    let [n, k] = *tensor.shape else {
        let reason = format!("tensor `{}` is no matrix: {:?}", tensor.name, tensor.shape);
        return Err(model(reason));
    };
    let blocks = match tensor.stored {
        Stored::Quantised(stored) if stored == dtype => tensor.bytes.to_vec(),
        _ => requantised(tensor, dtype, n, k)?,
    };
    let of = |blocks: Vec<u8>| -> Result<QMatMul> {
        let storage = QStorage::from_data(blocks.into(), device, dtype)?;
        QMatMul::from_qtensor(QTensor::new(storage, (n, k))?)
    };
    Ok(Matrix::Quantised {
        product: of(blocks).map_err(|error| failed(&error))?,
        dtype,
        shape: [n, k],
    })
}

fn requantised(
    tensor: &weights::Tensor<'_>,
    dtype: GgmlDType,
    n: usize,
    k: usize,
) -> std::result::Result<Vec<u8>, GenerateError> {
    let rows = (PIECE / k).max(1);
    let firsts: Vec<usize> = (0..n).step_by(rows).collect();
    let piece = |first: &usize| {
        let n = rows.min(n - first);
        let values = tensor.rows(*first, n)?.values()?;
        let quantise = || -> Result<Vec<u8>> {
            let values = Tensor::from_vec(values, (n, k), &Device::Cpu)?;
            Ok(QTensor::quantize(&values, dtype)?.data()?.into_owned())
        };
        quantise().map_err(|error| failed(&error))
    };
    let pieces: Vec<Vec<u8>> = firsts
        .par_iter()
        .map(piece)
        .collect::<std::result::Result<_, GenerateError>>()?;
    Ok(pieces.concat())
}

/// A vector in single precision: norms and biases.
pub(super) fn vector(
    values: Vec<f32>,
    device: &Device,
) -> std::result::Result<Tensor, GenerateError> {
    let n = values.len();
    Tensor::from_vec(values, n, device).map_err(|error| failed(&error))
}

/// An error of the device while a model is loaded.
pub(super) fn failed(error: &candle_core::Error) -> GenerateError {
    if is_shortage(error) {
        let reason = "the model does not fit on the GPU".to_owned();
        return GenerateError::OutOfMemory { reason };
    }
    model(first_line(error))
}

/// Whether the device has no memory left, in the words of the driver and of cuBLAS.
pub(super) fn is_shortage(error: &candle_core::Error) -> bool {
    let words = format!("{error:?}");
    words.contains("OUT_OF_MEMORY") || words.contains("ALLOC_FAILED")
}

/// What went wrong, without the trace of calls.
pub(super) fn first_line(error: &candle_core::Error) -> String {
    let words = error.to_string();
    words.lines().next().unwrap_or_default().to_owned()
}
