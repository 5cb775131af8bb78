//! Weights in safetensors files, one or several.
#![expect(unsafe_code, reason = "weights are mapped, not read")]

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::description::Description;
use super::weights::{Source, Stored, Tensor, Weight, model};
use crate::error::GenerateError;

/// The tensors of a directory.
#[derive(Debug)]
pub(super) struct Shards {
    files: Vec<(PathBuf, Mmap)>,
    tensors: HashMap<String, Place>,
    prefix: String,
    post_norms: bool,
}

#[derive(Debug)]
struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Shards {
    /// Maps the files of a directory and reads their headers.
    pub(super) fn open(dir: &Path, description: &Description) -> Result<Self, GenerateError> {
        let mut shards = Self {
            files: Vec::new(),
            tensors: HashMap::new(),
            prefix: String::new(),
            post_norms: description.post_norms,
        };
        for name in file_names(dir)? {
            shards.add(&dir.join(name))?;
        }
        let prefixes = [
            "model.",
            "",
            "language_model.model.",
            "model.language_model.",
        ];
        let has = |prefix: &&str| {
            shards
                .tensors
                .contains_key(&format!("{prefix}embed_tokens.weight"))
        };
        let prefix = prefixes.iter().find(|prefix| has(prefix));
        let missing = || model("tensor `model.embed_tokens.weight` is missing".to_owned());
        shards.prefix = prefix.ok_or_else(missing)?.to_string();
        Ok(shards)
    }

    fn add(&mut self, path: &Path) -> Result<(), GenerateError> {
        let map = map(path)?;
        let damaged = |error: safetensors::SafeTensorError| GenerateError::Truncated {
            file: path.display().to_string(),
            reason: error.to_string(),
        };
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(damaged)?;
        // The header's length itself takes eight bytes.
        let start = header + 8;
        for (name, info) in metadata.tensors() {
            let (first, last) = info.data_offsets;
            let bytes = start + first..start + last;
            if map.get(bytes.clone()).is_none() {
                let reason = format!(
                    "tensor `{name}` ends at byte {}, the file at {}",
                    bytes.end,
                    map.len()
                );
                return Err(GenerateError::Truncated {
                    file: path.display().to_string(),
                    reason,
                });
            }
            let place = Place {
                file: self.files.len(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                bytes,
            };
            self.tensors.insert(name, place);
        }
        self.files.push((path.to_owned(), map));
        Ok(())
    }
}

/// Maps a file into memory.
pub(super) fn map(path: &Path) -> Result<Mmap, GenerateError> {
    let failed = |error| unreadable(path, &error);
    let file = File::open(path).map_err(failed)?;
    // SAFETY: the bytes are only read; whoever truncates a model's file while it is loaded ends this process.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

/// An error of the file system.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> GenerateError {
    GenerateError::Io {
        file: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// The files that hold a directory's weights.
fn file_names(dir: &Path) -> Result<Vec<String>, GenerateError> {
    let single = "model.safetensors";
    let index = dir.join("model.safetensors.index.json");
    if dir.join(single).exists() || !index.exists() {
        return Ok(vec![single.to_owned()]);
    }
    let text = std::fs::read_to_string(&index).map_err(|error| unreadable(&index, &error))?;
    let damaged = |reason: String| GenerateError::Truncated {
        file: index.display().to_string(),
        reason,
    };
    let index: Index = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    match names.iter().find(|name| {
        Path::new(name)
            .file_name()
            .is_none_or(|plain| plain != name.as_str())
    }) {
        Some(name) => Err(damaged(format!("`{name}` is not the name of a file"))),
        None => Ok(names),
    }
}

impl Source for Shards {
    fn find(&self, weight: Weight, layer: usize) -> Result<Option<Tensor<'_>>, GenerateError> {
        let name = self.name(weight, layer);
        let Some(place) = self.tensors.get(&name) else {
            return Ok(None);
        };
        let stored = match place.dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::BF16 => Stored::Bf16,
            other => {
                return Err(model(format!(
                    "tensor `{name}` has type {other:?}, which is not supported"
                )));
            }
        };
        let bytes = &self.files[place.file].1[place.bytes.clone()];
        Ok(Some(Tensor {
            name,
            stored,
            shape: place.shape.clone(),
            bytes,
        }))
    }

    fn name(&self, weight: Weight, layer: usize) -> String {
        let of_layer = match weight {
            Weight::Embedding => return format!("{}embed_tokens.weight", self.prefix),
            Weight::Norm => return format!("{}norm.weight", self.prefix),
            Weight::Head if self.prefix.starts_with("language_model.") => {
                return "language_model.lm_head.weight".to_owned();
            }
            Weight::Head => return "lm_head.weight".to_owned(),
            Weight::AttentionNorm => "input_layernorm.weight",
            Weight::Query => "self_attn.q_proj.weight",
            Weight::Key => "self_attn.k_proj.weight",
            Weight::Value => "self_attn.v_proj.weight",
            Weight::QueryKeyValue => "self_attn.qkv_proj.weight",
            Weight::QueryBias => "self_attn.q_proj.bias",
            Weight::KeyBias => "self_attn.k_proj.bias",
            Weight::ValueBias => "self_attn.v_proj.bias",
            Weight::Output => "self_attn.o_proj.weight",
            Weight::OutputBias => "self_attn.o_proj.bias",
            Weight::QueryNorm => "self_attn.q_norm.weight",
            Weight::KeyNorm => "self_attn.k_norm.weight",
            Weight::FeedForwardNorm if self.post_norms => "pre_feedforward_layernorm.weight",
            Weight::FeedForwardNorm | Weight::PostAttentionNorm => {
                "post_attention_layernorm.weight"
            }
            Weight::Gate => "mlp.gate_proj.weight",
            Weight::Up => "mlp.up_proj.weight",
            Weight::GateUp => "mlp.gate_up_proj.weight",
            Weight::Down => "mlp.down_proj.weight",
            Weight::PostFeedForwardNorm => "post_feedforward_layernorm.weight",
        };
        format!("{}layers.{layer}.{of_layer}", self.prefix)
    }

    fn n_bytes(&self) -> u64 {
        self.tensors
            .values()
            .map(|place| place.bytes.len() as u64)
            .sum()
    }
}
