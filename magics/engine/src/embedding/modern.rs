//! `ModernBERT` (Warner et al. 2024): rotary positions, and attention that sees near tokens only in most layers.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::settings::{read_json, unusable};
use super::transformer::{Transformer, check_positions, prefix, rotary_dim};
use super::weights::Weights;
use crate::compute::{
    Activation, Heads, Layer, LayerNorm, Layers, Linear, NormOrder, Rope, Sight, Stack,
};
use crate::error::EngineError;

/// `config.json`; from version 5 of transformers on, `layer_types` and `rope_parameters` stand for older settings.
#[derive(Debug, Deserialize)]
struct Settings {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "gelu")]
    hidden_activation: String,
    norm_eps: Option<f64>,
    layer_norm_eps: Option<f64>,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "three")]
    global_attn_every_n_layers: usize,
    layer_types: Option<Vec<String>>,
    /// Tokens of the window, half of them on each side.
    #[serde(default = "window")]
    local_attention: usize,
    #[serde(default = "global_theta")]
    global_rope_theta: f64,
    #[serde(default = "local_theta")]
    local_rope_theta: f64,
    rope_parameters: Option<RopeParameters>,
}

#[derive(Debug, Deserialize)]
struct RopeParameters {
    full_attention: Option<RopeSettings>,
    sliding_attention: Option<RopeSettings>,
}

#[derive(Debug, Deserialize)]
struct RopeSettings {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn three() -> usize {
    3
}

fn window() -> usize {
    128
}

fn global_theta() -> f64 {
    160_000.0
}

fn local_theta() -> f64 {
    10_000.0
}

/// Reads settings and weights of a model directory.
pub(super) fn open(directory: &Path, weights: &Weights) -> Result<Transformer, EngineError> {
    let path = directory.join("config.json");
    let settings: Settings = read_json(&path)?;
    let activation = Activation::named(&settings.hidden_activation).ok_or_else(|| {
        unusable(
            &path,
            "hidden_activation",
            settings.hidden_activation.clone(),
        )
    })?;
    let (width, n) = (settings.hidden_size, settings.num_attention_heads);
    let dim = rotary_dim(&path, "num_attention_heads", width, n)?;
    let n_positions = settings.max_position_embeddings;
    check_positions(&path, "max_position_embeddings", n_positions)?;
    let [global, local] = settings
        .thetas(&path)?
        .map(|theta| Arc::new(Rope::new(n_positions, dim, theta)));
    let words = "embeddings.tok_embeddings.weight";
    let reader = Reader {
        weights,
        prefix: prefix(weights, &["", "model."], words),
        settings: &settings,
    };
    let layers = (0..settings.num_hidden_layers)
        .map(|i| {
            if settings.is_global(i, &path)? {
                reader.layer(i, &global, Sight::All)
            } else {
                reader.layer(i, &local, Sight::Near(settings.local_attention / 2))
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Transformer {
        words: weights.tensor(&reader.name(words), &[settings.vocab_size, width])?,
        positions: Vec::new(),
        n_positions,
        norm: reader.norm("embeddings.norm")?,
        layers: Layers::Processor(Stack {
            layers,
            heads: Heads { n, dim },
            order: NormOrder::Before,
            activation,
        }),
        last_norm: Some(reader.norm("final_norm")?),
    })
}

impl Settings {
    /// Bases of the angles of global layers and of local ones.
    fn thetas(&self, path: &Path) -> Result<[f64; 2], EngineError> {
        let given = self.rope_parameters.as_ref();
        let theta = |given: Option<&RopeSettings>, old: f64| {
            let Some(given) = given else {
                return Ok(old);
            };
            match given.rope_type.as_deref() {
                None | Some("default") => Ok(given.rope_theta.unwrap_or(old)),
                Some(other) => Err(unusable(path, "rope_type", other.to_owned())),
            }
        };
        Ok([
            theta(
                given.and_then(|all| all.full_attention.as_ref()),
                self.global_rope_theta,
            )?,
            theta(
                given.and_then(|all| all.sliding_attention.as_ref()),
                self.local_rope_theta,
            )?,
        ])
    }

    fn is_global(&self, layer: usize, path: &Path) -> Result<bool, EngineError> {
        let Some(types) = &self.layer_types else {
            if self.global_attn_every_n_layers == 0 {
                return Err(unusable(path, "global_attn_every_n_layers", "0".to_owned()));
            }
            return Ok(layer.is_multiple_of(self.global_attn_every_n_layers));
        };
        match types.get(layer).map(String::as_str) {
            Some("full_attention") => Ok(true),
            Some("sliding_attention") => Ok(false),
            other => {
                let what = format!("`{}` for layer {layer}", other.unwrap_or_default());
                Err(unusable(path, "layer_types", what))
            }
        }
    }
}

/// Reads parts of the model.
struct Reader<'a> {
    weights: &'a Weights,
    prefix: &'static str,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn layer(&self, i: usize, rope: &Arc<Rope>, sight: Sight) -> Result<Layer, EngineError> {
        let Settings {
            hidden_size: width,
            intermediate_size: inner,
            attention_bias,
            mlp_bias,
            ..
        } = *self.settings;
        let name = |rest: &str| self.name(&format!("layers.{i}.{rest}"));
        let product = |rest: &str, n_in: usize, n_out: usize, biased: bool| {
            self.weights.product(&name(rest), n_in, n_out, biased)
        };
        let (rows, bias) = self
            .weights
            .parts(&name("mlp.Wi"), width, 2 * inner, mlp_bias)?;
        let (up, gate) = rows.split_at(inner * width);
        let (up_bias, gate_bias) = bias.split_at(bias.len() / 2);
        // The input of the first layer is normalised already.
        let attention_norm = match i {
            0 => None,
            _ => Some(self.norm(&format!("layers.{i}.attn_norm"))?),
        };
        Ok(Layer {
            qkv: product("attn.Wqkv", width, 3 * width, attention_bias)?,
            rope: Some(Arc::clone(rope)),
            sight,
            out: product("attn.Wo", width, width, attention_bias)?,
            attention_norm,
            up: Linear::new(up, up_bias, width),
            gate: Some(Linear::new(gate, gate_bias, width)),
            down: product("mlp.Wo", inner, width, mlp_bias)?,
            feed_norm: self.norm(&format!("layers.{i}.mlp_norm"))?,
        })
    }

    fn norm(&self, rest: &str) -> Result<LayerNorm, EngineError> {
        let settings = self.settings;
        let (name, width) = (self.name(rest), settings.hidden_size);
        let epsilon = settings
            .norm_eps
            .or(settings.layer_norm_eps)
            .unwrap_or(1e-5);
        if settings.norm_bias {
            return self.weights.norm(&name, width, epsilon);
        }
        let scale = self.weights.tensor(&format!("{name}.weight"), &[width])?;
        Ok(LayerNorm::without_shift(scale, epsilon))
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }
}
