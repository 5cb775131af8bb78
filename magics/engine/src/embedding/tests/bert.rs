//! BERT and `RoBERTa`: numbers, batches, limits, errors.

use std::fs;

use candle_core::Tensor;
use expect_test::{Expect, expect};

use super::plain::{self, Names, Tower};
use super::tiny::{self, HEADS, LAYERS, Tiny};
use super::{Notes, difference, everywhere, unit};
use crate::compute::{GpuKernels, rehearsal};
use crate::{Encoder, EngineError, Family, Pooling, Unwatched};

fn tower<'a>(tiny: &'a Tiny, prefix: &str) -> Tower<'a> {
    Tower {
        tensors: &tiny.tensors,
        n_heads: HEADS,
        epsilon: 1e-12,
        names: Names {
            layers: format!("{prefix}encoder.layer."),
            qkv: [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
            ],
            out: "attention.output.dense",
            norms: ["attention.output.LayerNorm", "output.LayerNorm"],
            feed: ["intermediate.dense", "output.dense"],
        },
        clip: false,
        causal: false,
    }
}

/// Vectors of all tokens of a text of letters, positions counted from `first`.
fn plain(tiny: &Tiny, prefix: &str, text: &str, first: u32) -> Tensor {
    let tower = tower(tiny, prefix);
    let mut ids = vec![2];
    for word in text.split_whitespace() {
        let letters = word.bytes().map(|byte| u32::from(byte - b'a'));
        ids.extend(
            letters
                .enumerate()
                .map(|(i, n)| 4 + n + if i > 0 { 26 } else { 0 }),
        );
    }
    ids.push(3);
    let table = |name: &str| &tiny.tensors[&format!("{prefix}embeddings.{name}.weight")];
    let positions: Vec<u32> = (first..first + ids.len() as u32).collect();
    let run = || {
        let words = plain::rows(table("word_embeddings"), &ids)?;
        let places = plain::rows(table("position_embeddings"), &positions)?;
        let segments = plain::rows(table("token_type_embeddings"), &vec![0; ids.len()])?;
        let sum = ((words + places)? + segments)?;
        let mut x = tower.norm(&format!("{prefix}embeddings.LayerNorm"), &sum)?;
        for i in 0..LAYERS {
            x = tower.layer(i, &x)?;
        }
        Ok::<_, candle_core::Error>(x)
    };
    run().unwrap()
}

#[test]
fn agrees_with_plain_operations() {
    let tiny = Tiny::bert("", "bert");
    for encoder in everywhere(&tiny) {
        assert_eq!(encoder.info().pooling, Pooling::Mean);
        let texts = tiny::texts();
        let found = encoder.encode(&texts, &Unwatched).unwrap();
        for (text, row) in texts.iter().zip(found.rows()) {
            let wanted = plain(&tiny, "", text, 0).mean(0).unwrap().to_vec1();
            assert!(difference(row, &wanted.unwrap()) < 1e-5, "{text}");
        }
    }
}

#[test]
fn products_in_tf32_point_the_same_way() {
    let tiny = Tiny::bert("", "bert");
    let load = || Encoder::load(tiny.path()).unwrap();
    let rough = load().moved(&rehearsal(GpuKernels::Tf32)).unwrap();
    assert_eq!((rough.precision(), load().precision()), ("tf32", "f32"));
    let encode = |encoder: &Encoder| encoder.encode(&tiny::texts(), &Unwatched).unwrap();
    let (found, wanted) = (encode(&rough), encode(&load()));
    assert_ne!(found.values, wanted.values);
    for (found, wanted) in found.rows().zip(wanted.rows()) {
        let products = unit(found).into_iter().zip(unit(wanted));
        let cosine: f32 = products.map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99999, "{cosine}");
    }
}

#[test]
fn roberta_counts_positions_after_padding() {
    let tiny = Tiny::bert("roberta.", "roberta");
    tiny.write(
        "modules.json",
        r#"[{"path": "", "type": "m.Transformer"}, {"path": "pool", "type": "m.Pooling"},
            {"path": "2_Normalize", "type": "m.Normalize"}]"#,
    );
    tiny.write("pool/config.json", r#"{"pooling_mode_cls_token": true}"#);
    for encoder in everywhere(&tiny) {
        let info = encoder.info();
        assert_eq!(
            (info.family, info.pooling, info.max_tokens, info.normalised),
            (Family::Roberta, Pooling::Cls, tiny::POSITIONS - 1, true)
        );
        let texts = tiny::texts();
        let found = encoder.encode(&texts, &Unwatched).unwrap();
        for (text, row) in texts.iter().zip(found.rows()) {
            let wanted = unit(&plain::row(&plain(&tiny, "roberta.", text, 1), 0));
            assert!(difference(row, &wanted) < 1e-5, "{text}");
        }
    }
}

#[test]
fn same_bits_in_any_company() {
    let tiny = Tiny::bert("bert.", "bert");
    let encoder = Encoder::load(tiny.path()).unwrap();
    let texts: Vec<String> = std::iter::repeat_n(tiny::texts(), 20).flatten().collect();
    let reversed: Vec<&String> = texts.iter().rev().collect();
    let with_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap()
            .install(|| encoder.encode(&texts, &Unwatched).unwrap())
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one, three);
    let backwards = encoder.encode(&reversed, &Unwatched).unwrap();
    for (i, text) in texts.iter().enumerate().take(14) {
        let alone = encoder.encode(&[text], &Unwatched).unwrap();
        assert_eq!(alone.row(0), one.row(i));
        assert_eq!(alone.row(0), backwards.row(texts.len() - 1 - i));
    }
}

#[test]
fn long_texts_are_cut_and_counted() {
    let tiny = Tiny::bert("", "bert");
    tiny.write("sentence_bert_config.json", r#"{"max_seq_length": 10}"#);
    let encoder = Encoder::load(tiny.path()).unwrap();
    let long = "a b c d e f g h ".repeat(50_000);
    let texts = ["a b c d e f g h", &long, "", "a b c d e f g h i"];
    let found = encoder.encode(&texts, &Unwatched).unwrap();
    assert_eq!((found.n_truncated, found.n_tokens), (2, 32));
    assert_eq!(found.row(0), found.row(1));
    assert_eq!(found.row(0), found.row(3));
    assert_ne!(found.row(0), found.row(2));
    assert_eq!(encoder.count(&long).unwrap(), 400_002);
    assert_eq!(encoder.count("").unwrap(), 2);
    let none = encoder.encode::<&str>(&[], &Unwatched).unwrap();
    assert_eq!((none.n_rows(), none.n_dims), (0, tiny::WIDTH));
}

#[test]
fn work_is_followed_and_stopped() {
    let tiny = Tiny::bert("", "bert");
    let encoder = Encoder::load(tiny.path()).unwrap();
    let texts: Vec<String> = std::iter::repeat_n(tiny::texts(), 30).flatten().collect();
    let notes = Notes::stop_after(usize::MAX);
    encoder.encode(&texts, &notes).unwrap();
    let steps = notes.steps.into_inner().unwrap();
    assert!(steps.is_sorted() && steps.len() > 5);
    let n = texts.len();
    assert_eq!(steps.last(), Some(&(n, n, "texts".to_owned())));
    let stopped = encoder.encode(&texts, &Notes::stop_after(1));
    assert!(matches!(stopped, Err(EngineError::Cancelled)));
}

/// What loading says after `harm` was done to a good model.
fn check(harm: impl FnOnce(&mut Tiny), message: &Expect) {
    let mut tiny = Tiny::bert("", "bert");
    harm(&mut tiny);
    let error = Encoder::load(tiny.path()).unwrap_err();
    let place = tiny.path().display().to_string();
    message.assert_eq(&format!("{error}\n{}", error.hint()).replace(&place, "DIR"));
}

#[test]
fn errors_name_what_is_wrong() {
    check(
        |tiny| fs::remove_dir_all(tiny.path()).unwrap(),
        &expect![[r"
            cannot read `DIR`: No such file or directory (os error 2)
            does it exist, and may this user read it?"]],
    );
    check(
        |tiny| fs::remove_file(tiny.path().join("config.json")).unwrap(),
        &expect![[r"
            `DIR` has no `config.json`
            is this a complete model directory? Download it again, or give its path"]],
    );
    check(
        |tiny| fs::remove_file(tiny.path().join("vocab.txt")).unwrap(),
        &expect![[r"
            `DIR` has no `tokenizer.json`
            is this a complete model directory? Download it again, or give its path"]],
    );
    check(
        |tiny| fs::remove_file(tiny.path().join("model.safetensors")).unwrap(),
        &expect![[r"
            `DIR` has no `model.safetensors`
            only weights in safetensors format are read: save the model with `safe_serialization=True`"]],
    );
    check(
        |tiny| tiny.write("config.json", r#"{"model_type": "t5"}"#),
        &expect![[r"
            cannot run a model of type `t5` from `DIR`
            these types can be run: bert, roberta, xlm-roberta, nomic_bert, modernbert, clip"]],
    );
    check(
        |tiny| tiny.write("config.json", r#"{"model_type": "bert"}"#),
        &expect![[r"
            cannot understand `DIR/config.json`: missing field `vocab_size` at line 1 column 22
            is this a complete model directory? Download it again, or give its path"]],
    );
    check(
        |tiny| tiny.write("model.safetensors", "not a file of weights"),
        &expect![[r#"
            weights `DIR/model.safetensors` are damaged: path: "DIR/model.safetensors" header too large
            is this a complete model directory? Download it again, or give its path"#]],
    );
    check(
        |tiny| {
            tiny.add("embeddings.LayerNorm.bias", &[3]);
            tiny.save();
        },
        &expect![[r"
            tensor `embeddings.LayerNorm.bias` of `DIR/model.safetensors` has shape [3], and its settings ask for [40]
            do the weights and the settings belong to the same model?"]],
    );
    check(
        |tiny| {
            tiny.tensors.remove("encoder.layer.1.output.dense.bias");
            tiny.save();
        },
        &expect![[r"
            weights `DIR/model.safetensors` have no tensor `encoder.layer.1.output.dense.bias`
            do the weights and the settings belong to the same model?"]],
    );
    check(
        |tiny| {
            let switches = r#"{"pooling_mode_max_tokens": true}"#;
            tiny.write("1_Pooling/config.json", switches);
        },
        &expect![[r"
            `DIR/1_Pooling/config.json` has an unusable `pooling_mode_max_tokens`: only the mean and the first token are served
            do the weights and the settings belong to the same model?"]],
    );
}

#[test]
fn texts_only() {
    let tiny = Tiny::bert("", "bert");
    let encoder = Encoder::load(tiny.path()).unwrap();
    let refused = encoder.encode_pictures(&["a"], &Unwatched);
    assert!(matches!(refused, Err(EngineError::NoImages { .. })));
}
