//! What a model needs of the memory of a device, and what could be done when that is too much.

use std::fmt;

use crate::card::{Card, Kind, Shares};

/// Tokens in one page of the engine's cache.
const PAGE: usize = 32;
/// Tokens of a step of the engine when it reads prompts.
const STEP: usize = 512;
/// The shortest context that is suggested.
const LEAST_CONTEXT: usize = 1024;

/// How the weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As stored; on the processor, halves become 32-bit numbers.
    Stored,
    /// In 32 bits.
    F32,
    /// In 16 bits.
    Bf16,
    /// Matrices in blocks of 8.5 bits a number.
    Q8_0,
    /// Matrices in blocks of 4.5 bits a number.
    Q4K,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "stored",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
        })
    }
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor: everything that is not quantised is in 32 bits.
    Processor,
    /// A GPU: the cache, and beside quantised matrices the rest, is in 16 bits.
    Gpu,
}

/// How a model is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How the weights are kept.
    pub precision: Precision,
    /// Tokens of one sequence.
    pub context: usize,
    /// Sequences of that length that the cache holds at once.
    pub sequences: usize,
    /// What computes.
    pub device: Device,
}

/// Bytes that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its weights.
    pub weights: u64,
    /// Keys and values of its sequences.
    pub cache: u64,
    /// The largest tensors of one step; an estimate.
    pub working: u64,
    /// All together.
    pub total: u64,
    /// What this is for.
    pub plan: Plan,
    sizes: Sizes,
}

/// What a need is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    shares: Shares,
    stored: u64,
    /// Numbers in the keys and values of one token; zero where nothing is cached.
    cached: u64,
    /// Numbers in the tensors of one token in one step.
    row: u64,
    heads: u64,
    vocabulary: u64,
}

/// Another way to load the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion {
    /// How.
    pub plan: Plan,
    /// Bytes that it needs then.
    pub bytes: u64,
}

/// Whether a model fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// Not so, but in these ways, the best first.
    Suggest(Vec<Suggestion>),
    /// In no way.
    TooLarge,
}

impl Need {
    /// Computes what `card` needs under `plan`.
    pub fn of(card: &Card, plan: Plan) -> Self {
        let [
            layers,
            hidden,
            intermediate,
            heads,
            kv_heads,
            head_dim,
            vocabulary,
        ] = [
            card.n_layers,
            card.hidden,
            card.intermediate,
            card.n_heads,
            card.n_kv_heads,
            card.head_dim,
            card.vocabulary,
        ]
        .map(|n| n as u64);
        let is_decoder = matches!(card.kind, Kind::Decoder | Kind::Unsupported { .. });
        let states = heads
            .saturating_add(kv_heads.saturating_mul(2))
            .saturating_mul(head_dim);
        let sizes = Sizes {
            shares: card.shares,
            stored: card.weight_bytes,
            cached: if is_decoder {
                layers
                    .saturating_mul(2)
                    .saturating_mul(kv_heads)
                    .saturating_mul(head_dim)
            } else {
                0
            },
            row: hidden
                .saturating_mul(4)
                .saturating_add(intermediate.saturating_mul(3))
                .saturating_add(states),
            heads,
            vocabulary: if is_decoder { vocabulary } else { 0 },
        };
        sizes.need(plan)
    }
}

/// Whether `need` is met by `free` bytes, and what could be done if not: other precisions, then fewer sequences, then a
/// shorter context, then the smallest precision with the most of both that fits.
pub fn fits(need: &Need, free: u64) -> Fit {
    if need.total <= free {
        return Fit::Fits;
    }
    let plan = need.plan;
    let way = |plan: Plan| {
        let bytes = need.sizes.need(plan).total;
        (bytes <= free).then_some(Suggestion { plan, bytes })
    };
    let smaller = need.sizes.smaller(plan);
    let mut ways: Vec<Suggestion> = smaller
        .iter()
        .filter_map(|precision| {
            way(Plan {
                precision: *precision,
                ..plan
            })
        })
        .collect();
    ways.extend(shorter(plan).into_iter().find_map(way));
    if ways.is_empty() {
        for precision in smaller {
            ways.extend(
                shorter(Plan { precision, ..plan })
                    .into_iter()
                    .find_map(way),
            );
        }
    }
    if ways.is_empty() {
        Fit::TooLarge
    } else {
        Fit::Suggest(ways)
    }
}

/// The plan with fewer sequences and shorter contexts, by halves, the largest first.
fn shorter(plan: Plan) -> Vec<Plan> {
    let mut out = Vec::new();
    let (mut context, mut sequences) = (plan.context, plan.sequences);
    loop {
        if sequences > 1 {
            sequences /= 2;
        } else if context / 2 >= LEAST_CONTEXT {
            context = (context / 2).next_multiple_of(PAGE);
        } else {
            return out;
        }
        out.push(Plan {
            context,
            sequences,
            ..plan
        });
    }
}

impl Sizes {
    fn need(&self, plan: Plan) -> Need {
        let weights = self.weights(plan);
        let wide = match plan.device {
            Device::Processor => 4,
            Device::Gpu => 2,
        };
        let context = plan.context.next_multiple_of(PAGE) as u64;
        let sequences = plan.sequences as u64;
        let tokens = context.saturating_mul(sequences);
        let cache = tokens.saturating_mul(self.cached).saturating_mul(wide);
        let rows = if self.cached > 0 {
            (STEP as u64 + sequences).min(tokens.max(1))
        } else {
            tokens
        };
        // Encoders keep the scores of one sequence at a time; decoders read pages and keep none.
        let scores = if self.cached > 0 {
            0
        } else {
            self.heads.saturating_mul(context).saturating_mul(context)
        };
        // Logits, and what sampling makes of them, are in 32 bits everywhere.
        let logits = sequences.saturating_mul(self.vocabulary).saturating_mul(8);
        let working = rows
            .saturating_mul(self.row)
            .saturating_add(scores)
            .saturating_mul(4)
            .saturating_add(logits);
        Need {
            weights,
            cache,
            working,
            total: weights.saturating_add(cache).saturating_add(working),
            plan,
            sizes: *self,
        }
    }

    fn weights(&self, plan: Plan) -> u64 {
        let shares = &self.shares;
        let all = shares.embeddings + shares.matrices + shares.rest;
        let wide = match plan.device {
            Device::Processor => 4,
            Device::Gpu => 2,
        };
        let blocks = |n: u64, bytes: u64, block: u64| n.div_ceil(block).saturating_mul(bytes);
        let quantised = |bytes, block| {
            // A tied table is looked up as it is and multiplied with in blocks.
            (shares.embeddings + shares.rest).saturating_mul(wide)
                + blocks(shares.matrices, bytes, block)
                + blocks(shares.tied, bytes, block)
        };
        match (plan.precision, plan.device) {
            // The table of tokens is unpacked for being looked up.
            (Precision::Stored, _) if shares.is_gguf => self
                .stored
                .saturating_add(shares.embeddings.saturating_mul(4)),
            (Precision::Stored, Device::Gpu) => self.stored,
            (Precision::Stored, Device::Processor) | (Precision::F32, _) => all.saturating_mul(4),
            (Precision::Bf16, _) => all.saturating_mul(2),
            (Precision::Q8_0, _) => quantised(34, 32),
            (Precision::Q4K, _) => quantised(144, 256),
        }
    }

    /// Precisions in which the weights take less, the most exact first; what is quantised already stays as it is.
    fn smaller(&self, plan: Plan) -> Vec<Precision> {
        if self.shares.is_gguf {
            return Vec::new();
        }
        let bytes = |precision| self.weights(Plan { precision, ..plan });
        let now = bytes(plan.precision);
        let ways: &[Precision] = match plan.device {
            Device::Processor => &[Precision::Q8_0, Precision::Q4K],
            Device::Gpu => &[Precision::Bf16, Precision::Q8_0, Precision::Q4K],
        };
        ways.iter()
            .copied()
            .filter(|precision| bytes(*precision) < now)
            .collect()
    }
}

#[cfg(test)]
mod tests;
