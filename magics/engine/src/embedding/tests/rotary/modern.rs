//! `ModernBERT`: numbers, windows, batches, errors.

use candle_core::DType;
use candle_transformers::models::modernbert::ModernBert;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{
    HEADS, INNER, POSITIONS, Tiny, WIDTH, builder, compare, describe, everywhere, pool, refused,
};
use super::{settings, texts, with};
use crate::{Encoder, Family, Pooling, Unwatched};

const LAYERS: usize = 4;

/// The settings of `gte-modernbert-base`, but for the sizes.
fn config() -> Value {
    json!({
        "model_type": "modernbert", "architectures": ["ModernBertModel"], "attention_bias": false,
        "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "hidden_activation": "gelu",
        "hidden_size": WIDTH, "intermediate_size": INNER, "layer_norm_eps": 1e-5, "local_attention": 128,
        "local_rope_theta": 10_000.0, "max_position_embeddings": POSITIONS, "mlp_bias": false, "norm_bias": false,
        "norm_eps": 1e-5, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "pad_token_id": 0,
        "position_embedding_type": "absolute", "vocab_size": 32,
    })
}

fn tiny(prefix: &str, config: &Value) -> Tiny {
    let mut tiny = Tiny::new();
    describe(&tiny, config);
    let mut add =
        |name: String, shape: &[usize]| tiny.add(&format!("{prefix}{name}.weight"), shape);
    add("embeddings.tok_embeddings".to_owned(), &[32, WIDTH]);
    add("embeddings.norm".to_owned(), &[WIDTH]);
    for i in 0..LAYERS {
        let layer = |rest: &str| format!("layers.{i}.{rest}");
        add(layer("attn.Wqkv"), &[3 * WIDTH, WIDTH]);
        add(layer("attn.Wo"), &[WIDTH, WIDTH]);
        add(layer("mlp.Wi"), &[2 * INNER, WIDTH]);
        add(layer("mlp.Wo"), &[WIDTH, INNER]);
        add(layer("mlp_norm"), &[WIDTH]);
        if i > 0 {
            add(layer("attn_norm"), &[WIDTH]);
        }
    }
    add("final_norm".to_owned(), &[WIDTH]);
    tiny.save();
    tiny
}

fn agrees(tiny: &Tiny) {
    let named = tiny.tensors.iter().map(|(name, tensor)| {
        let rest = name.strip_prefix("model.").unwrap_or(name);
        (format!("model.{rest}"), tensor.clone())
    });
    let oracle = ModernBert::load(builder(named.collect()), &settings(tiny.path())).unwrap();
    for encoder in everywhere(tiny) {
        compare(&encoder, |ids| {
            oracle.forward(ids, &ids.ones_like()?.to_dtype(DType::F32)?)
        });
    }
}

#[test]
fn agrees_with_candle() {
    let tiny = tiny("", &config());
    pool(
        &tiny,
        r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#,
        false,
    );
    agrees(&tiny);
    let info = Encoder::load(tiny.path()).unwrap().info().clone();
    assert_eq!(
        (info.family, info.pooling, info.max_tokens, info.normalised),
        (Family::ModernBert, Pooling::Cls, POSITIONS, false)
    );
    assert_eq!(
        (info.family.to_string(), info.n_dims),
        ("modernbert".to_owned(), WIDTH)
    );
    let n_parameters: usize = tiny
        .tensors
        .values()
        .map(candle_core::Tensor::elem_count)
        .sum();
    assert_eq!(info.n_parameters, n_parameters as u64);
}

#[test]
fn agrees_with_candle_in_narrow_windows() {
    for (local_attention, every) in [(2, 2), (17, 3), (64, 4)] {
        let changes =
            json!({"local_attention": local_attention, "global_attn_every_n_layers": every});
        let tiny = tiny("model.", &with(&config(), &changes));
        pool(
            &tiny,
            r#"{"embedding_dimension": 40, "pooling_mode": "mean"}"#,
            true,
        );
        agrees(&tiny);
    }
}

#[test]
fn newer_settings_say_the_same() {
    let tiny = tiny("", &config());
    let rows = || {
        Encoder::load(tiny.path())
            .unwrap()
            .encode(&texts(), &Unwatched)
            .unwrap()
    };
    let old = rows();
    let mut newer = with(
        &config(),
        &json!({
            "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": {"rope_theta": 160_000.0, "rope_type": "default"},
                "sliding_attention": {"rope_theta": 10_000.0, "rope_type": "default"},
            },
        }),
    );
    for name in [
        "global_attn_every_n_layers",
        "global_rope_theta",
        "local_rope_theta",
        "layer_norm_eps",
    ] {
        newer.as_object_mut().unwrap().remove(name);
    }
    tiny.write("config.json", &newer.to_string());
    assert_eq!(rows(), old);
    newer["layer_types"][3] = json!("sliding_attention");
    tiny.write("config.json", &newer.to_string());
    let all_local = rows();
    newer["rope_parameters"]["sliding_attention"]["rope_theta"] = json!(500.0);
    tiny.write("config.json", &newer.to_string());
    assert!(all_local != old && all_local != rows());
}

#[test]
fn same_bits_in_any_company() {
    let tiny = tiny("", &config());
    let encoder = Encoder::load(tiny.path()).unwrap();
    let texts: Vec<String> = std::iter::repeat_n(texts(), 5).flatten().collect();
    let with_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap()
            .install(|| encoder.encode(&texts, &Unwatched).unwrap())
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one, three);
    for (i, text) in texts.iter().enumerate().take(9) {
        assert_eq!(
            encoder.encode(&[text], &Unwatched).unwrap().row(0),
            one.row(i)
        );
    }
}

/// What loading says when some settings are different from those of a good model.
fn check(changes: &Value, message: &Expect) {
    let tiny = tiny("", &config());
    tiny.write("config.json", &with(&config(), changes).to_string());
    refused(&tiny, message);
}

#[test]
fn errors_name_what_is_wrong() {
    check(
        &json!({"hidden_activation": "mish"}),
        &expect!["`DIR/config.json` has an unusable `hidden_activation`: mish"],
    );
    check(
        &json!({"num_attention_heads": 3}),
        &expect![
            "`DIR/config.json` has an unusable `num_attention_heads`: 3 heads cannot share 40"
        ],
    );
    check(
        &json!({"global_attn_every_n_layers": 0}),
        &expect!["`DIR/config.json` has an unusable `global_attn_every_n_layers`: 0"],
    );
    check(
        &json!({"layer_types": ["full_attention", "chunked_attention"]}),
        &expect![
            "`DIR/config.json` has an unusable `layer_types`: `chunked_attention` for layer 1"
        ],
    );
    check(
        &json!({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4.0}}}),
        &expect!["`DIR/config.json` has an unusable `rope_type`: yarn"],
    );
    check(
        &json!({"intermediate_size": 26}),
        &expect![
            "tensor `layers.0.mlp.Wi.weight` of `DIR/model.safetensors` has shape [104, 40], and its settings ask for [52, 40]"
        ],
    );
    check(
        &json!({"num_hidden_layers": 5}),
        &expect!["weights `DIR/model.safetensors` have no tensor `layers.4.mlp.Wi.weight`"],
    );
    check(
        &json!({"norm_bias": true}),
        &expect!["weights `DIR/model.safetensors` have no tensor `layers.0.mlp_norm.bias`"],
    );
}
