//! Nomic BERT and `ModernBERT` against candle's own, one sequence at a time.

mod modern;
mod nomic;

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use expect_test::Expect;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::{Encoder, Model};
use super::plain::Tensors;
use super::tiny::Tiny;
use super::{difference, everywhere, unit};
use crate::compute::Scratch;
use crate::{EngineError, Pooling, Unwatched};

/// Width and heads are chosen so that neither halves of heads nor the inner layer fill whole vectors.
const WIDTH: usize = 40;
const HEADS: usize = 5;
const INNER: usize = 52;
const POSITIONS: usize = 320;

/// Tokens of the ragged texts, special ones included; the last one is longer than two windows.
const LENGTHS: [usize; 9] = [5, 3, 70, 2, 129, 17, 48, 49, 300];

/// The ids that `texts` become: `[CLS]`, letters, `[SEP]`.
fn ids() -> Vec<Vec<u32>> {
    let mut random = fastrand::Rng::with_seed(5);
    LENGTHS
        .map(|n| {
            let letters = (2..n).map(|_| random.u32(4..30)).collect::<Vec<_>>();
            [&[2][..], &letters, &[3]].concat()
        })
        .to_vec()
}

fn texts() -> Vec<String> {
    let letter = |id: &u32| format!("{} ", char::from(b'a' + (*id - 4) as u8));
    let inner = |ids: Vec<u32>| ids[1..ids.len() - 1].iter().map(letter).collect();
    ids().into_iter().map(inner).collect()
}

/// Writes the settings and a tokenizer of single letters, with the limits and padding that some publish.
fn describe(tiny: &Tiny, config: &Value) {
    tiny.write("config.json", &config.to_string());
    fs::remove_file(tiny.path().join("vocab.txt")).unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(String::from);
    let letters = ('a'..='z').map(String::from);
    let words = special.into_iter().chain(letters).enumerate();
    let vocabulary: Map<String, Value> = words.map(|(id, word)| (word, json!(id))).collect();
    let mark = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, mark("[SEP]")],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
            },
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    });
    tiny.write("tokenizer.json", &tokenizer.to_string());
}

/// What sentence-transformers writes about pooling.
fn pool(tiny: &Tiny, pooling: &str, normalise: bool) {
    let mut modules = vec![
        json!({"path": "", "type": "sentence_transformers.models.Transformer"}),
        json!({"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}),
    ];
    if normalise {
        modules
            .push(json!({"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}));
    }
    tiny.write("modules.json", &Value::from(modules).to_string());
    tiny.write("1_Pooling/config.json", pooling);
}

/// Compares the vectors of all tokens of a packed batch, then the texts' rows, with `oracle`'s vectors of single sequences.
fn compare(encoder: &Encoder, oracle: impl Fn(&Tensor) -> candle_core::Result<Tensor>) {
    let ids = ids();
    let wanted: Vec<Vec<Vec<f32>>> = ids
        .iter()
        .map(|ids| {
            let ids = Tensor::new(&ids[..], &Device::Cpu).and_then(|ids| ids.unsqueeze(0));
            oracle(&ids.unwrap()).unwrap().squeeze(0).unwrap().to_vec2()
        })
        .collect::<Result<_, _>>()
        .unwrap();
    let Model::Text(model) = &encoder.model else {
        panic!("{encoder:?} is no encoder of texts")
    };
    let packed: Vec<&[u32]> = ids.iter().map(|ids| &ids[..]).collect();
    // A tower on a card keeps the vectors of tokens there.
    if model.layers.tower().is_none() {
        let mut x = Vec::new();
        model
            .run(&packed, &mut x, &mut Scratch::default(), &|| false)
            .unwrap();
        let mut rest = &x[..];
        for (ids, wanted) in ids.iter().zip(&wanted) {
            let (found, after) = rest.split_at(ids.len() * WIDTH);
            let error = difference(found, &wanted.concat());
            assert!(error < 1e-5, "{} tokens: {error:e}", ids.len());
            rest = after;
        }
    }
    let found = encoder.encode(&texts(), &Unwatched).unwrap();
    assert_eq!(found.n_tokens, LENGTHS.iter().sum::<usize>() as u64);
    for (row, wanted) in found.rows().zip(&wanted) {
        let mut one = wanted[0].clone();
        if encoder.info().pooling == Pooling::Mean {
            let sum = |i: usize| wanted.iter().map(|token| token[i]).sum::<f32>();
            one = (0..WIDTH).map(|i| sum(i) / wanted.len() as f32).collect();
        }
        if encoder.info().normalised {
            one = unit(&one);
        }
        assert!(difference(row, &one) < 1e-5, "{} tokens", wanted.len());
    }
}

fn builder(tensors: Tensors) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

fn settings<T: DeserializeOwned>(directory: &Path) -> T {
    serde_json::from_slice(&fs::read(directory.join("config.json")).unwrap()).unwrap()
}

/// Some settings with others in their places.
fn with(config: &Value, changes: &Value) -> Value {
    let mut config = config.clone();
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// What loading says.
fn refused(tiny: &Tiny, message: &Expect) {
    let error: EngineError = Encoder::load(tiny.path()).unwrap_err();
    let place = tiny.path().display().to_string();
    message.assert_eq(&error.to_string().replace(&place, "DIR"));
}
