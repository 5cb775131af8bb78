//! Nomic BERT (Nussbaum et al. 2024): BERT with rotary positions, a gated feed-forward part and no biases.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::settings::{read_json, unusable};
use super::transformer::{Transformer, check_positions, prefix, rotary_dim};
use super::weights::Weights;
use crate::compute::{Activation, Heads, Layer, Layers, Linear, NormOrder, Rope, Sight, Stack};
use crate::error::EngineError;

/// `config.json`, in the words of GPT-2.
#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the file is written with these switches"
)]
struct Settings {
    vocab_size: usize,
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    /// Silent files mean four times the width.
    n_inner: Option<usize>,
    n_positions: usize,
    #[serde(default)]
    type_vocab_size: usize,
    activation_function: String,
    #[serde(default = "epsilon")]
    layer_norm_epsilon: f64,
    #[serde(default = "theta")]
    rotary_emb_base: f64,
    #[serde(default = "whole")]
    rotary_emb_fraction: f64,
    #[serde(default)]
    rotary_emb_interleaved: bool,
    /// Positions up to which the angles are those of the base; beyond, they depend on the length of the text.
    max_trained_positions: Option<usize>,
    rotary_scaling_factor: Option<f64>,
    #[serde(default)]
    qkv_proj_bias: bool,
    #[serde(default)]
    mlp_fc1_bias: bool,
    #[serde(default)]
    mlp_fc2_bias: bool,
    #[serde(default)]
    prenorm: bool,
    #[serde(default)]
    parallel_block: bool,
    #[serde(default)]
    use_rms_norm: bool,
    #[serde(default)]
    causal: bool,
    moe_every_n_layers: Option<usize>,
}

fn epsilon() -> f64 {
    1e-12
}

fn theta() -> f64 {
    1000.0
}

fn whole() -> f64 {
    1.0
}

/// Reads settings and weights of a model directory.
pub(super) fn open(directory: &Path, weights: &Weights) -> Result<Transformer, EngineError> {
    let path = directory.join("config.json");
    let settings: Settings = read_json(&path)?;
    let activation = check(&path, &settings)?;
    let (width, n) = (settings.n_embd, settings.n_head);
    let dim = rotary_dim(&path, "n_head", width, n)?;
    let n_positions = settings.longest();
    check_positions(&path, "n_positions", n_positions)?;
    let rope = Arc::new(Rope::new(n_positions, dim, settings.rotary_emb_base));
    let words = "embeddings.word_embeddings.weight";
    let prefix = prefix(weights, &["", "nomic_bert.", "bert."], words);
    let layers = (0..settings.n_layer)
        .map(|i| {
            let name = format!("{prefix}encoder.layers.{i}.");
            layer(weights, &name, &settings, &rope)
        })
        .collect::<Result<_, _>>()?;
    let norm = format!("{prefix}emb_ln");
    Ok(Transformer {
        words: words_of_segment(weights, prefix, &settings)?,
        positions: Vec::new(),
        n_positions,
        norm: weights.norm(&norm, width, settings.layer_norm_epsilon)?,
        layers: Layers::Processor(Stack {
            layers,
            heads: Heads { n, dim },
            order: NormOrder::After,
            activation,
        }),
        last_norm: None,
    })
}

impl Settings {
    fn inner(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    /// Tokens of a sequence at most.
    fn longest(&self) -> usize {
        match (self.rotary_scaling_factor, self.max_trained_positions) {
            (Some(_), Some(trained)) => self.n_positions.min(trained),
            _ => self.n_positions,
        }
    }
}

fn check(path: &Path, settings: &Settings) -> Result<Activation, EngineError> {
    let switches = [
        ("prenorm", settings.prenorm),
        ("parallel_block", settings.parallel_block),
        ("use_rms_norm", settings.use_rms_norm),
        ("causal", settings.causal),
    ];
    if let Some((field, _)) = switches.iter().find(|(_, on)| *on) {
        return Err(unusable(path, field, "it must be off".to_owned()));
    }
    if settings.moe_every_n_layers.is_some_and(|every| every > 0) {
        let what = "mixtures of experts are not served".to_owned();
        return Err(unusable(path, "moe_every_n_layers", what));
    }
    if (settings.rotary_emb_fraction - 1.0).abs() > f64::EPSILON {
        let what = format!("{}, and only 1 is served", settings.rotary_emb_fraction);
        return Err(unusable(path, "rotary_emb_fraction", what));
    }
    match settings.activation_function.as_str() {
        "swiglu" => Ok(Activation::Silu),
        "geglu" => Ok(Activation::Gelu),
        other => Err(unusable(path, "activation_function", other.to_owned())),
    }
}

/// The vectors of all words, with that of segment 0 added: every text is of that segment.
fn words_of_segment(
    weights: &Weights,
    prefix: &str,
    settings: &Settings,
) -> Result<Vec<f32>, EngineError> {
    let width = settings.n_embd;
    let table = |name: &str, n: usize| {
        weights.tensor(&format!("{prefix}embeddings.{name}.weight"), &[n, width])
    };
    let mut words = table("word_embeddings", settings.vocab_size)?;
    if settings.type_vocab_size > 0 {
        let segments = table("token_type_embeddings", settings.type_vocab_size)?;
        for word in words.chunks_exact_mut(width) {
            for (value, segment) in word.iter_mut().zip(&segments) {
                *value += segment;
            }
        }
    }
    Ok(words)
}

fn layer(
    weights: &Weights,
    prefix: &str,
    settings: &Settings,
    rope: &Arc<Rope>,
) -> Result<Layer, EngineError> {
    let (width, inner) = (settings.n_embd, settings.inner());
    let name = |rest: &str| format!("{prefix}{rest}");
    let norm = |rest: &str| weights.norm(&name(rest), width, settings.layer_norm_epsilon);
    let (attention, first) = (settings.qkv_proj_bias, settings.mlp_fc1_bias);
    Ok(Layer {
        qkv: queries_keys_values(weights, &name("attn.Wqkv"), settings)?,
        rope: Some(Arc::clone(rope)),
        sight: Sight::All,
        out: weights.product(&name("attn.out_proj"), width, width, attention)?,
        attention_norm: Some(norm("norm1")?),
        up: weights.product(&name("mlp.fc12"), width, inner, first)?,
        gate: Some(weights.product(&name("mlp.fc11"), width, inner, first)?),
        down: weights.product(&name("mlp.fc2"), inner, width, settings.mlp_fc2_bias)?,
        feed_norm: norm("norm2")?,
    })
}

fn queries_keys_values(
    weights: &Weights,
    name: &str,
    settings: &Settings,
) -> Result<Linear, EngineError> {
    let (width, biased) = (settings.n_embd, settings.qkv_proj_bias);
    let (mut rows, mut bias) = weights.parts(name, width, 3 * width, biased)?;
    if settings.rotary_emb_interleaved {
        let dim = width / settings.n_head;
        halve(&mut rows[..2 * width * width], dim, width);
        if biased {
            halve(&mut bias[..2 * width], dim, 1);
        }
    }
    Ok(Linear::new(&rows, &bias, width))
}

/// Puts the even rows of each head before the odd ones, so that pairs of neighbours become pairs across halves.
///
/// Queries and keys are reordered alike, which leaves their products as they are.
fn halve(rows: &mut [f32], dim: usize, length: usize) {
    for head in rows.chunks_exact_mut(dim * length) {
        let old = head.to_vec();
        let (even, odd) = head.split_at_mut(dim / 2 * length);
        for (i, pair) in old.chunks_exact(2 * length).enumerate() {
            even[i * length..][..length].copy_from_slice(&pair[..length]);
            odd[i * length..][..length].copy_from_slice(&pair[length..]);
        }
    }
}
