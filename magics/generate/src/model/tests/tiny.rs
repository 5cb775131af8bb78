//! Tiny random models, written as directories of safetensors or as GGUF files.

use std::collections::HashMap;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::model::gguf::Gguf;
use crate::model::instructions::Available;
use crate::model::processor::Decoder;
use crate::model::safetensors::Shards;
use crate::model::{Precision, config, gguf_config};

pub(in crate::model) const VOCABULARY: usize = 300;

/// A model's configuration and weights.
pub(in crate::model) struct Tiny {
    pub(in crate::model) config: Json,
    pub(in crate::model) tensors: HashMap<String, Tensor>,
    /// What a GGUF file has beside the configuration.
    pub(in crate::model) metadata: Vec<(String, Value)>,
}

fn random(random: &mut fastrand::Rng, shape: &[usize], scale: f32, centre: f32) -> Tensor {
    let n = shape.iter().product();
    let values: Vec<f32> = (0..n)
        .map(|_| centre + scale * (random.f32() * 2.0 - 1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The configuration of a family with what is common to all, and other settings over it.
pub(in crate::model) fn config(family: &str, more: &Json) -> Json {
    let mut config = json!({
        "model_type": family, "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": false, "attention_bias": false,
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

impl Tiny {
    /// Random weights for a configuration.
    pub(in crate::model) fn new(config: Json, seed: u64) -> Self {
        let number = |key: &str| config[key].as_u64().unwrap() as usize;
        let family = config["model_type"].as_str().unwrap();
        let (hidden, ffn, dim) = (
            number("hidden_size"),
            number("intermediate_size"),
            number("head_dim"),
        );
        let (query, key) = (
            number("num_attention_heads") * dim,
            number("num_key_value_heads") * dim,
        );
        let gemma = family.starts_with("gemma");
        let mut shapes: Vec<(String, Vec<usize>)> = vec![
            ("model.embed_tokens.weight".into(), vec![VOCABULARY, hidden]),
            ("model.norm.weight".into(), vec![hidden]),
        ];
        if config["tie_word_embeddings"] != json!(true) {
            shapes.push(("lm_head.weight".into(), vec![VOCABULARY, hidden]));
        }
        for layer in 0..number("num_hidden_layers") {
            let mut add = |name: &str, shape: &[usize]| {
                shapes.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
            };
            add("input_layernorm.weight", &[hidden]);
            add("post_attention_layernorm.weight", &[hidden]);
            if gemma {
                add("pre_feedforward_layernorm.weight", &[hidden]);
                add("post_feedforward_layernorm.weight", &[hidden]);
            }
            if family == "phi3" {
                add("self_attn.qkv_proj.weight", &[query + 2 * key, hidden]);
                add("mlp.gate_up_proj.weight", &[2 * ffn, hidden]);
            } else {
                for (name, n) in [("q", query), ("k", key), ("v", key)] {
                    add(&format!("self_attn.{name}_proj.weight"), &[n, hidden]);
                    if family == "qwen2" {
                        add(&format!("self_attn.{name}_proj.bias"), &[n]);
                    }
                }
                add("mlp.gate_proj.weight", &[ffn, hidden]);
                add("mlp.up_proj.weight", &[ffn, hidden]);
            }
            if family == "qwen3" || family == "gemma3_text" {
                add("self_attn.q_norm.weight", &[dim]);
                add("self_attn.k_norm.weight", &[dim]);
            }
            add("self_attn.o_proj.weight", &[hidden, query]);
            add("mlp.down_proj.weight", &[hidden, ffn]);
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let norm = name.ends_with("norm.weight");
            let tensor = random(
                &mut rng,
                &shape,
                if norm { 0.3 } else { 0.2 },
                if norm && !gemma { 1.0 } else { 0.0 },
            );
            (name, tensor)
        });
        let tensors = tensors.collect();
        Self {
            config,
            tensors,
            metadata: Vec::new(),
        }
    }

    /// Writes the model as a directory.
    pub(in crate::model) fn write(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), self.config.to_string()).unwrap();
        candle_core::safetensors::save(&self.tensors, dir.path().join("model.safetensors"))
            .unwrap();
        dir
    }

    /// Writes the model as a GGUF file in the formats that `dtype` gives; norms and biases stay in single precision.
    pub(in crate::model) fn write_gguf(
        &self,
        architecture: &str,
        dtype: impl Fn(&str) -> GgmlDType,
        path: &Path,
    ) {
        let number = |key: &str| Value::U32(self.config[key].as_u64().unwrap() as u32);
        let float = |key: &str| Value::F32(self.config[key].as_f64().unwrap() as f32);
        let mut metadata = self.metadata.clone();
        metadata.extend([(
            "general.architecture".to_owned(),
            Value::String(architecture.to_owned()),
        )]);
        // Without it an oracle computes its rotary positions in half precision.
        metadata.push(("general.dtype".to_owned(), Value::U32(0)));
        let mut add =
            |key: &str, value: Value| metadata.push((format!("{architecture}.{key}"), value));
        add("context_length", number("max_position_embeddings"));
        add("embedding_length", number("hidden_size"));
        add("block_count", number("num_hidden_layers"));
        add("feed_forward_length", number("intermediate_size"));
        add("attention.head_count", number("num_attention_heads"));
        add("attention.head_count_kv", number("num_key_value_heads"));
        add("attention.key_length", number("head_dim"));
        add("attention.value_length", number("head_dim"));
        add("rope.dimension_count", number("head_dim"));
        add("attention.layer_norm_rms_epsilon", float("rms_norm_eps"));
        add("rope.freq_base", float("rope_theta"));
        if architecture == "gemma3" {
            add("attention.sliding_window", number("sliding_window"));
        }
        let gemma = architecture.starts_with("gemma");
        let mut tensors: Vec<(String, QTensor)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                // Files of this format have Gemma's 1 in the weights.
                let tensor = if gemma && name.contains("norm") {
                    (tensor + 1.0).unwrap()
                } else {
                    tensor.clone()
                };
                let dtype = if tensor.rank() == 1 {
                    GgmlDType::F32
                } else {
                    dtype(name)
                };
                (
                    gguf_name(name, gemma),
                    QTensor::quantize(&tensor, dtype).unwrap(),
                )
            })
            .collect();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let metadata: Vec<(&str, &Value)> = metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let tensors: Vec<(&str, &QTensor)> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let mut file = std::fs::File::create(path).unwrap();
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    }
}

/// The name that a tensor has in GGUF.
fn gguf_name(name: &str, gemma: bool) -> String {
    let before = if gemma {
        "pre_feedforward_layernorm"
    } else {
        "post_attention_layernorm"
    };
    let pairs = [
        (before, "ffn_norm"),
        ("post_attention_layernorm", "post_attention_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
        ("input_layernorm", "attn_norm"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("self_attn.qkv_proj", "attn_qkv"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_up_proj", "ffn_up"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let pair = pairs.iter().find(|(from, _)| name.contains(from)).unwrap();
    name.replace(pair.0, pair.1)
        .replace("model.layers.", "blk.")
}

/// The decoder of a directory.
pub(in crate::model) fn from_dir(dir: &Path, precision: Precision) -> Decoder {
    from_dir_with(dir, precision, Available::fastest())
}

/// The same, computed with these instructions.
pub(super) fn from_dir_with(dir: &Path, precision: Precision, with: Available) -> Decoder {
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let description = config::describe(&config, None).unwrap();
    let shards = Shards::open(dir, &description).unwrap();
    Decoder::new(description, &shards, precision, with, &mut |_, _| {}).unwrap()
}

/// The decoder of a GGUF file.
pub(in crate::model) fn from_gguf(path: &Path, precision: Precision) -> Decoder {
    from_gguf_with(path, precision, Available::fastest())
}

/// The same, computed with these instructions.
pub(super) fn from_gguf_with(path: &Path, precision: Precision, with: Available) -> Decoder {
    let gguf = Gguf::open(path).unwrap();
    let description = gguf_config::describe(&gguf, None).unwrap();
    Decoder::new(description, &gguf, precision, with, &mut |_, _| {}).unwrap()
}
