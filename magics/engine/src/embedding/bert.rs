//! BERT (Devlin et al. 2019) and its relatives with the same layers: `RoBERTa` and `XLM-RoBERTa`.

use std::path::Path;

use super::Family;
use super::settings::{BertSettings, read_json, unusable};
use super::weights::Weights;
use crate::compute::{Activation, Heads, Layer, LayerNorm, NormOrder, Scratch, Stack, Stopped};
use crate::error::EngineError;

/// An encoder of token ids.
pub(super) struct Bert {
    /// vocabulary × width.
    words: Vec<f32>,
    /// Positions × width, the embedding of the only segment added.
    positions: Vec<f32>,
    norm: LayerNorm,
    stack: Stack,
}

impl Bert {
    /// Reads settings and weights of a model directory.
    pub(super) fn open(
        directory: &Path,
        family: Family,
        weights: &Weights,
    ) -> Result<Self, EngineError> {
        let path = directory.join("config.json");
        let settings: BertSettings = read_json(&path)?;
        let activation = check(&path, &settings)?;
        let width = settings.hidden_size;
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| weights.has(&format!("{prefix}embeddings.word_embeddings.weight")))
            .unwrap_or_default();
        let name = |rest: &str| format!("{prefix}embeddings.{rest}");
        let words = weights.tensor(
            &name("word_embeddings.weight"),
            &[settings.vocab_size, width],
        )?;
        let layers = (0..settings.num_hidden_layers)
            .map(|i| layer(weights, &format!("{prefix}encoder.layer.{i}."), &settings))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            words,
            positions: positions(weights, prefix, family, &settings)?,
            norm: weights.norm(&name("LayerNorm"), width, settings.layer_norm_eps)?,
            stack: Stack {
                layers,
                heads: Heads {
                    n: settings.num_attention_heads,
                    dim: width / settings.num_attention_heads,
                    causal: false,
                },
                order: NormOrder::After,
                activation,
            },
        })
    }

    /// Values of one token.
    pub(super) fn width(&self) -> usize {
        self.stack.width()
    }

    /// Number of ids it knows.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.len() / self.width()
    }

    /// Longest sequence it can take.
    pub(super) fn n_positions(&self) -> usize {
        self.positions.len() / self.width()
    }

    /// Bytes of memory that it takes.
    pub(super) fn n_bytes(&self) -> usize {
        4 * (self.words.len() + self.positions.len()) + self.norm.n_bytes() + self.stack.n_bytes()
    }

    /// The last layer's vectors of all tokens, one sequence after the other, into `x`.
    pub(super) fn run(
        &self,
        sequences: &[&[u32]],
        x: &mut Vec<f32>,
        scratch: &mut Scratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let width = self.width();
        x.clear();
        for ids in sequences {
            for (id, position) in ids.iter().zip(self.positions.chunks_exact(width)) {
                let word = &self.words[*id as usize * width..][..width];
                x.extend(word.iter().zip(position).map(|(a, b)| a + b));
            }
        }
        self.norm.apply(x);
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        self.stack.run(x, &lengths, scratch, stop)
    }
}

fn check(path: &Path, settings: &BertSettings) -> Result<Activation, EngineError> {
    let heads = settings.num_attention_heads;
    if heads == 0 || settings.hidden_size == 0 || !settings.hidden_size.is_multiple_of(heads) {
        let what = format!("{heads} heads cannot share {}", settings.hidden_size);
        return Err(unusable(path, "num_attention_heads", what));
    }
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
        out: weights.linear(&[name("attention.output.dense")], width, width)?,
        attention_norm: norm("attention.output.LayerNorm")?,
        up: weights.linear(&[name("intermediate.dense")], width, inner)?,
        down: weights.linear(&[name("output.dense")], inner, width)?,
        feed_norm: norm("output.LayerNorm")?,
    })
}
