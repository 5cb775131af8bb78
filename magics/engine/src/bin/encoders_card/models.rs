//! Random encoders, written as directories that transformers reads, too.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::Failure;

/// Words of the tokenizers; the first four are special, the others are `w4`, `w5` and so on.
const WORDS: usize = 30_522;
/// Random numbers that all tensors of a model share, each from another place on.
const BLOCK: usize = 1 << 22;

/// A model to be written.
pub(crate) struct Model {
    /// What it is called in reports, and its folder.
    pub(crate) name: &'static str,
    config: Value,
    tensors: Vec<(String, Vec<usize>)>,
}

/// One of every family, in a size that people use.
pub(crate) fn all() -> Vec<Model> {
    vec![minilm(), nomic(), modern(), clip()]
}

/// A text of `n` words.
pub(crate) fn text(random: &mut fastrand::Rng, n: usize) -> String {
    let words: Vec<String> = (0..n)
        .map(|_| format!("w{}", random.usize(4..WORDS)))
        .collect();
    words.join(" ")
}

/// Names and shapes in the making.
#[derive(Default)]
struct Tensors(Vec<(String, Vec<usize>)>);

impl Tensors {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.add(format!("{name}.weight"), &[outputs, inputs]);
        self.add(format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, n: usize) {
        self.add(format!("{name}.weight"), &[n]);
        self.add(format!("{name}.bias"), &[n]);
    }
}

/// all-MiniLM-L6-v2.
fn minilm() -> Model {
    let (width, inner, layers, positions) = (384, 1536, 6, 512);
    let mut tensors = Tensors::default();
    tensors.add("embeddings.word_embeddings.weight", &[WORDS, width]);
    tensors.add("embeddings.position_embeddings.weight", &[positions, width]);
    tensors.add("embeddings.token_type_embeddings.weight", &[2, width]);
    tensors.norm("embeddings.LayerNorm", width);
    for layer in 0..layers {
        let name = |rest: &str| format!("encoder.layer.{layer}.{rest}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            tensors.linear(&name(&format!("attention.{part}")), width, width);
        }
        tensors.norm(&name("attention.output.LayerNorm"), width);
        tensors.linear(&name("intermediate.dense"), width, inner);
        tensors.linear(&name("output.dense"), inner, width);
        tensors.norm(&name("output.LayerNorm"), width);
    }
    Model {
        name: "minilm",
        config: json!({
            "model_type": "bert", "architectures": ["BertModel"], "hidden_size": width, "intermediate_size": inner,
            "num_hidden_layers": layers, "num_attention_heads": 12, "vocab_size": WORDS, "type_vocab_size": 2,
            "max_position_embeddings": positions, "pad_token_id": 0, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        }),
        tensors: tensors.0,
    }
}

/// nomic-embed-text-v1.5, as long as it was trained.
fn nomic() -> Model {
    let (width, inner, layers) = (768, 3072, 12);
    let mut tensors = Tensors::default();
    tensors.add("embeddings.word_embeddings.weight", &[WORDS, width]);
    tensors.add("embeddings.token_type_embeddings.weight", &[2, width]);
    tensors.norm("emb_ln", width);
    for layer in 0..layers {
        let name = |rest: &str| format!("encoder.layers.{layer}.{rest}");
        tensors.add(name("attn.Wqkv.weight"), &[3 * width, width]);
        tensors.add(name("attn.out_proj.weight"), &[width, width]);
        tensors.add(name("mlp.fc11.weight"), &[inner, width]);
        tensors.add(name("mlp.fc12.weight"), &[inner, width]);
        tensors.add(name("mlp.fc2.weight"), &[width, inner]);
        tensors.norm(&name("norm1"), width);
        tensors.norm(&name("norm2"), width);
    }
    Model {
        name: "nomic",
        config: json!({
            "model_type": "nomic_bert", "architectures": ["NomicBertModel"], "activation_function": "swiglu",
            "causal": false, "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048, "mlp_fc1_bias": false,
            "mlp_fc2_bias": false, "n_embd": width, "n_head": 12, "n_inner": inner, "n_layer": layers,
            "n_positions": 2048, "parallel_block": false, "prenorm": false, "qkv_proj_bias": false,
            "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false,
            "rotary_scaling_factor": null, "type_vocab_size": 2, "use_rms_norm": false, "vocab_size": WORDS,
        }),
        tensors: tensors.0,
    }
}

/// ModernBERT-base.
fn modern() -> Model {
    let (width, inner, layers) = (768, 1152, 22);
    let mut tensors = Tensors::default();
    tensors.add("embeddings.tok_embeddings.weight", &[WORDS, width]);
    tensors.add("embeddings.norm.weight", &[width]);
    for layer in 0..layers {
        let name = |rest: &str| format!("layers.{layer}.{rest}.weight");
        tensors.add(name("attn.Wqkv"), &[3 * width, width]);
        tensors.add(name("attn.Wo"), &[width, width]);
        tensors.add(name("mlp.Wi"), &[2 * inner, width]);
        tensors.add(name("mlp.Wo"), &[width, inner]);
        tensors.add(name("mlp_norm"), &[width]);
        if layer > 0 {
            tensors.add(name("attn_norm"), &[width]);
        }
    }
    tensors.add("final_norm.weight", &[width]);
    Model {
        name: "modernbert",
        config: json!({
            "model_type": "modernbert", "architectures": ["ModernBertModel"], "attention_bias": false,
            "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "hidden_activation": "gelu",
            "hidden_size": width, "intermediate_size": inner, "local_attention": 128, "local_rope_theta": 10_000.0,
            "max_position_embeddings": 8192, "mlp_bias": false, "norm_bias": false, "norm_eps": 1e-5,
            "num_attention_heads": 12, "num_hidden_layers": layers, "pad_token_id": 0, "bos_token_id": 2,
            "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "vocab_size": WORDS,
        }),
        tensors: tensors.0,
    }
}

/// clip-vit-base-patch32, with our words.
fn clip() -> Model {
    let (text, image, dims, patch) = ((512, 2048, 77), (768, 3072, 50), 512, 32);
    let mut tensors = Tensors::default();
    tensors.add(
        "text_model.embeddings.token_embedding.weight",
        &[WORDS, text.0],
    );
    tensors.add("vision_model.embeddings.class_embedding", &[image.0]);
    let patches = "vision_model.embeddings.patch_embedding.weight";
    tensors.add(patches, &[image.0, 3, patch, patch]);
    tensors.norm("vision_model.pre_layrnorm", image.0);
    tensors.norm("vision_model.post_layernorm", image.0);
    tensors.norm("text_model.final_layer_norm", text.0);
    tensors.add("text_projection.weight", &[dims, text.0]);
    tensors.add("visual_projection.weight", &[dims, image.0]);
    tensors.add("logit_scale", &[]);
    for (tower, (width, inner, positions)) in [("text_model", text), ("vision_model", image)] {
        let places = format!("{tower}.embeddings.position_embedding.weight");
        tensors.add(places, &[positions, width]);
        for layer in 0..12 {
            let name = |rest: &str| format!("{tower}.encoder.layers.{layer}.{rest}");
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                tensors.linear(&name(&format!("self_attn.{part}")), width, width);
            }
            tensors.norm(&name("layer_norm1"), width);
            tensors.norm(&name("layer_norm2"), width);
            tensors.linear(&name("mlp.fc1"), width, inner);
            tensors.linear(&name("mlp.fc2"), inner, width);
        }
    }
    let tower = |(width, inner, _): (usize, usize, usize), heads: usize, more: Value| {
        let mut tower = json!({ "hidden_size": width, "intermediate_size": inner, "num_attention_heads": heads,
                                "num_hidden_layers": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5 });
        if let (Some(tower), Value::Object(more)) = (tower.as_object_mut(), more) {
            tower.extend(more);
        }
        tower
    };
    let words = json!({ "vocab_size": WORDS, "max_position_embeddings": text.2, "bos_token_id": 2, "eos_token_id": 3,
                        "pad_token_id": 0 });
    let pixels = json!({ "image_size": 224, "patch_size": patch });
    Model {
        name: "clip",
        config: json!({ "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": dims,
                        "text_config": tower(text, 8, words), "vision_config": tower(image, 12, pixels) }),
        tensors: tensors.0,
    }
}

impl Model {
    /// Its folder among those of all models.
    pub(crate) fn folder(&self, all: &Path) -> PathBuf {
        all.join(self.name)
    }

    /// Writes it, unless it is there.
    pub(crate) fn write(&self, all: &Path) -> Result<(), Failure> {
        let folder = self.folder(all);
        let whole = folder.join("preprocessor_config.json");
        if whole.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("config.json"), self.config.to_string())?;
        std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string())?;
        let mut header = Map::new();
        let mut end = 0;
        for (name, shape) in &self.tensors {
            let first = end;
            end += 4 * shape.iter().product::<usize>();
            let about = json!({ "dtype": "F32", "shape": shape, "data_offsets": [first, end] });
            header.insert(name.clone(), about);
        }
        header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
        let mut header = Value::Object(header).to_string();
        // Values begin at a multiple of eight bytes.
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut file = BufWriter::new(File::create(folder.join("model.safetensors"))?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        self.values(&mut file)?;
        file.flush()?;
        // Last: it says that the others are whole.
        let pixels = json!({ "size": { "shortest_edge": 224 } });
        Ok(std::fs::write(whole, pixels.to_string())?)
    }

    fn values(&self, file: &mut dyn Write) -> Result<(), Failure> {
        let mut random = fastrand::Rng::with_seed(self.tensors.len() as u64);
        let noise: Vec<f32> = (0..BLOCK).map(|_| random.f32() * 2.0 - 1.0).collect();
        let mut bytes = Vec::new();
        for (name, shape) in &self.tensors {
            let norm = name.to_lowercase().contains("norm") || name.contains("emb_ln");
            let centre: f32 = if norm && name.ends_with("weight") {
                1.0
            } else {
                0.0
            };
            // All inputs of an output, those of a patch in all its directions.
            let inputs = shape.get(1..).unwrap_or_default().iter().product::<usize>();
            let scale: f32 = match shape.len() {
                0 | 1 => 0.1,
                _ => (3.0 / inputs as f32).sqrt(),
            };
            let mut left: usize = shape.iter().product();
            while left > 0 {
                let from = random.usize(0..BLOCK);
                let part = &noise[from..BLOCK.min(from + left)];
                left -= part.len();
                bytes.clear();
                bytes.extend(part.iter().flat_map(|x| (centre + scale * x).to_le_bytes()));
                file.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

fn tokenizer() -> Value {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let words = (special.len()..WORDS).map(|id| (format!("w{id}"), json!(id)));
    let special = special
        .iter()
        .zip(0..)
        .map(|(word, id)| ((*word).to_owned(), json!(id)));
    let vocabulary: Map<String, Value> = special.chain(words).collect();
    json!({
        "version": "1.0",
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]" },
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
    })
}
