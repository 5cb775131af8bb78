//! Weights as files hold them: names, shapes and bytes, the same for safetensors and GGUF.

use candle_core::quantized::GgmlDType;
use half::{bf16, f16};

use crate::error::GenerateError;

/// A weight of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Embedding,
    Norm,
    Head,
    AttentionNorm,
    Query,
    Key,
    Value,
    QueryKeyValue,
    QueryBias,
    KeyBias,
    ValueBias,
    Output,
    OutputBias,
    QueryNorm,
    KeyNorm,
    PostAttentionNorm,
    FeedForwardNorm,
    Gate,
    Up,
    GateUp,
    Down,
    PostFeedForwardNorm,
}

/// How a tensor's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    F32,
    F16,
    Bf16,
    Quantised(GgmlDType),
}

/// A tensor in a file; its bytes are as many as shape and type say.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'a> {
    pub(super) name: String,
    pub(super) stored: Stored,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: &'a [u8],
}

/// Where weights come from.
pub(super) trait Source: Sync {
    /// The weight (of a layer); none if there is no tensor of that name.
    fn find(&self, weight: Weight, layer: usize) -> Result<Option<Tensor<'_>>, GenerateError>;

    /// The name that the weight has here.
    fn name(&self, weight: Weight, layer: usize) -> String;

    /// Bytes of all tensors.
    fn n_bytes(&self) -> u64;
}

/// The weight with this shape; an error names the tensor.
pub(super) fn take<'a>(
    source: &'a dyn Source,
    weight: Weight,
    layer: usize,
    shape: &[usize],
) -> Result<Tensor<'a>, GenerateError> {
    let missing = || {
        model(format!(
            "tensor `{}` is missing",
            source.name(weight, layer)
        ))
    };
    take_if(source, weight, layer, shape)?.ok_or_else(missing)
}

/// The weight with this shape, if there is one.
pub(super) fn take_if<'a>(
    source: &'a dyn Source,
    weight: Weight,
    layer: usize,
    shape: &[usize],
) -> Result<Option<Tensor<'a>>, GenerateError> {
    let found = source.find(weight, layer)?;
    match found {
        Some(tensor) if tensor.shape != shape => {
            let reason = format!(
                "has shape {:?}, and the configuration asks for {shape:?}",
                tensor.shape
            );
            Err(GenerateError::Tensor {
                name: tensor.name,
                reason,
            })
        }
        found => Ok(found),
    }
}

/// An error of the weights.
pub(super) fn model(reason: String) -> GenerateError {
    GenerateError::Model { reason }
}

impl<'a> Tensor<'a> {
    /// Some rows of a matrix.
    pub(super) fn rows(&self, first: usize, n: usize) -> Result<Tensor<'a>, GenerateError> {
        let all = self.shape.first().copied().unwrap_or(0).max(1);
        let bytes = self.bytes.len() / all;
        let part = self.bytes.get(first * bytes..(first + n) * bytes);
        let short = || {
            model(format!(
                "tensor `{}` has fewer than {} rows",
                self.name,
                first + n
            ))
        };
        let mut shape = self.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = n;
        }
        Ok(Tensor {
            bytes: part.ok_or_else(short)?,
            shape,
            name: self.name.clone(),
            stored: self.stored,
        })
    }

    /// One value of a tensor that is not quantised.
    pub(super) fn value(&self, at: usize) -> f32 {
        match self.stored {
            Stored::F32 => f32::from_le_bytes(bytes_at(self.bytes, at)),
            Stored::F16 => f16::from_le_bytes(bytes_at(self.bytes, at)).to_f32(),
            Stored::Bf16 => bf16::from_le_bytes(bytes_at(self.bytes, at)).to_f32(),
            Stored::Quantised(_) => f32::NAN,
        }
    }

    /// All values of a tensor.
    pub(super) fn values(&self) -> Result<Vec<f32>, GenerateError> {
        let n = self.shape.iter().product();
        match self.stored {
            Stored::Quantised(dtype) => dequantise(dtype, self.bytes, n),
            _ => Ok((0..n).map(|at| self.value(at)).collect()),
        }
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at * N..][..N]);
    value
}

/// The values of a quantised tensor, in single precision.
pub(super) fn dequantise(
    dtype: GgmlDType,
    bytes: &[u8],
    n: usize,
) -> Result<Vec<f32>, GenerateError> {
    use candle_core::Device;
    use candle_core::quantized::{QStorage, QTensor};
    let failed = |error: candle_core::Error| model(error.to_string());
    // A copy, because the file's bytes may lie at odd addresses.
    let storage =
        QStorage::from_data(bytes.to_vec().into(), &Device::Cpu, dtype).map_err(failed)?;
    let tensor = QTensor::new(storage, n).map_err(failed)?;
    let values = tensor.dequantize(&Device::Cpu).map_err(failed)?;
    values.to_vec1().map_err(failed)
}
