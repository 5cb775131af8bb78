//! Types of stored numbers, in safetensors and in GGUF: how they are called, how long they are, what can be computed with.

/// A type of stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// As people write it.
    pub(crate) name: &'static str,
    /// Numbers in one block.
    pub(crate) block: u64,
    /// Bytes of one block.
    pub(crate) bytes: u64,
    /// Whether the engine can compute with it.
    pub(crate) is_known: bool,
}

const fn known(name: &'static str, block: u64, bytes: u64) -> Stored {
    Stored {
        name,
        block,
        bytes,
        is_known: true,
    }
}

const fn foreign(name: &'static str, block: u64, bytes: u64) -> Stored {
    Stored {
        is_known: false,
        ..known(name, block, bytes)
    }
}

impl Stored {
    /// Bytes of `n` numbers, which must be whole blocks; none when they are not or are too many.
    pub(crate) fn bytes_of(self, n: u64) -> Option<u64> {
        n.is_multiple_of(self.block)
            .then(|| (n / self.block).checked_mul(self.bytes))?
    }

    /// The type that GGUF gives this number (`enum ggml_type` in `ggml.h`).
    pub(crate) fn of_ggml(number: u32) -> Option<Self> {
        Some(match number {
            0 => known("F32", 1, 4),
            1 => known("F16", 1, 2),
            2 => known("Q4_0", 32, 18),
            3 => known("Q4_1", 32, 20),
            6 => known("Q5_0", 32, 22),
            7 => known("Q5_1", 32, 24),
            8 => known("Q8_0", 32, 34),
            9 => known("Q8_1", 32, 36),
            10 => known("Q2_K", 256, 84),
            11 => known("Q3_K", 256, 110),
            12 => known("Q4_K", 256, 144),
            13 => known("Q5_K", 256, 176),
            14 => known("Q6_K", 256, 210),
            15 => known("Q8_K", 256, 292),
            16 => foreign("IQ2_XXS", 256, 66),
            17 => foreign("IQ2_XS", 256, 74),
            18 => foreign("IQ3_XXS", 256, 98),
            19 => foreign("IQ1_S", 256, 50),
            20 => foreign("IQ4_NL", 32, 18),
            21 => foreign("IQ3_S", 256, 110),
            22 => foreign("IQ2_S", 256, 82),
            23 => foreign("IQ4_XS", 256, 136),
            24 => foreign("I8", 1, 1),
            25 => foreign("I16", 1, 2),
            26 => foreign("I32", 1, 4),
            27 => foreign("I64", 1, 8),
            28 => foreign("F64", 1, 8),
            29 => foreign("IQ1_M", 256, 56),
            30 => known("BF16", 1, 2),
            34 => foreign("TQ1_0", 256, 54),
            35 => foreign("TQ2_0", 256, 66),
            39 => foreign("MXFP4", 32, 17),
            _ => return None,
        })
    }

    /// The type that safetensors calls `name`.
    pub(crate) fn of_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F32" => known("F32", 1, 4),
            "F16" => known("F16", 1, 2),
            "BF16" => known("BF16", 1, 2),
            // Positions and masks, which some encoders keep with their weights.
            "I64" => known("I64", 1, 8),
            "U8" => known("U8", 1, 1),
            "BOOL" => known("BOOL", 1, 1),
            "F64" => foreign("F64", 1, 8),
            "U64" => foreign("U64", 1, 8),
            "I32" => foreign("I32", 1, 4),
            "U32" => foreign("U32", 1, 4),
            "I16" => foreign("I16", 1, 2),
            "U16" => foreign("U16", 1, 2),
            "I8" => foreign("I8", 1, 1),
            "F8_E4M3" => foreign("F8_E4M3", 1, 1),
            "F8_E5M2" => foreign("F8_E5M2", 1, 1),
            "F8_E8M0" => foreign("F8_E8M0", 1, 1),
            "F4" => foreign("F4", 2, 1),
            _ => return None,
        })
    }
}
