//! Tests of the kernels and of what drives them, without a card.

mod coded;
mod compile;
mod fit;
mod kernels;
mod points;
mod shim;
