//! `config.json`, as the Hugging Face hub has it, becomes a description.

use serde::Deserialize;
use serde_json::Value;

use super::description::{Activation, Description, Rope, unsupported};
use crate::error::GenerateError;

/// The settings that matter here; other ones are ignored.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    tie_word_embeddings: Option<bool>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    hidden_activation: Option<String>,
    hidden_act: Option<String>,
}

/// Families that differ in more than numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Phi3,
    Gemma2,
    Gemma3,
}

impl Family {
    fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "llama" => Some(Self::Llama),
            "mistral" => Some(Self::Mistral),
            "qwen2" => Some(Self::Qwen2),
            "qwen3" => Some(Self::Qwen3),
            "phi3" => Some(Self::Phi3),
            "gemma2" => Some(Self::Gemma2),
            "gemma3" | "gemma3_text" => Some(Self::Gemma3),
            _ => None,
        }
    }

    fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }
}

/// The decoder that a `config.json` describes, for sequences of at most `context` tokens (the model's own limit, if none).
pub(super) fn describe(config: &str, context: Option<usize>) -> Result<Description, GenerateError> {
    let mut value: Value =
        serde_json::from_str(config).map_err(|error| wrong(error.to_string()))?;
    let named = |value: &Value| {
        value
            .get("model_type")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    // Models that also see have the decoder's settings inside.
    if let Some(inner) = value.get_mut("text_config").map(Value::take)
        && inner.is_object()
    {
        let outer = named(&value);
        value = inner;
        if named(&value).is_none() {
            value["model_type"] = outer.into();
        }
    }
    let architecture = named(&value).unwrap_or_default();
    let Some(family) = Family::of(&architecture) else {
        let first = value
            .pointer("/architectures/0")
            .and_then(Value::as_str)
            .unwrap_or("unknown");
        return Err(unsupported(if architecture.is_empty() {
            first
        } else {
            &architecture
        }));
    };
    let config: Config = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    config.describe(family, context)
}

fn wrong(reason: impl Into<String>) -> GenerateError {
    GenerateError::Config {
        reason: reason.into(),
    }
}

impl Config {
    fn describe(
        &self,
        family: Family,
        context: Option<usize>,
    ) -> Result<Description, GenerateError> {
        let heads = self.num_attention_heads.max(1);
        let head_dim = self.head_dim.unwrap_or(if family.is_gemma() {
            256
        } else {
            self.hidden_size / heads
        });
        let own = self.max_position_embeddings.unwrap_or(8192);
        let context = context.map_or(own, |wanted| wanted.min(own));
        let scalar = self.query_pre_attn_scalar.filter(|_| family.is_gemma());
        let (rope, local_rope) = self.ropes(family, head_dim, context)?;
        let name = self
            .model_type
            .clone()
            .or_else(|| self.architectures.as_ref()?.first().cloned());
        let described = Description {
            architecture: name.unwrap_or_default(),
            vocabulary: self.vocab_size,
            hidden: self.hidden_size,
            intermediate: self.intermediate_size,
            n_heads: self.num_attention_heads,
            n_kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim,
            context,
            epsilon: self.rms_norm_eps.unwrap_or(1e-6) as f32,
            norm_from_one: family.is_gemma(),
            activation: self.activation(family)?,
            head_norms: matches!(family, Family::Qwen3 | Family::Gemma3),
            post_norms: family.is_gemma(),
            fused: family == Family::Phi3,
            tied: self.tie_word_embeddings.unwrap_or(family.is_gemma()),
            embedding_scale: if family.is_gemma() {
                (self.hidden_size as f32).sqrt()
            } else {
                1.0
            },
            attention_scale: 1.0 / scalar.unwrap_or(head_dim as f64).sqrt() as f32,
            attention_cap: self.attn_logit_softcapping.map(|cap| cap as f32),
            logit_cap: self.final_logit_softcapping.map(|cap| cap as f32),
            rope,
            local_rope,
            windows: self.windows(family)?,
        };
        described.checked()
    }

    fn activation(&self, family: Family) -> Result<Activation, GenerateError> {
        let default = if family.is_gemma() {
            "gelu_pytorch_tanh"
        } else {
            "silu"
        };
        let name = self
            .hidden_activation
            .as_deref()
            .or(self.hidden_act.as_deref())
            .unwrap_or(default);
        match name {
            "silu" | "swish" => Ok(Activation::Silu),
            // Gemma's old files say `gelu` and mean this one.
            "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
            "gelu" if family.is_gemma() => Ok(Activation::GeluTanh),
            other => Err(wrong(format!("activation `{other}`"))),
        }
    }

    /// Which layers see only a window.
    fn windows(&self, family: Family) -> Result<Vec<Option<usize>>, GenerateError> {
        let n = self.num_hidden_layers;
        if n > 1 << 12 {
            return Err(wrong(format!("number of layers: {n}")));
        }
        if let Some(types) = &self.layer_types {
            if types.len() != n {
                return Err(wrong(format!("{} types of {n} layers", types.len())));
            }
            let window = |name: &String| {
                if name == "sliding_attention" {
                    self.sliding_window
                } else {
                    None
                }
            };
            return Ok(types.iter().map(window).collect());
        }
        let window = |layer: usize| match family {
            Family::Llama => None,
            Family::Qwen2 | Family::Qwen3 => {
                let after = self.max_window_layers.unwrap_or(0);
                self.sliding_window
                    .filter(|_| self.use_sliding_window == Some(true) && layer >= after)
            }
            Family::Mistral | Family::Phi3 => self.sliding_window,
            Family::Gemma2 => {
                Some(self.sliding_window.unwrap_or(4096)).filter(|_| layer.is_multiple_of(2))
            }
            Family::Gemma3 => {
                let pattern = self.sliding_window_pattern.unwrap_or(6).max(1);
                Some(self.sliding_window.unwrap_or(4096))
                    .filter(|_| !(layer + 1).is_multiple_of(pattern))
            }
        };
        Ok((0..n).map(window).collect())
    }

    /// Rotary positions of layers that see everything, and of those with a window.
    fn ropes(
        &self,
        family: Family,
        head_dim: usize,
        context: usize,
    ) -> Result<(Rope, Option<Rope>), GenerateError> {
        let default = match family {
            Family::Gemma3 => 1e6,
            _ => 1e4,
        };
        let parameters = self.rope_parameters.as_ref();
        let full = parameters
            .and_then(|all| all.get("full_attention"))
            .or(parameters);
        let number = |value: Option<&Value>, key: &str| {
            value
                .and_then(|value| value.get(key))
                .and_then(Value::as_f64)
        };
        let base = self
            .rope_theta
            .or_else(|| number(full, "rope_theta"))
            .unwrap_or(default);
        let share = self
            .partial_rotary_factor
            .or_else(|| number(full, "partial_rotary_factor"))
            .unwrap_or(1.0);
        let dims = (head_dim as f64 * share.clamp(0.0, 1.0)) as usize / 2 * 2;
        if dims == 0 || !(base.is_finite() && base > 0.0) {
            return Err(wrong(format!(
                "rotary positions of base {base} in {dims} values"
            )));
        }
        let rope = Rope::new(base, dims);
        let rope = match self.rope_scaling.as_ref().or(full) {
            Some(scaling) if !scaling.is_null() => self.scaled(rope, scaling, context)?,
            _ => rope,
        };
        let local = parameters.and_then(|all| all.get("sliding_attention"));
        let local = self
            .rope_local_base_freq
            .or_else(|| number(local, "rope_theta"));
        let local = (family == Family::Gemma3).then(|| Rope::new(local.unwrap_or(1e4), head_dim));
        Ok((rope, local))
    }

    fn scaled(&self, rope: Rope, scaling: &Value, context: usize) -> Result<Rope, GenerateError> {
        let kind = ["rope_type", "type"]
            .iter()
            .find_map(|key| scaling.get(key)?.as_str())
            .unwrap_or("default");
        let number = |key: &str| {
            let number = scaling
                .get(key)
                .and_then(Value::as_f64)
                .filter(|number| *number > 0.0);
            number.ok_or_else(|| wrong(format!("rope scaling `{kind}` without `{key}`")))
        };
        match kind {
            "default" => Ok(rope),
            "linear" => Ok(rope.stretched(number("factor")? as f32)),
            "llama3" => Ok(rope.llama3(
                number("factor")? as f32,
                number("low_freq_factor")? as f32,
                number("high_freq_factor")? as f32,
                number("original_max_position_embeddings")? as usize,
            )),
            "longrope" | "su" => {
                let original = match self.original_max_position_embeddings {
                    Some(original) => original,
                    None => number("original_max_position_embeddings")? as usize,
                };
                let key = if context > original {
                    "long_factor"
                } else {
                    "short_factor"
                };
                let factors: Option<Vec<f32>> = scaling
                    .get(key)
                    .and_then(|value| serde_json::from_value(value.clone()).ok());
                let factors = factors
                    .ok_or_else(|| wrong(format!("rope scaling `{kind}` without `{key}`")))?;
                let stretch = self.max_position_embeddings.unwrap_or(original) as f32
                    / original.max(2) as f32;
                let mut rope = rope.stretched_by(&factors)?;
                rope.scale = long_scale(stretch, original);
                Ok(rope)
            }
            other => Err(wrong(format!("rope scaling `{other}` is not supported"))),
        }
    }
}

/// By how much sine and cosine grow when a context is `stretch` times the original one (Phi-3).
pub(super) fn long_scale(stretch: f32, original: usize) -> f32 {
    if stretch <= 1.0 {
        return 1.0;
    }
    (1.0 + stretch.ln() / (original.max(2) as f32).ln()).sqrt()
}
