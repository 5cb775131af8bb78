//! Every family from safetensors: logits as those of candle-transformers.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma2, gemma3, llama, mistral, phi3, qwen2, qwen3};
use serde_json::{Value, json};

use super::ragged::{batches, check, difference, once, sequences};
use super::tiny::{Tiny, VOCABULARY, config, from_dir, from_dir_with};
use crate::forward::Forward;
use crate::model::Precision;
use crate::model::cuda;
use crate::model::instructions::Available;

fn builder(tiny: &Tiny) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tiny.tensors.clone(), DType::F32, &Device::Cpu)
}

fn input(tokens: &[u32]) -> Tensor {
    Tensor::new(tokens, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap()
}

fn last(logits: &Tensor) -> Vec<f32> {
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

fn parsed<T: serde::de::DeserializeOwned>(config: &Value) -> T {
    serde_json::from_value(config.clone()).unwrap()
}

/// The decoder of the processor with all its instructions, and that of cards with its kernels built for the processor.
fn decoders(dir: &Path) -> Vec<Box<dyn Forward>> {
    let card = Box::new(cuda::tests::from_dir(dir, Precision::F32));
    let mut decoders: Vec<Box<dyn Forward>> = vec![card];
    for with in Available::all() {
        decoders.push(Box::new(from_dir_with(dir, Precision::Stored, with)));
    }
    decoders
}

/// Compares a family whose oracle has the usual methods.
macro_rules! compare {
    ($family:expr, $more:expr, $oracle:expr, |$model:ident, $config:ident, $weights:ident| $new:expr) => {{
        let tiny = Tiny::new(config($family, &$more), 7);
        let mut $config = tiny.config.clone();
        for (key, value) in $oracle.as_object().unwrap() {
            $config[key] = value.clone();
        }
        let $weights = builder(&tiny);
        let mut $model = $new;
        let dir = tiny.write();
        let mut oracle = once(|tokens| {
            $model.clear_kv_cache();
            last(&$model.forward(&input(tokens), 0).unwrap())
        });
        for decoder in &mut decoders(dir.path()) {
            check($family, decoder.as_mut(), &mut oracle);
        }
    }};
}

fn compare_llama(more: &Value) {
    let tiny = Tiny::new(config("llama", more), 3);
    let parsed: llama::LlamaConfig = parsed(&tiny.config);
    let config = parsed.into_config(false);
    let model = llama::Llama::load(builder(&tiny), &config).unwrap();
    let dir = tiny.write();
    let mut oracle = once(|tokens| {
        let mut cache = llama::Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
        last(&model.forward(&input(tokens), 0, &mut cache).unwrap())
    });
    for decoder in &mut decoders(dir.path()) {
        check("llama", decoder.as_mut(), &mut oracle);
    }
}

#[test]
fn llama_gives_the_same_logits() {
    compare_llama(&json!({}));
    compare_llama(&json!({ "tie_word_embeddings": true }));
    compare_llama(
        &json!({ "max_position_embeddings": 256, "rope_theta": 500.0, "rope_scaling": {
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64, "rope_type": "llama3" } }),
    );
}

#[test]
fn mistral_gives_the_same_logits() {
    // The oracle's window is one token wider than the number says.
    let (more, oracle) = (
        json!({ "sliding_window": 20 }),
        json!({ "sliding_window": 19 }),
    );
    compare!("mistral", more, oracle, |model, config, weights| {
        mistral::Model::new(&parsed(&config), weights).unwrap()
    });
}

#[test]
fn qwen2_gives_the_same_logits() {
    for tied in [true, false] {
        let more = json!({ "sliding_window": 256, "max_window_layers": 3, "use_sliding_window": false,
                           "tie_word_embeddings": tied });
        compare!("qwen2", more, json!({}), |model, config, weights| {
            qwen2::ModelForCausalLM::new(&parsed(&config), weights).unwrap()
        });
    }
}

#[test]
fn qwen3_gives_the_same_logits() {
    let more = json!({ "sliding_window": null, "max_window_layers": 3, "use_sliding_window": false, "head_dim": 40 });
    compare!("qwen3", more, json!({}), |model, config, weights| {
        qwen3::ModelForCausalLM::new(&parsed(&config), weights).unwrap()
    });
}

#[test]
fn phi3_gives_the_same_logits() {
    for more in [json!({}), json!({ "partial_rotary_factor": 0.5 })] {
        compare!("phi3", more, json!({}), |model, config, weights| {
            phi3::Model::new(&parsed(&config), weights).unwrap()
        });
    }
}

#[test]
fn gemma2_gives_the_same_logits() {
    let more = json!({ "sliding_window": 256, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 3.0,
                       "final_logit_softcapping": 5.0, "hidden_activation": "gelu_pytorch_tanh",
                       "tie_word_embeddings": true });
    compare!("gemma2", more, json!({}), |model, config, weights| {
        gemma2::Model::new(false, &parsed(&config), weights).unwrap()
    });
}

#[test]
fn gemma3_gives_the_same_logits() {
    // The oracle cannot have more than one key-value head.
    let more = json!({ "num_key_value_heads": 1, "sliding_window": 256, "sliding_window_pattern": 2, "query_pre_attn_scalar": 16,
                       "rope_local_base_freq": 100.0, "rope_theta": 5000.0, "attn_logit_softcapping": null,
                       "final_logit_softcapping": null, "hidden_activation": "gelu_pytorch_tanh",
                       "tie_word_embeddings": true });
    compare!("gemma3_text", more, json!({}), |model, config, weights| {
        gemma3::Model::new(false, &parsed(&config), weights).unwrap()
    });
}

#[test]
fn hidden_states_are_those_under_the_logits() {
    let tiny = Tiny::new(config("qwen3", &json!({})), 9);
    let dir = tiny.write();
    let head = &tiny.tensors["lm_head.weight"];
    let mut decoder = from_dir(dir.path(), Precision::Stored);
    decoder.reserve(12).unwrap();
    for (batch, _) in batches(&sequences(VOCABULARY as u32)) {
        let logits = decoder.forward(&batch).unwrap();
        let hidden = decoder.hidden(&batch).unwrap();
        let hidden = Tensor::from_vec(hidden, (batch.rows.len(), 64), &Device::Cpu).unwrap();
        let wanted = hidden.matmul(&head.t().unwrap()).unwrap();
        assert!(difference(&logits, &last(&wanted)) < 1e-5);
    }
}
