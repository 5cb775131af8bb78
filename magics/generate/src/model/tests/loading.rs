//! Loading by path, and the tokenizers of GGUF files.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use serde_json::json;

use super::ragged::{batches, sequences};
use super::tiny::{Tiny, VOCABULARY, config};
use crate::GenerateError;
use crate::model::gguf::Gguf;
use crate::model::{Device, Instructions, LoadSettings, Precision, gguf_tokenizer, load};

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn settings() -> LoadSettings {
    LoadSettings {
        precision: Precision::Stored,
        device: Device::Cpu,
        instructions: None,
        context: Some(128),
    }
}

/// Metadata of a byte-level tokenizer with a word, an end and fillers.
fn byte_level() -> Vec<(String, Value)> {
    let mut tokens: Vec<Value> = ["a", "b", "ab", "<|im_end|>"].map(text).to_vec();
    tokens.extend((tokens.len()..VOCABULARY).map(|id| text(&format!("filler{id}"))));
    let mut kinds = vec![Value::I32(1); VOCABULARY];
    kinds[3] = Value::I32(3);
    let metadata = [
        ("model", text("gpt2")),
        ("tokens", Value::Array(tokens)),
        ("token_type", Value::Array(kinds)),
        ("merges", Value::Array(vec![text("a b")])),
        ("eos_token_id", Value::U32(4)),
    ];
    let mut metadata: Vec<(String, Value)> = metadata
        .into_iter()
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .collect();
    metadata.push(("tokenizer.chat_template".to_owned(), text("{{ messages }}")));
    metadata
}

#[test]
fn a_gguf_file_is_loaded_with_its_tokenizer() {
    let mut tiny = Tiny::new(config("qwen2", &json!({})), 1);
    tiny.metadata = byte_level();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("qwen2", |_| GgmlDType::Q8_0, &path);
    let mut reports = Vec::new();
    let mut loaded = load(&path, &settings(), &mut |done, all| {
        reports.push((done, all));
    })
    .unwrap();
    assert!(reports.is_sorted() && reports.len() > 10);
    assert!(reports.iter().all(|(_, all)| *all == reports[0].1));
    assert_eq!(reports.last().unwrap().0, reports[0].1);
    let n_parameters: usize = tiny
        .tensors
        .values()
        .map(candle_core::Tensor::elem_count)
        .sum();
    assert_eq!(loaded.summary.n_parameters, n_parameters as u64);
    assert_eq!(loaded.summary.precision, "Q8_0");
    assert_eq!(loaded.summary.architecture, "qwen2");
    // The last tile of the vocabulary is filled up.
    let file = std::fs::metadata(&path).unwrap().len() as f64;
    assert!((loaded.summary.bytes as f64) < 1.15 * file);
    assert_eq!(loaded.model.shape().context, 128);
    loaded.model.reserve(12).unwrap();
    let (batch, _) = batches(&sequences(VOCABULARY as u32)).swap_remove(0);
    assert_eq!(
        loaded.model.forward(&batch).unwrap().len(),
        batch.rows.len() * VOCABULARY
    );
}

#[test]
fn a_gpu_is_refused_by_name() {
    let mut tiny = Tiny::new(config("qwen2", &json!({})), 1);
    tiny.metadata = byte_level();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("qwen2", |_| GgmlDType::Q8_0, &path);
    let settings = LoadSettings {
        device: Device::Cuda(2),
        ..settings()
    };
    let error = load(&path, &settings, &mut |_, _| {}).err().unwrap();
    assert!(error.to_string().contains("GPU 2"));
}

#[test]
fn instructions_are_chosen_or_refused() {
    let mut tiny = Tiny::new(config("qwen2", &json!({})), 1);
    tiny.metadata = byte_level();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("qwen2", |_| GgmlDType::Q8_0, &path);
    for instructions in Instructions::ALL {
        let settings = LoadSettings {
            instructions: Some(instructions),
            ..settings()
        };
        let loaded = load(&path, &settings, &mut |_, _| {});
        let refused = Some(GenerateError::Instructions { instructions });
        assert_eq!(loaded.is_ok(), instructions.available());
        assert!(instructions.available() || loaded.err() == refused);
    }
    assert!(Instructions::Portable.available());
}

#[test]
fn wrong_batches_are_refused() {
    let mut tiny = Tiny::new(config("qwen2", &json!({})), 1);
    tiny.metadata = byte_level();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("qwen2", |_| GgmlDType::Q8_0, &path);
    let mut model = load(&path, &settings(), &mut |_, _| {}).unwrap().model;
    model.reserve(12).unwrap();
    let (good, _) = batches(&sequences(VOCABULARY as u32)).swap_remove(0);
    let mut page = good.clone();
    page.parts[0].pages[0] = 12;
    let mut token = good.clone();
    token.tokens[3] = VOCABULARY as u32;
    let mut row = good.clone();
    row.rows.push(good.tokens.len());
    let mut gap = good.clone();
    gap.parts[1].start += 1;
    let mut long = good.clone();
    long.parts[0].length = 129;
    long.parts[0].pages = vec![0; 5];
    for (batch, word) in [
        (page, "page 12"),
        (token, "token 300"),
        (row, "row 64"),
        (gap, "part 1"),
        (long, "129"),
    ] {
        let error = model.forward(&batch).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(model.forward(&good).is_ok());
}

#[test]
fn sentence_piece_tokens_join_by_score() {
    let mut tokens: Vec<Value> = ["<unk>", "<s>", "</s>"].map(text).to_vec();
    tokens.extend((0..256).map(|byte| text(&format!("<0x{byte:02X}>"))));
    let pieces = ["\u{2581}", "a", "b", "c", "bc", "ab", "\u{2581}a"];
    tokens.extend(pieces.map(text));
    let mut scores = vec![Value::F32(0.0); 259];
    scores.extend([-10.0, -11.0, -12.0, -13.0, -1.0, -2.0, -3.0].map(Value::F32));
    let mut kinds = vec![Value::I32(2), Value::I32(3), Value::I32(3)];
    kinds.extend(vec![Value::I32(6); 256]);
    kinds.extend(vec![Value::I32(1); pieces.len()]);
    let mut tiny = Tiny::new(config("llama", &json!({})), 1);
    let metadata = [
        ("model", text("llama")),
        ("tokens", Value::Array(tokens)),
        ("scores", Value::Array(scores)),
        ("token_type", Value::Array(kinds)),
    ];
    tiny.metadata = metadata
        .into_iter()
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    tiny.write_gguf("llama", |_| GgmlDType::F32, &path);
    let tokenizer = gguf_tokenizer::tokenizer(&Gguf::open(&path).unwrap()).unwrap();
    let ids = |words: &str| tokenizer.encode(words, false).unwrap().get_ids().to_vec();
    // `bc` has a better score than `ab`, which in turn has a better one than a word's first `a`.
    assert_eq!(ids("abc"), [265, 263]);
    assert_eq!(ids("ab"), [259, 264]);
    // An unknown character becomes its bytes.
    assert_eq!(ids("b\u{e9}"), [259, 261, 3 + 0xc3, 3 + 0xa9]);
    for words in ["abc ab", "b\u{e9} c", " a"] {
        assert_eq!(tokenizer.decode(&ids(words), true).unwrap(), words);
    }
}
