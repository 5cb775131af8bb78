//! Damaged, truncated and contradictory files give errors, never a panic or a wrong model.

use std::path::Path;

use candle_core::quantized::GgmlDType;
use serde_json::json;

use super::tiny::{Tiny, config, from_dir};
use crate::error::GenerateError;
use crate::model::gguf::Gguf;
use crate::model::instructions::Available;
use crate::model::processor::Decoder;
use crate::model::safetensors::Shards;
use crate::model::safetensors::unreadable;
use crate::model::{Precision, config as hub, gguf_config, gguf_tokenizer};

fn open_gguf(path: &Path) -> Result<Decoder, GenerateError> {
    let gguf = Gguf::open(path)?;
    let description = gguf_config::describe(&gguf, None)?;
    let _tokenizer = gguf_tokenizer::tokenizer(&gguf);
    Decoder::new(
        description,
        &gguf,
        Precision::Stored,
        Available::fastest(),
        &mut |_, _| {},
    )
}

fn open_dir(dir: &Path) -> Result<Decoder, GenerateError> {
    let file = dir.join("config.json");
    let text = std::fs::read(&file).map_err(|error| unreadable(&file, &error))?;
    let description = hub::describe(&String::from_utf8_lossy(&text), None)?;
    let shards = Shards::open(dir, &description)?;
    Decoder::new(
        description,
        &shards,
        Precision::Stored,
        Available::fastest(),
        &mut |_, _| {},
    )
}

fn smallest() -> serde_json::Value {
    json!({ "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8 })
}

/// Damages some bytes of the header, or cuts the file.
fn damage(bytes: &[u8], header: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    match random.u8(0..4) {
        0 => damaged.truncate(random.usize(0..bytes.len())),
        1 => damaged.truncate(random.usize(0..header)),
        _ => {
            for _ in 0..random.usize(1..5) {
                let at = random.usize(0..header);
                damaged[at] = match random.u8(0..4) {
                    0 => 0,
                    1 => 255,
                    2 => damaged[at] ^ 1 << random.u8(0..8),
                    _ => random.u8(..),
                };
            }
        }
    }
    damaged
}

#[test]
fn damaged_gguf_files_give_errors() {
    let tiny = Tiny::new(config("qwen2", &smallest()), 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("qwen2", |_| GgmlDType::Q8_0, &path);
    let whole = std::fs::read(&path).unwrap();
    assert!(open_gguf(&path).is_ok());
    let mut random = fastrand::Rng::with_seed(17);
    let mut refused = 0;
    for _ in 0..3000 {
        std::fs::write(&path, damage(&whole, 1800, &mut random)).unwrap();
        refused += usize::from(open_gguf(&path).is_err());
    }
    // Some bytes are only names or numbers that may be others.
    assert!(
        refused > 1500,
        "only {refused} of 3000 damaged files were refused"
    );
}

#[test]
fn damaged_safetensors_give_errors() {
    let tiny = Tiny::new(config("qwen2", &smallest()), 1);
    let dir = tiny.write();
    assert!(open_dir(dir.path()).is_ok());
    let mut random = fastrand::Rng::with_seed(17);
    for (name, n) in [("model.safetensors", 2000), ("config.json", 2000)] {
        let path = dir.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for _ in 0..n {
            std::fs::write(&path, damage(&whole, whole.len().min(1500), &mut random)).unwrap();
            refused += usize::from(open_dir(dir.path()).is_err());
        }
        assert!(
            refused > n / 3,
            "only {refused} of {n} damaged files were refused"
        );
        std::fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let tiny = Tiny::new(config("qwen2", &smallest()), 1);
    let dir = tiny.write();
    let change = |key: &str, value: serde_json::Value| {
        let mut config = tiny.config.clone();
        config[key] = value;
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        open_dir(dir.path()).unwrap_err().to_string()
    };
    let message = change("model_type", json!("mamba"));
    assert!(
        message.contains("`mamba`") && message.contains("Qwen3"),
        "{message}"
    );
    let message = change("hidden_size", json!(48));
    assert!(
        message.contains("model.embed_tokens.weight") && message.contains("[300, 32]"),
        "{message}"
    );
    let message = change("num_hidden_layers", json!(2));
    assert!(
        message.contains("model.layers.1.") && message.contains("missing"),
        "{message}"
    );
    let message = change("num_key_value_heads", json!(3));
    assert!(message.contains("4 heads"), "{message}");
    let message = change("rope_scaling", json!({ "rope_type": "yarn" }));
    assert!(message.contains("yarn"), "{message}");
}

#[test]
fn several_files_are_one_model() {
    let tiny = Tiny::new(config("qwen2", &smallest()), 1);
    let dir = tiny.write();
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (number, (name, tensor)) in tiny.tensors.iter().enumerate() {
        let file = format!("model-{}.safetensors", number % 3);
        map.insert(name.clone(), json!(file));
        let _ = tensor;
    }
    for number in 0..3 {
        let file = format!("model-{number}.safetensors");
        let part = tiny
            .tensors
            .iter()
            .filter(|(name, _)| map[*name] == json!(file));
        let part: std::collections::HashMap<_, _> = part
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        candle_core::safetensors::save(&part, dir.path().join(file)).unwrap();
    }
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    let _decoder = from_dir(dir.path(), Precision::Stored);
    std::fs::write(
        &index,
        json!({ "weight_map": { "a": "../model.safetensors" } }).to_string(),
    )
    .unwrap();
    assert!(
        open_dir(dir.path())
            .unwrap_err()
            .to_string()
            .contains("is not the name of a file")
    );
}
