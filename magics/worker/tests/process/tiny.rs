//! Writes tiny random models: a BERT, and a CLIP.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Numbers of a vector.
pub(super) const WIDTH: usize = 8;
const INNER: usize = 16;
const POSITIONS: usize = 32;
/// Pixels of a side of the CLIP's pictures, and of a patch.
pub(super) const SIDE: u32 = 12;
const PATCH: usize = 4;

/// The names and shapes of a model's tensors.
#[derive(Default)]
struct Tensors(Vec<(String, Vec<usize>)>);

impl Tensors {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, n_in: usize, n_out: usize) {
        self.add(&format!("{name}.weight"), &[n_out, n_in]);
        self.add(&format!("{name}.bias"), &[n_out]);
    }

    fn norm(&mut self, name: &str) {
        self.add(&format!("{name}.weight"), &[WIDTH]);
        self.add(&format!("{name}.bias"), &[WIDTH]);
    }

    /// A model directory with random numbers.
    fn write(self, config: &Value) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut numbers = |shape: &[usize]| -> Vec<u8> {
            let n = shape.iter().product();
            (0..n)
                .flat_map(|_| (random.f32() - 0.5).to_le_bytes())
                .collect()
        };
        let bytes: Vec<Vec<u8>> = self.0.iter().map(|(_, shape)| numbers(shape)).collect();
        let tensors: BTreeMap<&str, TensorView<'_>> = self
            .0
            .iter()
            .zip(&bytes)
            .map(|((name, shape), bytes)| {
                (
                    name.as_str(),
                    TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
                )
            })
            .collect();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        };
        write(
            "model.safetensors",
            &safetensors::serialize(tensors, None).unwrap(),
        );
        write("config.json", config.to_string().as_bytes());
        write("vocab.txt", words().join("\n").as_bytes());
        directory
    }
}

fn words() -> Vec<String> {
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        .map(str::to_owned)
        .into_iter()
        .chain(letters)
        .collect()
}

/// A model directory with a BERT.
pub(super) fn bert() -> TempDir {
    let config = json!({
        "model_type": "bert", "hidden_size": WIDTH, "num_attention_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": INNER, "vocab_size": words().len(), "max_position_embeddings": POSITIONS, "pad_token_id": 0,
    });
    let mut tensors = Tensors::default();
    let embeddings = "embeddings";
    tensors.add(
        &format!("{embeddings}.word_embeddings.weight"),
        &[words().len(), WIDTH],
    );
    tensors.add(
        &format!("{embeddings}.position_embeddings.weight"),
        &[POSITIONS, WIDTH],
    );
    tensors.add(
        &format!("{embeddings}.token_type_embeddings.weight"),
        &[2, WIDTH],
    );
    tensors.norm("embeddings.LayerNorm");
    let layer = "encoder.layer.0.";
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        tensors.linear(&format!("{layer}attention.{part}"), WIDTH, WIDTH);
    }
    tensors.norm(&format!("{layer}attention.output.LayerNorm"));
    tensors.linear(&format!("{layer}intermediate.dense"), WIDTH, INNER);
    tensors.linear(&format!("{layer}output.dense"), INNER, WIDTH);
    tensors.norm(&format!("{layer}output.LayerNorm"));
    tensors.write(&config)
}

/// A model directory with a CLIP.
pub(super) fn clip() -> TempDir {
    let tower = json!({
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_attention_heads": 2, "num_hidden_layers": 1,
        "vocab_size": words().len(), "max_position_embeddings": POSITIONS, "image_size": SIDE, "patch_size": PATCH,
    });
    let config = json!({
        "model_type": "clip", "projection_dim": WIDTH, "text_config": tower, "vision_config": tower,
    });
    let mut tensors = Tensors::default();
    let (text, image) = ("text_model", "vision_model");
    tensors.add(
        &format!("{text}.embeddings.token_embedding.weight"),
        &[words().len(), WIDTH],
    );
    tensors.add(
        &format!("{text}.embeddings.position_embedding.weight"),
        &[POSITIONS, WIDTH],
    );
    tensors.norm(&format!("{text}.final_layer_norm"));
    let across = SIDE as usize / PATCH;
    tensors.add(&format!("{image}.embeddings.class_embedding"), &[WIDTH]);
    tensors.add(
        &format!("{image}.embeddings.patch_embedding.weight"),
        &[WIDTH, 3, PATCH, PATCH],
    );
    tensors.add(
        &format!("{image}.embeddings.position_embedding.weight"),
        &[across * across + 1, WIDTH],
    );
    tensors.norm(&format!("{image}.pre_layrnorm"));
    tensors.norm(&format!("{image}.post_layernorm"));
    for tower in [text, image] {
        let layer = format!("{tower}.encoder.layers.0.");
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            tensors.linear(&format!("{layer}self_attn.{part}"), WIDTH, WIDTH);
        }
        tensors.norm(&format!("{layer}layer_norm1"));
        tensors.norm(&format!("{layer}layer_norm2"));
        tensors.linear(&format!("{layer}mlp.fc1"), WIDTH, INNER);
        tensors.linear(&format!("{layer}mlp.fc2"), INNER, WIDTH);
    }
    tensors.add("text_projection.weight", &[WIDTH, WIDTH]);
    tensors.add("visual_projection.weight", &[WIDTH, WIDTH]);
    let directory = tensors.write(&config);
    save(
        directory.path(),
        "preprocessor_config.json",
        &json!({ "size": { "shortest_edge": SIDE } }),
    );
    directory
}

fn save(directory: &Path, name: &str, value: &Value) {
    std::fs::write(directory.join(name), value.to_string()).unwrap();
}
