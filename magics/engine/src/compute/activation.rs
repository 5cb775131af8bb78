//! The functions between the two products of a feed-forward layer, on whole vectors.
#![expect(
    clippy::inline_always,
    reason = "vector code must be inlined where the instruction set is known"
)]

use mlk8s_lanes::{gelu, gelu_tanh, quick_gelu, silu};
use pulp::Simd;

/// What a feed-forward layer does to each value between its two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x·Φ(x) with the normal distribution's own function, through erf.
    Gelu,
    /// GELU with tanh in place of erf.
    GeluTanh,
    /// x·σ(1.702·x).
    QuickGelu,
    /// x·σ(x).
    Silu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// The activation that a `hidden_act` setting names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "quick_gelu" => Some(Self::QuickGelu),
            "silu" | "swish" => Some(Self::Silu),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    /// Applies the function to each lane.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        match self {
            Self::Gelu => gelu(simd, x),
            Self::GeluTanh => gelu_tanh(simd, x),
            Self::QuickGelu => quick_gelu(simd, x),
            Self::Silu => silu(simd, x),
            Self::Relu => simd.max_f32s(x, simd.splat_f32s(0.0)),
        }
    }
}
