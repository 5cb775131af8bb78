//! BERT (Devlin et al. 2019) and its relatives with the same layers: `RoBERTa` and `XLM-RoBERTa`.

use std::path::Path;

use super::Family;
use super::settings::{BertSettings, read_json, unusable};
use super::transformer::{Transformer, head_dim, prefix};
use super::weights::Weights;
use crate::compute::{Activation, Heads, Layer, Layers, NormOrder, Sight, Stack};
use crate::error::EngineError;

/// Reads settings and weights of a model directory.
pub(super) fn open(
    directory: &Path,
    family: Family,
    weights: &Weights,
) -> Result<Transformer, EngineError> {
    let path = directory.join("config.json");
    let settings: BertSettings = read_json(&path)?;
    let activation = check(&path, &settings)?;
    let (width, n) = (settings.hidden_size, settings.num_attention_heads);
    let dim = head_dim(&path, "num_attention_heads", width, n)?;
    let words = "embeddings.word_embeddings.weight";
    let prefix = prefix(weights, &["", "bert.", "roberta."], words);
    let words = weights.tensor(&format!("{prefix}{words}"), &[settings.vocab_size, width])?;
    let layers = (0..settings.num_hidden_layers)
        .map(|i| layer(weights, &format!("{prefix}encoder.layer.{i}."), &settings))
        .collect::<Result<_, _>>()?;
    let positions = positions(weights, prefix, family, &settings)?;
    let norm = format!("{prefix}embeddings.LayerNorm");
    Ok(Transformer {
        words,
        n_positions: positions.len() / width,
        positions,
        norm: weights.norm(&norm, width, settings.layer_norm_eps)?,
        layers: Layers::Processor(Stack {
            layers,
            heads: Heads { n, dim },
            order: NormOrder::After,
            activation,
        }),
        last_norm: None,
    })
}

fn check(path: &Path, settings: &BertSettings) -> Result<Activation, EngineError> {
    if let Some(kind) = &settings.position_embedding_type
        && kind != "absolute"
    {
        return Err(unusable(path, "position_embedding_type", kind.clone()));
    }
    Activation::named(&settings.hidden_act)
        .ok_or_else(|| unusable(path, "hidden_act", settings.hidden_act.clone()))
}

/// The vectors of positions from the first that a text uses, with that of segment 0 added.
fn positions(
    weights: &Weights,
    prefix: &str,
    family: Family,
    settings: &BertSettings,
) -> Result<Vec<f32>, EngineError> {
    let width = settings.hidden_size;
    let mut positions = weights.tensor(
        &format!("{prefix}embeddings.position_embeddings.weight"),
        &[settings.max_position_embeddings, width],
    )?;
    let segments = weights.tensor(
        &format!("{prefix}embeddings.token_type_embeddings.weight"),
        &[settings.type_vocab_size, width],
    )?;
    if family != Family::Bert {
        // RoBERTa counts positions from the one after that of padding.
        let first = settings.pad_token_id.unwrap_or(1) + 1;
        positions.drain(..(first * width).min(positions.len()));
    }
    for position in positions.chunks_exact_mut(width) {
        for (value, segment) in position.iter_mut().zip(&segments) {
            *value += segment;
        }
    }
    Ok(positions)
}

fn layer(weights: &Weights, prefix: &str, settings: &BertSettings) -> Result<Layer, EngineError> {
    let (width, inner) = (settings.hidden_size, settings.intermediate_size);
    let name = |rest: &str| format!("{prefix}{rest}");
    let norm = |rest: &str| weights.norm(&name(rest), width, settings.layer_norm_eps);
    let qkv = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
    Ok(Layer {
        qkv: weights.linear(&qkv, width, width)?,
        rope: None,
        sight: Sight::All,
        out: weights.linear(&[name("attention.output.dense")], width, width)?,
        attention_norm: Some(norm("attention.output.LayerNorm")?),
        up: weights.linear(&[name("intermediate.dense")], width, inner)?,
        gate: None,
        down: weights.linear(&[name("output.dense")], inner, width)?,
        feed_norm: norm("output.LayerNorm")?,
    })
}
