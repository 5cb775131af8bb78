//! One description of all decoders served here: what differs between families is a setting of it.

use crate::error::GenerateError;

/// Architectures that can be served, as `config.json` or GGUF names them.
pub(super) const SUPPORTED: &str = "Llama, Mistral, Qwen2, Qwen3, Phi3, Gemma2, Gemma3 (text)";

/// A decoder of pre-normalised layers with grouped attention, rotary positions and a gated feed-forward part.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a difference between families"
)]
pub(super) struct Description {
    /// Its name in the model's files.
    pub(super) architecture: String,
    pub(super) vocabulary: usize,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    pub(super) head_dim: usize,
    /// Most tokens of a sequence.
    pub(super) context: usize,
    pub(super) epsilon: f32,
    /// Whether norms multiply by 1 + weight (Gemma's safetensors).
    pub(super) norm_from_one: bool,
    pub(super) activation: Activation,
    /// Whether queries and keys are normalised, head by head.
    pub(super) head_norms: bool,
    /// Whether attention and feed-forward are normalised behind as well (Gemma 2 and 3).
    pub(super) post_norms: bool,
    /// Whether query, key and value are one matrix, and gate and up too (Phi-3).
    pub(super) fused: bool,
    /// Whether the head is the table of embeddings.
    pub(super) tied: bool,
    /// Factor of the embeddings.
    pub(super) embedding_scale: f32,
    /// Factor of the scores.
    pub(super) attention_scale: f32,
    /// Scores s become c·tanh(s/c).
    pub(super) attention_cap: Option<f32>,
    /// Likewise the logits.
    pub(super) logit_cap: Option<f32>,
    /// Rotary positions of the layers that see everything.
    pub(super) rope: Rope,
    /// Those of the layers with a window, where they differ (Gemma 3).
    pub(super) local_rope: Option<Rope>,
    /// For each layer how many tokens it sees back, itself included; all, if none.
    pub(super) windows: Vec<Option<usize>>,
}

/// The function between gate and product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// x·σ(x).
    Silu,
    /// GELU through tanh.
    GeluTanh,
}

/// Rotary positions (Su et al. 2021).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rope {
    /// Angle of one position, for each pair of values.
    pub(super) frequencies: Vec<f32>,
    /// Factor of sine and cosine (long contexts of Phi-3).
    pub(super) scale: f32,
    /// Whether pairs are neighbours (GGUF of the Llama family), not halves.
    pub(super) interleaved: bool,
}

impl Rope {
    /// Frequencies `base^(-2i/dims)`.
    pub(super) fn new(base: f64, dims: usize) -> Self {
        let frequency = |i: usize| 1.0 / base.powf(2.0 * i as f64 / dims as f64) as f32;
        Self {
            frequencies: (0..dims / 2).map(frequency).collect(),
            scale: 1.0,
            interleaved: false,
        }
    }

    /// Stretches all positions.
    pub(super) fn stretched(mut self, factor: f32) -> Self {
        self.frequencies
            .iter_mut()
            .for_each(|frequency| *frequency /= factor);
        self
    }

    /// Stretches each frequency by a factor of its own.
    pub(super) fn stretched_by(mut self, factors: &[f32]) -> Result<Self, GenerateError> {
        if factors.len() != self.frequencies.len() {
            let reason = format!(
                "{} factors of rotary positions, not {}",
                factors.len(),
                self.frequencies.len()
            );
            return Err(GenerateError::Config { reason });
        }
        self.frequencies
            .iter_mut()
            .zip(factors)
            .for_each(|(frequency, factor)| *frequency /= factor);
        Ok(self)
    }

    /// Stretches long waves only, and those between somewhat (Llama 3.1).
    pub(super) fn llama3(mut self, factor: f32, low: f32, high: f32, original: usize) -> Self {
        for frequency in &mut self.frequencies {
            let wave = 2.0 * std::f32::consts::PI / *frequency;
            if wave < original as f32 / high {
                continue;
            }
            if wave > original as f32 / low {
                *frequency /= factor;
                continue;
            }
            let smooth = (original as f32 / wave - low) / (high - low);
            *frequency = (1.0 - smooth) * *frequency / factor + smooth * *frequency;
        }
        self
    }
}

impl Description {
    /// Refuses numbers that no decoder has, before anything is computed from them.
    pub(super) fn checked(self) -> Result<Self, GenerateError> {
        const MOST: usize = 1 << 24;
        let numbers = [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("intermediate size", self.intermediate),
            ("number of heads", self.n_heads),
            ("number of key-value heads", self.n_kv_heads),
            ("size of a head", self.head_dim),
            ("context", self.context),
            ("number of layers", self.windows.len()),
        ];
        for (what, number) in numbers {
            if number == 0 || number > MOST {
                return Err(GenerateError::Config {
                    reason: format!("{what}: {number}"),
                });
            }
        }
        let wrong = if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            format!(
                "{} heads don't share {} key-value heads",
                self.n_heads, self.n_kv_heads
            )
        } else if !self.head_dim.is_multiple_of(2)
            || self.rope.frequencies.len() * 2 > self.head_dim
        {
            format!(
                "{} rotary pairs in heads of {}",
                self.rope.frequencies.len(),
                self.head_dim
            )
        } else if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            format!("epsilon of the norms: {}", self.epsilon)
        } else if self.windows.contains(&Some(0)) {
            "a window of no tokens".to_owned()
        } else {
            return Ok(self);
        };
        Err(GenerateError::Config { reason: wrong })
    }
}

/// An architecture that is not known here.
pub(super) fn unsupported(architecture: &str) -> GenerateError {
    GenerateError::Unsupported {
        architecture: architecture.to_owned(),
        supported: SUPPORTED.to_owned(),
    }
}
