//! The metadata of a GGUF file become a description.

use super::config::long_scale;
use super::description::{Activation, Description, Rope, unsupported};
use super::gguf::{Gguf, number};
use super::weights::model;
use crate::error::GenerateError;

/// The decoder that a file describes, for sequences of at most `context` tokens (the model's own limit, if none).
pub(super) fn describe(gguf: &Gguf, context: Option<usize>) -> Result<Description, GenerateError> {
    let architecture = gguf.text("general.architecture").unwrap_or("unknown");
    if !["llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"].contains(&architecture) {
        return Err(unsupported(architecture));
    }
    let metadata = Metadata { gguf, architecture };
    let gemma = architecture.starts_with("gemma");
    let hidden = metadata.count("embedding_length")?;
    let n_heads = metadata.count("attention.head_count")?;
    let n_layers = metadata.count("block_count")?;
    if n_layers > 1 << 12 {
        return Err(wrong(format!("number of layers: {n_layers}")));
    }
    let head_dim = match metadata.number("attention.key_length") {
        Some(length) => length as usize,
        None => hidden / n_heads.max(1),
    };
    let embedding = gguf.tensor("token_embd.weight")?;
    let embedding =
        embedding.ok_or_else(|| model("tensor `token_embd.weight` is missing".to_owned()))?;
    let own = metadata.count("context_length")?;
    let context = context.map_or(own, |wanted| wanted.min(own));
    // The largest Gemma of each generation divides its scores by another number.
    let largest = (architecture == "gemma2" && n_layers == 46)
        || (architecture == "gemma3" && n_layers == 62);
    let scored = if largest {
        hidden / n_heads.max(1)
    } else {
        head_dim
    };
    let described = Description {
        architecture: architecture.to_owned(),
        vocabulary: embedding.shape.first().copied().unwrap_or(0),
        hidden,
        intermediate: metadata.count("feed_forward_length")?,
        n_heads,
        n_kv_heads: metadata
            .number("attention.head_count_kv")
            .map_or(n_heads, |n| n as usize),
        head_dim,
        context,
        epsilon: metadata
            .number("attention.layer_norm_rms_epsilon")
            .unwrap_or(1e-6) as f32,
        // Files of this format have the 1 in the weights already.
        norm_from_one: false,
        activation: if gemma {
            Activation::GeluTanh
        } else {
            Activation::Silu
        },
        head_norms: matches!(architecture, "qwen3" | "gemma3"),
        post_norms: gemma,
        fused: architecture == "phi3",
        tied: gguf.tensor("output.weight")?.is_none(),
        embedding_scale: if gemma { (hidden as f32).sqrt() } else { 1.0 },
        attention_scale: 1.0 / (scored as f32).sqrt(),
        attention_cap: metadata
            .number("attn_logit_softcapping")
            .map(|cap| cap as f32),
        logit_cap: metadata
            .number("final_logit_softcapping")
            .map(|cap| cap as f32),
        rope: metadata.rope(head_dim, context)?,
        local_rope: (architecture == "gemma3").then(|| Rope::new(1e4, head_dim)),
        windows: metadata.windows(n_layers),
    };
    described.checked()
}

fn wrong(reason: String) -> GenerateError {
    GenerateError::Config { reason }
}

/// The metadata of one architecture.
struct Metadata<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
}

impl Metadata<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        self.gguf.number(&format!("{}.{key}", self.architecture))
    }

    fn count(&self, key: &str) -> Result<usize, GenerateError> {
        let number = self.number(key).filter(|number| *number >= 0.0);
        number.map(|number| number as usize).ok_or_else(|| {
            wrong(format!(
                "`{}.{key}` is missing in the file's metadata",
                self.architecture
            ))
        })
    }

    /// Which layers see only a window.
    fn windows(&self, n_layers: usize) -> Vec<Option<usize>> {
        let window = self
            .number("attention.sliding_window")
            .map(|window| window as usize)
            .filter(|window| *window > 0);
        let in_window = |layer: usize| match self.architecture {
            "gemma2" => layer.is_multiple_of(2),
            "gemma3" => !(layer + 1).is_multiple_of(6),
            "phi3" => true,
            _ => false,
        };
        (0..n_layers)
            .map(|layer| window.filter(|_| in_window(layer)))
            .collect()
    }

    fn rope(&self, head_dim: usize, context: usize) -> Result<Rope, GenerateError> {
        let base = self
            .number("rope.freq_base")
            .unwrap_or(if self.architecture == "gemma3" {
                1e6
            } else {
                1e4
            });
        let dims = self
            .number("rope.dimension_count")
            .map_or(head_dim, |dims| dims as usize)
            / 2
            * 2;
        if dims == 0 || dims > head_dim || !(base.is_finite() && base > 0.0) {
            return Err(wrong(format!(
                "rotary positions of base {base} in {dims} of {head_dim} values"
            )));
        }
        let mut rope = Rope::new(base, dims);
        rope.interleaved = self.architecture == "llama";
        let original = self
            .number("rope.scaling.original_context_length")
            .map(|length| length as usize);
        let key = format!("{}.rope.scaling.type", self.architecture);
        match self.gguf.text(&key) {
            // The factors of `longrope` are a tensor.
            None | Some("none" | "longrope") => {}
            Some("linear") => {
                let factor = self
                    .number("rope.scaling.factor")
                    .filter(|factor| *factor > 0.0);
                rope = rope.stretched(factor.unwrap_or(1.0) as f32);
            }
            Some(other) => return Err(wrong(format!("rope scaling `{other}` is not supported"))),
        }
        if let Some(factors) = self.gguf.tensor("rope_freqs.weight")? {
            rope = rope.stretched_by(&factors.values()?)?;
        }
        let long = original.is_some_and(|original| context > original);
        let name = if long {
            "rope_factors_long.weight"
        } else {
            "rope_factors_short.weight"
        };
        if let Some(factors) = self.gguf.tensor(name)? {
            rope = rope.stretched_by(&factors.values()?)?;
            let own = self.number("context_length").unwrap_or_default() as f32;
            let original = original.unwrap_or(4096);
            let computed = long_scale(own / original.max(2) as f32, original);
            rope.scale = self
                .number("rope.scaling.attn_factor")
                .map_or(computed, |factor| factor as f32);
        }
        Ok(rope)
    }
}

/// The tokens that end a text: those that the metadata name, and those with the names of an end of turn.
pub(super) fn ends(gguf: &Gguf) -> Vec<u32> {
    const NAMES: [&str; 6] = [
        "<|im_end|>",
        "<|eot_id|>",
        "<|end|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "<|end_of_text|>",
    ];
    let keys = [
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id",
    ];
    let mut ends: Vec<u32> = keys
        .iter()
        .filter_map(|key| gguf.number(key))
        .map(|id| id as u32)
        .collect();
    let tokens = gguf.list("tokenizer.ggml.tokens").unwrap_or_default();
    let kinds = gguf.list("tokenizer.ggml.token_type").unwrap_or_default();
    for (id, token) in tokens.iter().enumerate() {
        let named = matches!(token, candle_core::quantized::gguf_file::Value::String(name) if NAMES.contains(&name.as_str()));
        let control = kinds
            .get(id)
            .and_then(number)
            .is_none_or(|kind| (kind - 3.0).abs() < 0.5);
        if named && control && !ends.contains(&(id as u32)) {
            ends.push(id as u32);
        }
    }
    ends
}

/// The text of a token.
pub(super) fn token(gguf: &Gguf, id: u32) -> Option<String> {
    match gguf.list("tokenizer.ggml.tokens")?.get(id as usize)? {
        candle_core::quantized::gguf_file::Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
