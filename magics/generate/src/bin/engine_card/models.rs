//! Random models, written as directories.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::Failure;

/// Random numbers that all tensors of a large model share, each from another place on.
const BLOCK: usize = 1 << 25;

/// A model to be written.
pub(crate) struct Model {
    /// What it is called in reports.
    pub(crate) name: &'static str,
    /// Its `config.json`.
    pub(crate) config: Value,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// 32 bits.
    F32,
    /// 16 bits.
    Bf16,
}

impl Stored {
    /// What files call it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
        }
    }

    /// Bytes of a value.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Writes values around `centre`.
    fn write(self, into: &mut [u8], noise: &[f32], centre: f32, scale: f32) {
        let values = noise.iter().map(|x| centre + scale * x);
        for (into, value) in into.chunks_exact_mut(self.size()).zip(values) {
            match self {
                Self::F32 => into.copy_from_slice(&value.to_le_bytes()),
                Self::Bf16 => into.copy_from_slice(&half::bf16::from_f32(value).to_le_bytes()),
            }
        }
    }
}

fn config(family: &str, more: &Value) -> Value {
    let mut config = json!({
        "model_type": family, "vocab_size": 512, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false,
        "attention_bias": false,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}

/// A tiny model of every family, with heads of every size for which there are kernels.
pub(crate) fn families() -> Vec<Model> {
    let model = |name, family: &str, more: Value| Model {
        name,
        config: config(family, &more),
    };
    vec![
        model("llama", "llama", json!({})),
        model(
            "llama 3.1",
            "llama",
            json!({ "rope_theta": 500.0, "head_dim": 128, "num_attention_heads": 8, "rope_scaling": { "factor": 8.0,
                    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
                    "rope_type": "llama3" } }),
        ),
        model(
            "mistral",
            "mistral",
            json!({ "sliding_window": 70, "num_attention_heads": 14 }),
        ),
        model(
            "qwen2",
            "qwen2",
            json!({ "tie_word_embeddings": true, "sliding_window": 256, "max_window_layers": 3,
                    "use_sliding_window": false }),
        ),
        model(
            "qwen3",
            "qwen3",
            json!({ "head_dim": 128, "num_attention_heads": 12 }),
        ),
        model(
            "phi3",
            "phi3",
            json!({ "head_dim": 96, "partial_rotary_factor": 0.5 }),
        ),
        model(
            "gemma2",
            "gemma2",
            json!({ "head_dim": 256, "sliding_window": 40, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 3.0,
                    "final_logit_softcapping": 5.0, "hidden_activation": "gelu_pytorch_tanh",
                    "tie_word_embeddings": true }),
        ),
        model(
            "gemma3",
            "gemma3_text",
            json!({ "head_dim": 256, "sliding_window": 40, "sliding_window_pattern": 2, "query_pre_attn_scalar": 16,
                    "rope_local_base_freq": 100.0, "rope_theta": 5000.0, "attn_logit_softcapping": null,
                    "final_logit_softcapping": null, "hidden_activation": "gelu_pytorch_tanh",
                    "tie_word_embeddings": true }),
        ),
    ]
}

/// The shape of Qwen3-8B.
pub(crate) fn eight_billion() -> Model {
    let sizes = json!({
        "vocab_size": 151_936, "hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40_960,
        "rope_theta": 1_000_000.0, "rms_norm_eps": 1e-6,
    });
    Model {
        name: "8 B",
        config: config("qwen3", &sizes),
    }
}

/// What stands for it in a rehearsal.
pub(crate) fn small() -> Model {
    let sizes = json!({
        "vocab_size": 2048, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 40_960,
        "rope_theta": 1_000_000.0, "rms_norm_eps": 1e-6,
    });
    Model {
        name: "small",
        config: config("qwen3", &sizes),
    }
}

impl Model {
    /// Entries of a row of logits.
    pub(crate) fn vocabulary(&self) -> usize {
        self.number("vocab_size")
    }

    fn number(&self, key: &str) -> usize {
        self.config[key].as_u64().unwrap_or_default() as usize
    }

    /// Names and shapes of its tensors.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let family = self.config["model_type"].as_str().unwrap_or_default();
        let (hidden, ffn, dim) = (
            self.number("hidden_size"),
            self.number("intermediate_size"),
            self.number("head_dim"),
        );
        let query = self.number("num_attention_heads") * dim;
        let key = self.number("num_key_value_heads") * dim;
        let table = vec![self.vocabulary(), hidden];
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), table.clone()),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        if self.config["tie_word_embeddings"] != true {
            tensors.push(("lm_head.weight".to_owned(), table));
        }
        for layer in 0..self.number("num_hidden_layers") {
            let mut add = |name: &str, shape: &[usize]| {
                tensors.push((
                    format!("model.layers.{layer}.{name}.weight"),
                    shape.to_vec(),
                ));
            };
            add("input_layernorm", &[hidden]);
            add("post_attention_layernorm", &[hidden]);
            if family.starts_with("gemma") {
                add("pre_feedforward_layernorm", &[hidden]);
                add("post_feedforward_layernorm", &[hidden]);
            }
            if family == "phi3" {
                add("self_attn.qkv_proj", &[query + 2 * key, hidden]);
                add("mlp.gate_up_proj", &[2 * ffn, hidden]);
            } else {
                add("self_attn.q_proj", &[query, hidden]);
                add("self_attn.k_proj", &[key, hidden]);
                add("self_attn.v_proj", &[key, hidden]);
                add("mlp.gate_proj", &[ffn, hidden]);
                add("mlp.up_proj", &[ffn, hidden]);
            }
            if family == "qwen3" || family == "gemma3_text" {
                add("self_attn.q_norm", &[dim]);
                add("self_attn.k_norm", &[dim]);
            }
            add("self_attn.o_proj", &[hidden, query]);
            add("mlp.down_proj", &[hidden, ffn]);
            if family == "qwen2" {
                for (name, n) in [("q", query), ("k", key), ("v", key)] {
                    let name = format!("model.layers.{layer}.self_attn.{name}_proj.bias");
                    tensors.push((name, vec![n]));
                }
            }
        }
        tensors
    }

    /// Writes the model into a folder.
    pub(crate) fn write(&self, folder: &Path, stored: Stored) -> Result<(), Failure> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("config.json"), self.config.to_string())?;
        let vocabulary: Map<String, Value> =
            (0..512).map(|id| (format!("w{id}"), json!(id))).collect();
        let tokenizer = json!({ "version": "1.0", "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
                                "pre_tokenizer": { "type": "Whitespace" } });
        std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string())?;
        let tensors = self.tensors();
        let (name, size) = (stored.name(), stored.size());
        let mut header = Map::new();
        let mut end = 0;
        for (tensor, shape) in &tensors {
            let first = end;
            end += shape.iter().product::<usize>() * size;
            let about = json!({ "dtype": name, "shape": shape, "data_offsets": [first, end] });
            header.insert(tensor.clone(), about);
        }
        let mut header = Value::Object(header).to_string();
        // Values begin at a multiple of eight bytes.
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut file = BufWriter::new(File::create(folder.join("model.safetensors"))?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        self.values(&tensors, stored, &mut file)?;
        Ok(file.flush()?)
    }

    fn values(
        &self,
        tensors: &[(String, Vec<usize>)],
        stored: Stored,
        file: &mut dyn Write,
    ) -> Result<(), Failure> {
        let gemma = self.config["model_type"]
            .as_str()
            .is_some_and(|family| family.starts_with("gemma"));
        let mut random = fastrand::Rng::with_seed(self.vocabulary() as u64);
        let most = tensors.iter().map(|(_, shape)| shape.iter().product());
        let n = BLOCK.min(most.max().unwrap_or(1));
        let noise: Vec<f32> = (0..n).map(|_| random.f32() * 2.0 - 1.0).collect();
        let mut bytes = Vec::new();
        for (name, shape) in tensors {
            let norm = name.contains("norm");
            let centre = if norm && !gemma { 1.0 } else { 0.0 };
            let inputs = shape.last().copied().unwrap_or(1) as f32;
            let scale = if norm { 0.3 } else { (3.0 / inputs).sqrt() };
            let mut left: usize = shape.iter().product();
            while left > 0 {
                let from = random.usize(0..n);
                let part = &noise[from..n.min(from + left)];
                left -= part.len();
                bytes.resize(part.len() * stored.size(), 0);
                bytes
                    .par_chunks_mut(1024 * stored.size())
                    .zip(part.par_chunks(1024))
                    .for_each(|(into, part)| stored.write(into, part, centre, scale));
                file.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}
