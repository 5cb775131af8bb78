//! Writes a tiny random BERT.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tempfile::TempDir;

/// Numbers of a vector.
pub(super) const WIDTH: usize = 8;
const INNER: usize = 16;
const POSITIONS: usize = 32;

/// A model directory.
pub(super) fn bert() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    let words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        .map(str::to_owned)
        .into_iter()
        .chain(letters)
        .collect();
    let config = json!({
        "model_type": "bert", "hidden_size": WIDTH, "num_attention_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": INNER, "vocab_size": words.len(), "max_position_embeddings": POSITIONS, "pad_token_id": 0,
    });
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        (
            "embeddings.word_embeddings.weight".into(),
            vec![words.len(), WIDTH],
        ),
        (
            "embeddings.position_embeddings.weight".into(),
            vec![POSITIONS, WIDTH],
        ),
        (
            "embeddings.token_type_embeddings.weight".into(),
            vec![2, WIDTH],
        ),
    ];
    let layer = "encoder.layer.0.";
    let mut linear = |name: String, n_in: usize, n_out: usize| {
        shapes.push((format!("{name}.weight"), vec![n_out, n_in]));
        shapes.push((format!("{name}.bias"), vec![n_out]));
    };
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        linear(format!("{layer}attention.{part}"), WIDTH, WIDTH);
    }
    linear(format!("{layer}intermediate.dense"), WIDTH, INNER);
    linear(format!("{layer}output.dense"), INNER, WIDTH);
    for norm in [
        "embeddings.LayerNorm".to_owned(),
        format!("{layer}attention.output.LayerNorm"),
        format!("{layer}output.LayerNorm"),
    ] {
        shapes.push((format!("{norm}.weight"), vec![WIDTH]));
        shapes.push((format!("{norm}.bias"), vec![WIDTH]));
    }
    let mut random = fastrand::Rng::with_seed(7);
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| {
            let n = shape.iter().product();
            (0..n)
                .flat_map(|_| (random.f32() - 0.5).to_le_bytes())
                .collect()
        })
        .collect();
    let tensors: BTreeMap<&str, TensorView<'_>> = shapes
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| {
            (
                name.as_str(),
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        })
        .collect();
    let weights = safetensors::serialize(tensors, None).unwrap();
    std::fs::write(directory.path().join("model.safetensors"), weights).unwrap();
    std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(directory.path().join("vocab.txt"), words.join("\n")).unwrap();
    directory
}
