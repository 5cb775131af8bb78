//! Writes a GGUF file with the shape of Qwen2.5-0.5B and random weights, in the formats that llama.cpp's `Q4_K_M` has for it.
//!
//! `cargo run --example random_gguf -- FILE`. Rows of 896 values are no whole blocks of 256, so most matrices are `Q5_0`.

use std::error::Error;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};

const LAYERS: usize = 24;
const HIDDEN: usize = 896;
const FEED_FORWARD: usize = 4864;
const KEYS: usize = 128;
const VOCABULARY: usize = 151_936;
/// Rows that are random; the others repeat them.
const DIFFERENT: usize = 64;

/// A matrix whose products have about the size of their inputs.
fn matrix(
    random: &mut fastrand::Rng,
    n: usize,
    k: usize,
    dtype: GgmlDType,
) -> Result<QTensor, Box<dyn Error>> {
    let scale = (3.0 / k as f32).sqrt();
    let values: Vec<f32> = (0..DIFFERENT * k)
        .map(|_| scale * (random.f32() * 2.0 - 1.0))
        .collect();
    let rows = QTensor::quantize(
        &Tensor::from_vec(values, (DIFFERENT, k), &Device::Cpu)?,
        dtype,
    )?;
    let bytes = rows.data()?.repeat(n / DIFFERENT);
    Ok(QTensor::new(
        QStorage::from_data(bytes.into(), &Device::Cpu, dtype)?,
        (n, k),
    )?)
}

fn vector(random: &mut fastrand::Rng, n: usize, centre: f32) -> Result<QTensor, Box<dyn Error>> {
    let values: Vec<f32> = (0..n)
        .map(|_| centre + 0.1 * (random.f32() - 0.5))
        .collect();
    Ok(QTensor::quantize(
        &Tensor::from_vec(values, n, &Device::Cpu)?,
        GgmlDType::F32,
    )?)
}

fn tensors() -> Result<Vec<(String, QTensor)>, Box<dyn Error>> {
    use GgmlDType::{Q4K, Q5_0, Q6K, Q8_0};
    let random = &mut fastrand::Rng::with_seed(0);
    let mut tensors = vec![
        (
            "token_embd.weight".to_owned(),
            matrix(random, VOCABULARY, HIDDEN, Q8_0)?,
        ),
        (
            "output_norm.weight".to_owned(),
            vector(random, HIDDEN, 1.0)?,
        ),
    ];
    for layer in 0..LAYERS {
        // Half of the layers have more bits for what matters most.
        let inner = (LAYERS / 8..7 * LAYERS / 8).contains(&layer);
        let more = !inner || (layer - LAYERS / 8) % 3 == 2;
        let matrices = [
            ("attn_q", HIDDEN, HIDDEN, Q5_0),
            ("attn_k", KEYS, HIDDEN, Q5_0),
            ("attn_v", KEYS, HIDDEN, if more { Q8_0 } else { Q5_0 }),
            ("attn_output", HIDDEN, HIDDEN, Q5_0),
            ("ffn_gate", FEED_FORWARD, HIDDEN, Q5_0),
            ("ffn_up", FEED_FORWARD, HIDDEN, Q5_0),
            (
                "ffn_down",
                HIDDEN,
                FEED_FORWARD,
                if more { Q6K } else { Q4K },
            ),
        ];
        for (name, n, k, dtype) in matrices {
            tensors.push((
                format!("blk.{layer}.{name}.weight"),
                matrix(random, n, k, dtype)?,
            ));
        }
        for (name, n, centre) in [
            ("attn_norm.weight", HIDDEN, 1.0),
            ("ffn_norm.weight", HIDDEN, 1.0),
            ("attn_q.bias", HIDDEN, 0.0),
            ("attn_k.bias", KEYS, 0.0),
            ("attn_v.bias", KEYS, 0.0),
        ] {
            tensors.push((format!("blk.{layer}.{name}"), vector(random, n, centre)?));
        }
    }
    Ok(tensors)
}

/// Characters that stand for the 256 bytes, and as many words as fill the vocabulary.
fn vocabulary() -> Vec<Value> {
    let visible = |byte: u32| {
        (33..127).contains(&byte) || (161..173).contains(&byte) || (174..256).contains(&byte)
    };
    let mut next = 256;
    let bytes = (0..256).filter_map(|byte| {
        let code = if visible(byte) { byte } else { next };
        next += u32::from(!visible(byte));
        char::from_u32(code).map(String::from)
    });
    let first: Vec<String> = bytes.chain(["\u{120}t".to_owned()]).collect();
    let rest = (first.len()..VOCABULARY - 1).map(|id| format!("word{id}"));
    first
        .iter()
        .cloned()
        .chain(rest)
        .chain(["<|im_end|>".to_owned()])
        .map(Value::String)
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which file?")?;
    let number = |value: usize| Value::U32(value as u32);
    let mut kinds = vec![Value::I32(1); VOCABULARY - 1];
    kinds.push(Value::I32(3));
    let metadata = [
        ("general.architecture", Value::String("qwen2".to_owned())),
        ("qwen2.context_length", number(32_768)),
        ("qwen2.embedding_length", number(HIDDEN)),
        ("qwen2.block_count", number(LAYERS)),
        ("qwen2.feed_forward_length", number(FEED_FORWARD)),
        ("qwen2.attention.head_count", number(14)),
        ("qwen2.attention.head_count_kv", number(2)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("qwen2.rope.freq_base", Value::F32(1e6)),
        ("tokenizer.ggml.model", Value::String("gpt2".to_owned())),
        ("tokenizer.ggml.pre", Value::String("qwen2".to_owned())),
        ("tokenizer.ggml.tokens", Value::Array(vocabulary())),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        (
            "tokenizer.ggml.merges",
            Value::Array(vec![Value::String("\u{120} t".to_owned())]),
        ),
        ("tokenizer.ggml.eos_token_id", number(VOCABULARY - 1)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors = tensors()?;
    let tensors: Vec<(&str, &QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    gguf_file::write(&mut std::fs::File::create(path)?, &metadata, &tensors)?;
    Ok(())
}
