//! The GGUF format: metadata and tensors, each number checked before it is believed.

use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use memmap2::Mmap;

use super::gguf_header;
use super::safetensors::map;
use super::weights::{Source, Stored, Tensor, Weight};
use crate::error::GenerateError;

/// A GGUF file.
#[derive(Debug)]
pub(super) struct Gguf {
    pub(super) path: PathBuf,
    map: Mmap,
    pub(super) content: Content,
}

impl Gguf {
    /// Maps a file and reads its header; every tensor lies within the file.
    pub(super) fn open(path: &Path) -> Result<Self, GenerateError> {
        let map = map(path)?;
        let damaged = |reason: String| GenerateError::Truncated {
            file: path.display().to_string(),
            reason,
        };
        let content = gguf_header::read(&map).map_err(damaged)?;
        let gguf = Self {
            path: path.to_owned(),
            map,
            content,
        };
        for name in gguf.content.tensor_infos.keys() {
            gguf.tensor(name)?;
        }
        Ok(gguf)
    }

    /// The tensor of this name.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>, GenerateError> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Ok(None);
        };
        let damaged = |reason: String| GenerateError::Truncated {
            file: self.path.display().to_string(),
            reason,
        };
        let shape = info.shape.dims().to_vec();
        let n = shape.iter().try_fold(1_usize, |n, dim| n.checked_mul(*dim));
        let block = info.ggml_dtype.block_size();
        let whole = shape.last().is_some_and(|last| last.is_multiple_of(block));
        let n = n.filter(|n| whole && *n > 0);
        let n = n.ok_or_else(|| {
            damaged(format!(
                "tensor `{name}` of type {:?} has shape {shape:?}",
                info.ggml_dtype
            ))
        })?;
        let range = || {
            let first =
                usize::try_from(self.content.tensor_data_offset.checked_add(info.offset)?).ok()?;
            let last = first.checked_add((n / block).checked_mul(info.ggml_dtype.type_size())?)?;
            Some(first..last)
        };
        let bytes = range().and_then(|range| self.map.get(range));
        let size = self.map.len();
        let outside = || {
            damaged(format!(
                "tensor `{name}` of shape {shape:?} ends behind the file's {size} bytes"
            ))
        };
        let bytes = bytes.ok_or_else(outside)?;
        let stored = match info.ggml_dtype {
            GgmlDType::F32 => Stored::F32,
            GgmlDType::F16 => Stored::F16,
            GgmlDType::BF16 => Stored::Bf16,
            quantised => Stored::Quantised(quantised),
        };
        Ok(Some(Tensor {
            name: name.to_owned(),
            stored,
            shape,
            bytes,
        }))
    }

    /// A text of the metadata.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.content.metadata.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number of the metadata.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        number(self.content.metadata.get(key)?)
    }

    /// A switch of the metadata.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.content.metadata.get(key)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A list of the metadata.
    pub(super) fn list(&self, key: &str) -> Option<&[Value]> {
        match self.content.metadata.get(key)? {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }
}

/// A number of any type.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::U8(x) => Some(f64::from(*x)),
        Value::I8(x) => Some(f64::from(*x)),
        Value::U16(x) => Some(f64::from(*x)),
        Value::I16(x) => Some(f64::from(*x)),
        Value::U32(x) => Some(f64::from(*x)),
        Value::I32(x) => Some(f64::from(*x)),
        Value::U64(x) => Some(*x as f64),
        Value::I64(x) => Some(*x as f64),
        Value::F32(x) => Some(f64::from(*x)),
        Value::F64(x) => Some(*x),
        _ => None,
    }
}

impl Source for Gguf {
    fn find(&self, weight: Weight, layer: usize) -> Result<Option<Tensor<'_>>, GenerateError> {
        self.tensor(&self.name(weight, layer))
    }

    fn name(&self, weight: Weight, layer: usize) -> String {
        let of_layer = match weight {
            Weight::Embedding => return "token_embd.weight".to_owned(),
            Weight::Norm => return "output_norm.weight".to_owned(),
            Weight::Head => return "output.weight".to_owned(),
            Weight::AttentionNorm => "attn_norm.weight",
            Weight::Query => "attn_q.weight",
            Weight::Key => "attn_k.weight",
            Weight::Value => "attn_v.weight",
            Weight::QueryKeyValue => "attn_qkv.weight",
            Weight::QueryBias => "attn_q.bias",
            Weight::KeyBias => "attn_k.bias",
            Weight::ValueBias => "attn_v.bias",
            Weight::Output => "attn_output.weight",
            Weight::OutputBias => "attn_output.bias",
            Weight::QueryNorm => "attn_q_norm.weight",
            Weight::KeyNorm => "attn_k_norm.weight",
            Weight::PostAttentionNorm => "post_attention_norm.weight",
            Weight::FeedForwardNorm => "ffn_norm.weight",
            Weight::Gate => "ffn_gate.weight",
            Weight::Up | Weight::GateUp => "ffn_up.weight",
            Weight::Down => "ffn_down.weight",
            Weight::PostFeedForwardNorm => "post_ffw_norm.weight",
        };
        format!("blk.{layer}.{of_layer}")
    }

    fn n_bytes(&self) -> u64 {
        self.map.len() as u64
    }
}
