//! Which vector instructions a decoder on the processor is computed with.

use pulp::Arch;

/// Vector instructions of processors; each step has all that the steps before it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What every processor of its kind has.
    Portable,
    /// AVX2 with FMA and F16C, as most household machines have it (Haswell of 2013, Zen, and newer).
    Avx2,
    /// AVX-512 for numbers in single precision, AVX2 for quantised ones (Skylake's servers).
    Avx512,
    /// AVX-512 with VNNI (Cascade Lake, Zen 4, and newer).
    Vnni,
}

impl Instructions {
    /// All of them, from the slowest to the fastest.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Vnni];

    /// Their name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Vnni => "vnni",
        }
    }

    /// Whether this processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => pulp::x86::V3::is_available() && is_x86_feature_detected!("f16c"),
            Self::Avx512 => Self::Avx2.available() && pulp::x86::V4::is_available(),
            Self::Vnni => Self::Avx512.available() && is_x86_feature_detected!("avx512vnni"),
        }
    }

    /// Whether this processor has them.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn available(self) -> bool {
        self == Self::Portable
    }
}

/// Instructions that this processor has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Available(Instructions);

impl Available {
    /// The instructions, if this processor has them.
    pub(super) fn new(instructions: Instructions) -> Option<Self> {
        instructions.available().then_some(Self(instructions))
    }

    /// The fastest.
    pub(super) fn fastest() -> Self {
        let fastest = Instructions::ALL.into_iter().rev().find_map(Self::new);
        fastest.unwrap_or(Self(Instructions::Portable))
    }

    /// All, from the slowest to the fastest.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Instructions::ALL.into_iter().filter_map(Self::new)
    }

    /// Which they are.
    pub(super) fn which(self) -> Instructions {
        self.0
    }

    /// For code that is written once and compiled for each width.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn arch(self) -> Arch {
        match self.0 {
            Instructions::Portable => Arch::Scalar,
            Instructions::Avx2 => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
            Instructions::Avx512 | Instructions::Vnni => Arch::new(),
        }
    }

    /// For code that is written once and compiled for each width.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn arch(self) -> Arch {
        Arch::new()
    }
}
