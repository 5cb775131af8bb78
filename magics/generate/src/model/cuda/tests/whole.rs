//! Whole models beside their logits in single precision: rounded and quantised weights, memory, bad batches.

use candle_core::quantized::GgmlDType;
use mlk8s_card::Shim;
use serde_json::{Value, json};

use super::{Decoder, KERNELS, from_dir, from_gguf, try_decoder};
use crate::error::GenerateError;
use crate::forward::{Batch, Forward};
use crate::model::Precision;
use crate::model::tests::ragged::{batches, difference, sequences};
use crate::model::tests::tiny::{self, Tiny, VOCABULARY, config};

/// The errors of all rows of all steps, in order; relative to the row's largest logit.
fn errors(model: &mut dyn Forward, other: &mut dyn Forward) -> Vec<f32> {
    model.reserve(12).unwrap();
    other.reserve(12).unwrap();
    let mut errors = Vec::new();
    for (batch, _) in batches(&sequences(VOCABULARY as u32)) {
        let (found, wanted) = (
            model.forward(&batch).unwrap(),
            other.forward(&batch).unwrap(),
        );
        let rows = found.chunks_exact(VOCABULARY);
        errors.extend(
            rows.zip(wanted.chunks_exact(VOCABULARY))
                .map(|(found, wanted)| difference(found, wanted)),
        );
    }
    errors.sort_by(f32::total_cmp);
    errors
}

/// Fails if the row in the middle or the worst one is further off.
fn check(name: &str, errors: &[f32], middle: f32, worst: f32) {
    let found = (errors[errors.len() / 2], errors[errors.len() - 1]);
    // What is no number fails, too.
    let near = found.0 <= middle && found.1 <= worst;
    assert!(
        near,
        "{name}: rows are off by {}, at most {}",
        found.0, found.1
    );
}

/// How far off quantised weights may be: products with them round activations to eight bits, six times as coarse as 16.
const QUANTISED: (f32, f32) = (0.1, 0.3);

/// Families with all that the kernels for rounded numbers do another way.
fn rounded() -> Vec<(&'static str, Value)> {
    vec![
        ("llama", json!({ "head_dim": 64 })),
        ("qwen3", json!({ "head_dim": 40 })),
        ("qwen2", json!({ "num_attention_heads": 8 })),
        ("phi3", json!({ "partial_rotary_factor": 0.5 })),
        (
            "gemma2",
            json!({ "sliding_window": 20, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 3.0,
                    "final_logit_softcapping": 5.0, "hidden_activation": "gelu_pytorch_tanh",
                    "tie_word_embeddings": true }),
        ),
    ]
}

#[test]
fn rounded_weights_give_nearly_the_same_logits() {
    for (family, more) in rounded() {
        let tiny = Tiny::new(config(family, &more), 7);
        let dir = tiny.write();
        let mut model = from_dir(dir.path(), Precision::Stored);
        let mut exact = tiny::from_dir(dir.path(), Precision::Stored);
        assert_eq!(model.precision(), "BF16");
        assert_eq!(model.n_parameters(), exact.n_parameters());
        let errors = errors(&mut model, &mut exact);
        assert!(errors[errors.len() / 2] > 1e-4, "nothing was rounded");
        check(family, &errors, 0.02, 0.08);
    }
}

/// Sizes of which blocks of 256 are a part.
fn wide() -> Value {
    json!({ "hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "num_hidden_layers": 2 })
}

#[test]
fn quantised_files_stay_as_they_are() {
    for dtype in [
        GgmlDType::Q8_0,
        GgmlDType::Q4K,
        GgmlDType::Q6K,
        GgmlDType::F16,
    ] {
        let tiny = Tiny::new(config("llama", &wide()), 13);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.gguf");
        tiny.write_gguf("llama", |_| dtype, &path);
        let mut exact = tiny::from_gguf(&path, Precision::F32);
        let mut single = from_gguf(&path, Precision::F32);
        check("f32", &errors(&mut single, &mut exact), 1e-4, 1e-4);
        let mut stored = from_gguf(&path, Precision::Stored);
        if dtype != GgmlDType::F16 {
            assert_eq!(stored.precision(), format!("{dtype:?}"));
        }
        let name = format!("{dtype:?}");
        check(
            &name,
            &errors(&mut stored, &mut exact),
            QUANTISED.0,
            QUANTISED.1,
        );
    }
}

#[test]
fn weights_are_quantised_at_load() {
    let tiny = Tiny::new(config("qwen2", &wide()), 13);
    let dir = tiny.write();
    let plain = from_dir(dir.path(), Precision::Bf16).n_bytes();
    for (precision, name, share) in [
        (Precision::Q8_0, "Q8_0", 0.65),
        (Precision::Q4K, "Q4K", 0.45),
    ] {
        let mut model = from_dir(dir.path(), precision);
        let mut exact = tiny::from_dir(dir.path(), precision);
        assert_eq!(model.precision(), name);
        assert!((model.n_bytes() as f64) < share * plain as f64, "{name}");
        check(
            name,
            &errors(&mut model, &mut exact),
            QUANTISED.0,
            QUANTISED.1,
        );
    }
}

fn small() -> (tempfile::TempDir, Decoder) {
    let tiny = Tiny::new(config("llama", &json!({})), 3);
    let dir = tiny.write();
    let model = from_dir(dir.path(), Precision::F32);
    (dir, model)
}

#[test]
fn a_cache_that_does_not_fit_is_refused_with_numbers() {
    let (dir, model) = small();
    let launcher = Shim {
        memory: Some((1000 * 32 * model.shape().bytes_per_token) as u64),
        ..Shim::of(&KERNELS)
    };
    let mut model = try_decoder(dir.path(), Precision::F32, launcher).unwrap();
    let error = model.reserve(1000).unwrap_err();
    assert!(matches!(error, GenerateError::OutOfMemory { .. }));
    assert!(error.to_string().contains("1000 pages"), "{error}");
    assert!(model.reserve(12).is_ok());
}

#[test]
fn steps_without_wanted_rows_write_the_cache_all_the_same() {
    let (_dir, mut model) = small();
    model.reserve(12).unwrap();
    assert_eq!(model.forward(&Batch::default()).unwrap(), Vec::<f32>::new());
    let steps = batches(&sequences(VOCABULARY as u32));
    let wanted: Vec<Vec<f32>> = steps
        .iter()
        .map(|(batch, _)| model.forward(batch).unwrap())
        .collect();
    let (_dir, mut model) = small();
    model.reserve(12).unwrap();
    for (number, ((batch, _), wanted)) in steps.iter().zip(&wanted).enumerate() {
        let mut batch = batch.clone();
        let last = batch.tokens.len() - 1;
        batch.rows = if number % 2 == 0 {
            Vec::new()
        } else {
            vec![last]
        };
        let found = model.forward(&batch).unwrap();
        assert_eq!(found.len(), batch.rows.len() * VOCABULARY);
        if !found.is_empty() {
            let error = difference(&found, &wanted[last * VOCABULARY..]);
            assert!(error < 1e-5, "row {last} is off by {error}");
        }
    }
}

#[test]
fn wrong_batches_are_refused() {
    let (_dir, mut model) = small();
    model.reserve(12).unwrap();
    let (good, _) = batches(&sequences(VOCABULARY as u32)).swap_remove(0);
    let mut page = good.clone();
    page.parts[0].pages[0] = 12;
    let error = model.forward(&page).unwrap_err().to_string();
    assert!(error.contains("page 12 of 12"), "{error}");
    assert!(model.forward(&good).is_ok());
}

#[test]
fn heads_that_no_kernel_takes_are_refused() {
    let tiny = Tiny::new(config("llama", &json!({ "head_dim": 12 })), 3);
    let dir = tiny.write();
    let error = try_decoder(dir.path(), Precision::F32, Shim::of(&KERNELS))
        .err()
        .unwrap();
    assert!(error.to_string().contains("heads of 12 values"), "{error}");
}

#[test]
fn hidden_states_are_those_of_the_processor() {
    let (dir, mut model) = small();
    let mut exact = tiny::from_dir(dir.path(), Precision::F32);
    model.reserve(12).unwrap();
    exact.reserve(12).unwrap();
    for (batch, _) in batches(&sequences(VOCABULARY as u32)) {
        let error = difference(
            &model.hidden(&batch).unwrap(),
            &exact.hidden(&batch).unwrap(),
        );
        assert!(error < 1e-4, "hidden states are off by {error}");
    }
}

#[test]
fn fused_matrices_are_taken_apart_by_rows() {
    let tiny = Tiny::new(config("phi3", &json!({})), 13);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("phi3", |_| GgmlDType::Q8_0, &path);
    let mut exact = tiny::from_gguf(&path, Precision::F32);
    let mut single = from_gguf(&path, Precision::F32);
    check("f32", &errors(&mut single, &mut exact), 1e-4, 1e-4);
    let mut stored = from_gguf(&path, Precision::Stored);
    check(
        "q8_0",
        &errors(&mut stored, &mut exact),
        QUANTISED.0,
        QUANTISED.1,
    );
}
