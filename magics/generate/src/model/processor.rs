//! The decoder on the processor: matrices in the order the kernels read them, a paged cache, and one step over packed rows.

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod build;
mod cache;
mod decoder;
mod dense;
mod kind;
mod layer;
mod matrix;
mod packed;
mod portable;
mod reader;
mod rows;
mod steps;
mod tile;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub(super) use decoder::Decoder;
