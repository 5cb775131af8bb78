//! The tokenizer in the metadata of a GGUF file.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use serde_json::json;
use tokenizers::Tokenizer;

use super::gguf::{Gguf, number};
use crate::error::GenerateError;

/// Makes the tokenizer: byte-level ones (`gpt2`) and `SentencePiece` ones (`llama`).
pub(super) fn tokenizer(gguf: &Gguf) -> Result<Tokenizer, GenerateError> {
    match gguf.text("tokenizer.ggml.model") {
        Some("gpt2") => {
            Tokenizer::from_gguf(&gguf.content).map_err(|error| wrong(error.to_string()))
        }
        Some("llama") => sentence_piece(gguf),
        Some(other) => Err(wrong(format!(
            "kind `{other}` is not supported; supported: gpt2, llama"
        ))),
        None => Err(wrong(
            "the file has none (`tokenizer.ggml.model` is missing)".to_owned(),
        )),
    }
}

fn wrong(reason: String) -> GenerateError {
    GenerateError::Tokenizer { reason }
}

/// Kinds of tokens, as llama.cpp numbers them.
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;
const BYTE: u32 = 6;

/// A tokenizer that joins the neighbours whose union has the best score, and spells unknown characters in bytes.
fn sentence_piece(gguf: &Gguf) -> Result<Tokenizer, GenerateError> {
    let list = |key: &str| {
        gguf.list(key)
            .ok_or_else(|| wrong(format!("`{key}` is missing")))
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong(format!("a token is {other:?}"))),
    };
    let tokens: Vec<String> = list("tokenizer.ggml.tokens")?
        .iter()
        .map(text)
        .collect::<Result<_, _>>()?;
    let scores: Vec<f64> = list("tokenizer.ggml.scores")?
        .iter()
        .filter_map(number)
        .collect();
    if scores.len() != tokens.len() {
        return Err(wrong(format!(
            "{} tokens with {} scores",
            tokens.len(),
            scores.len()
        )));
    }
    let kinds = gguf.list("tokenizer.ggml.token_type").unwrap_or_default();
    let kind = |id: usize| kinds.get(id).and_then(number).map_or(1, |kind| kind as u32);
    let ids: HashMap<&str, usize> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.as_str(), id))
        .collect();
    let merges = merges(&tokens, &scores, &ids, kind);
    let unknown = gguf
        .number("tokenizer.ggml.unknown_token_id")
        .map_or(0, |id| id as usize);
    let space_first = gguf
        .switch("tokenizer.ggml.add_space_prefix")
        .unwrap_or(true);
    let special = |(id, token): (usize, &String)| {
        let kind = kind(id);
        (kind == CONTROL || kind == USER_DEFINED).then(|| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": kind == CONTROL })
        })
    };
    let added: Vec<_> = tokens.iter().enumerate().filter_map(special).collect();
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" });
    let normalizers = if space_first {
        vec![json!({ "type": "Prepend", "prepend": "\u{2581}" }), replace]
    } else {
        vec![replace]
    };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if space_first {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let description = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": { "type": "BPE", "dropout": null, "unk_token": tokens.get(unknown), "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                   "vocab": ids, "merges": merges },
    });
    let bytes = serde_json::to_vec(&description).map_err(|error| wrong(error.to_string()))?;
    Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))
}

/// The pairs of tokens that join to a token, the best score first.
fn merges(
    tokens: &[String],
    scores: &[f64],
    ids: &HashMap<&str, usize>,
    kind: impl Fn(usize) -> u32,
) -> Vec<(String, String)> {
    let mut merges = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        if matches!(kind(id), CONTROL | USER_DEFINED | BYTE) {
            continue;
        }
        let splits = token.char_indices().skip(1).filter_map(|(at, _)| {
            let (left, right) = token.split_at(at);
            Some((id, *ids.get(left)?, *ids.get(right)?))
        });
        let mut splits: Vec<_> = splits.collect();
        splits.sort_unstable();
        merges.extend(splits);
    }
    merges.sort_by(|(a, ..), (b, ..)| scores[*b].total_cmp(&scores[*a]));
    merges
        .into_iter()
        .map(|(_, left, right)| (tokens[left].clone(), tokens[right].clone()))
        .collect()
}
