//! GGUF files and weights quantised at load: logits as those of candle's quantised models.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{
    quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3,
};
use serde_json::{Value, json};

use super::ragged::{batches, errors, once, sequences};
use super::tiny::{Tiny, VOCABULARY, config, from_dir, from_gguf, from_gguf_with};
use crate::forward::Forward;
use crate::model::Precision;
use crate::model::instructions::Available;

fn input(tokens: &[u32]) -> Tensor {
    Tensor::new(tokens, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap()
}

fn last(logits: &Tensor) -> Vec<f32> {
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

/// A difference in the last bit of an activation can round its eight-bit code the other way: a few rows may be off by more.
fn check(
    name: &str,
    decoder: &mut dyn Forward,
    oracle: &mut dyn FnMut(&[u32]) -> Vec<f32>,
    tolerance: f32,
) {
    let mut errors = errors(decoder, oracle);
    errors.sort_by(f32::total_cmp);
    let (middle, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    assert!(
        middle < tolerance && worst < 0.05,
        "{name}: rows are off by {middle}, at most {worst}"
    );
}

macro_rules! compare {
    ($family:expr, $more:expr, $dtype:expr, $tolerance:expr, |$content:ident, $file:ident| $new:expr) => {{
        let tiny = Tiny::new(config($family, &$more), 13);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.gguf");
        tiny.write_gguf($family, |_| $dtype, &path);
        let mut $file = std::fs::File::open(&path).unwrap();
        let $content = Content::read(&mut $file).unwrap();
        let mut model = $new.unwrap();
        let mut oracle = once(|tokens| {
            model.clear_kv_cache();
            last(&model.forward(&input(tokens), 0).unwrap())
        });
        for with in Available::all() {
            let name = format!("{} {:?} {}", $family, $dtype, with.which().name());
            let mut decoder = from_gguf_with(&path, Precision::Stored, with);
            check(&name, &mut decoder, &mut oracle, $tolerance);
        }
    }};
}

/// Sizes of which blocks of 256 are a part.
fn wide() -> Value {
    json!({ "hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "num_hidden_layers": 2 })
}

#[test]
fn llama_files_give_the_same_logits() {
    compare!("llama", json!({}), GgmlDType::F32, 1e-4, |content, file| {
        quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)
    });
    compare!(
        "llama",
        json!({}),
        GgmlDType::Q8_0,
        1e-3,
        |content, file| {
            quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)
        }
    );
    for dtype in [GgmlDType::Q4K, GgmlDType::Q5K, GgmlDType::Q6K] {
        compare!("llama", wide(), dtype, 1e-3, |content, file| {
            quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)
        });
    }
}

#[test]
fn qwen2_files_give_the_same_logits() {
    for dtype in [GgmlDType::Q4_0, GgmlDType::Q5_0, GgmlDType::Q8_0] {
        compare!(
            "qwen2",
            json!({ "intermediate_size": 128 }),
            dtype,
            1e-3,
            |content, file| {
                quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)
            }
        );
    }
}

#[test]
fn qwen3_and_phi3_files_give_the_same_logits() {
    compare!("qwen3", wide(), GgmlDType::Q4K, 1e-3, |content, file| {
        quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)
    });
    let tiny = Tiny::new(config("phi3", &json!({})), 13);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("phi3", |_| GgmlDType::Q8_0, &path);
    let mut decoder = from_gguf(&path, Precision::Stored);
    // This one has no way to forget.
    let mut oracle = |tokens: &[u32]| {
        let mut file = std::fs::File::open(&path).unwrap();
        let content = Content::read(&mut file).unwrap();
        let model =
            quantized_phi3::ModelWeights::from_gguf(false, content, &mut file, &Device::Cpu);
        last(&model.unwrap().forward(&input(tokens), 0).unwrap())
    };
    check("phi3", &mut decoder, &mut oracle, 1e-3);
}

#[test]
fn weights_quantised_at_load_are_those_of_the_file() {
    let tiny = Tiny::new(config("llama", &wide()), 13);
    let dir = tiny.write();
    let file = dir.path().join("model.gguf");
    for (precision, dtype) in [
        (Precision::Q8_0, GgmlDType::Q8_0),
        (Precision::Q4K, GgmlDType::Q4K),
    ] {
        let format = |name: &str| match (name, dtype) {
            ("model.embed_tokens.weight", _) => GgmlDType::F32,
            ("lm_head.weight", GgmlDType::Q4K) => GgmlDType::Q6K,
            _ => dtype,
        };
        // Pairs of the rotary positions are neighbours in the files of Llama, halves in those of Qwen.
        tiny.write_gguf("qwen2", format, &file);
        let mut quantised = from_dir(dir.path(), precision);
        let mut stored = from_gguf(&file, Precision::Stored);
        assert_eq!(quantised.precision(), stored.precision());
        assert_eq!(quantised.n_parameters(), stored.n_parameters());
        assert_eq!(quantised.n_bytes(), stored.n_bytes());
        quantised.reserve(12).unwrap();
        stored.reserve(12).unwrap();
        for (batch, _) in batches(&sequences(VOCABULARY as u32)) {
            assert_eq!(
                quantised.forward(&batch).unwrap(),
                stored.forward(&batch).unwrap()
            );
        }
    }
}
