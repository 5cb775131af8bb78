//! Nomic BERT: numbers, prompts, errors.

use candle_transformers::models::nomic_bert::NomicBertModel;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{
    HEADS, INNER, POSITIONS, Tiny, WIDTH, builder, compare, describe, everywhere, pool, refused,
};
use super::{settings, texts, with};
use crate::{Encoder, Family, Pooling, Unwatched};

const LAYERS: usize = 3;

/// The settings of `nomic-embed-text-v1.5`, but for the sizes.
fn config() -> Value {
    json!({
        "model_type": "nomic_bert", "architectures": ["NomicBertModel"], "activation_function": "swiglu",
        "causal": false, "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048, "mlp_fc1_bias": false,
        "mlp_fc2_bias": false, "n_embd": WIDTH, "n_head": HEADS, "n_inner": INNER, "n_layer": LAYERS,
        "n_positions": POSITIONS, "parallel_block": false, "prenorm": false, "qkv_proj_bias": false,
        "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false,
        "rotary_scaling_factor": null, "type_vocab_size": 2, "use_rms_norm": false, "vocab_size": 32,
    })
}

fn tiny(prefix: &str, config: &Value) -> Tiny {
    let mut tiny = Tiny::new();
    describe(&tiny, config);
    let on = |switch: &str| config[switch] == true;
    tiny.add(
        &format!("{prefix}embeddings.word_embeddings.weight"),
        &[32, WIDTH],
    );
    if config["type_vocab_size"] != 0 {
        let name = format!("{prefix}embeddings.token_type_embeddings.weight");
        tiny.add(&name, &[2, WIDTH]);
    }
    tiny.norm(&format!("{prefix}emb_ln"), WIDTH);
    for i in 0..LAYERS {
        let products = [
            ("attn.Wqkv", WIDTH, 3 * WIDTH, "qkv_proj_bias"),
            ("attn.out_proj", WIDTH, WIDTH, "qkv_proj_bias"),
            ("mlp.fc11", WIDTH, INNER, "mlp_fc1_bias"),
            ("mlp.fc12", WIDTH, INNER, "mlp_fc1_bias"),
            ("mlp.fc2", INNER, WIDTH, "mlp_fc2_bias"),
        ];
        for (name, n_in, n_out, switch) in products {
            let name = format!("{prefix}encoder.layers.{i}.{name}");
            tiny.add(&format!("{name}.weight"), &[n_out, n_in]);
            if on(switch) {
                tiny.add(&format!("{name}.bias"), &[n_out]);
            }
        }
        for norm in ["norm1", "norm2"] {
            tiny.norm(&format!("{prefix}encoder.layers.{i}.{norm}"), WIDTH);
        }
    }
    tiny.save();
    tiny
}

fn agrees(tiny: &Tiny) {
    let oracle = NomicBertModel::load(builder(tiny.tensors.clone()), &settings(tiny.path()));
    let oracle = oracle.unwrap();
    for encoder in everywhere(tiny) {
        compare(&encoder, |ids| oracle.forward(ids, None, None));
    }
}

#[test]
fn agrees_with_candle() {
    let tiny = tiny("", &config());
    pool(&tiny, r#"{"pooling_mode_mean_tokens": true}"#, true);
    agrees(&tiny);
    let info = Encoder::load(tiny.path()).unwrap().info().clone();
    assert_eq!(
        (info.family, info.pooling, info.max_tokens, info.normalised),
        (Family::NomicBert, Pooling::Mean, POSITIONS, true)
    );
    assert_eq!(
        (info.family.to_string(), info.n_dims),
        ("nomic_bert".to_owned(), WIDTH)
    );
    let n_parameters: usize = tiny
        .tensors
        .values()
        .map(candle_core::Tensor::elem_count)
        .sum();
    assert_eq!(info.n_parameters, n_parameters as u64);
    assert!(info.n_bytes > 4 * info.n_parameters);
}

#[test]
fn agrees_with_candle_on_every_switch() {
    let switches = json!({"qkv_proj_bias": true, "mlp_fc1_bias": true, "mlp_fc2_bias": true, "type_vocab_size": 0,
        "rotary_emb_interleaved": true, "rotary_emb_base": 10000});
    agrees(&tiny("nomic_bert.", &with(&config(), &switches)));
}

#[test]
fn angles_that_depend_on_the_length_are_never_needed() {
    let limits = json!({"rotary_scaling_factor": 2, "max_trained_positions": 100});
    let tiny = tiny("", &with(&config(), &limits));
    let encoder = Encoder::load(tiny.path()).unwrap();
    assert_eq!(encoder.info().max_tokens, 100);
}

#[test]
fn only_a_default_prompt_is_put_before_texts() {
    let tiny = tiny("", &config());
    let file = "config_sentence_transformers.json";
    let load = || Encoder::load(tiny.path()).unwrap();
    let rows = |texts: &[String]| load().encode(texts, &Unwatched).unwrap();
    let plain = rows(&texts());
    let prompts = json!({"prompts": {"query": "q r: ", "other": ""}, "default_prompt_name": null});
    tiny.write(file, &prompts.to_string());
    assert_eq!((rows(&texts()), load().info().prompt.as_str()), (plain, ""));
    let by_hand = rows(
        &texts()[..8]
            .iter()
            .map(|text| format!("q r: {text}"))
            .collect::<Vec<_>>(),
    );
    let prompts = with(&prompts, &json!({"default_prompt_name": "query"}));
    tiny.write(file, &prompts.to_string());
    assert_eq!(
        (rows(&texts()[..8]), load().info().prompt.as_str()),
        (by_hand, "q r: ")
    );
    assert_eq!(load().count("a").unwrap(), 6);
    tiny.write(
        "1_Pooling/config.json",
        r#"{"pooling_mode": "mean", "include_prompt": false}"#,
    );
    refused(
        &tiny,
        &expect![
            "`DIR/1_Pooling/config.json` has an unusable `include_prompt`: false, and a prompt always counts"
        ],
    );
    tiny.write(file, r#"{"default_prompt_name": "passage"}"#);
    refused(
        &tiny,
        &expect![
            "`DIR/config_sentence_transformers.json` has an unusable `default_prompt_name`: there is no prompt `passage`"
        ],
    );
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
        &json!({"activation_function": "gelu"}),
        &expect!["`DIR/config.json` has an unusable `activation_function`: gelu"],
    );
    check(
        &json!({"moe_every_n_layers": 2}),
        &expect![
            "`DIR/config.json` has an unusable `moe_every_n_layers`: mixtures of experts are not served"
        ],
    );
    check(
        &json!({"prenorm": true}),
        &expect!["`DIR/config.json` has an unusable `prenorm`: it must be off"],
    );
    check(
        &json!({"rotary_emb_fraction": 0.5}),
        &expect![
            "`DIR/config.json` has an unusable `rotary_emb_fraction`: 0.5, and only 1 is served"
        ],
    );
    check(
        &json!({"n_head": 40}),
        &expect![
            "`DIR/config.json` has an unusable `n_head`: heads of 1 values cannot be turned in pairs"
        ],
    );
    check(
        &json!({"n_positions": 1u64 << 40}),
        &expect![
            "`DIR/config.json` has an unusable `n_positions`: 1099511627776 positions are more than 1048576"
        ],
    );
    check(
        &json!({"n_inner": 64}),
        &expect![
            "tensor `encoder.layers.0.mlp.fc12.weight` of `DIR/model.safetensors` has shape [52, 40], and its settings ask for [64, 40]"
        ],
    );
    check(
        &json!({"qkv_proj_bias": true}),
        &expect![
            "weights `DIR/model.safetensors` have no tensor `encoder.layers.0.attn.Wqkv.bias`"
        ],
    );
    check(
        &json!({"type_vocab_size": 3}),
        &expect![
            "tensor `embeddings.token_type_embeddings.weight` of `DIR/model.safetensors` has shape [2, 40], and its settings ask for [3, 40]"
        ],
    );
}
