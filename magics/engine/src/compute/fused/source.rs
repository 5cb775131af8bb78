//! The kernels of encoders.

use mlk8s_card::{BASE, Program};

/// The sources, in the order in which they build on each other.
const PARTS: [(&str, &str); 3] = [
    BASE,
    ("rows.cu", include_str!("kernels/rows.cu")),
    ("attend.cu", include_str!("kernels/attend.cu")),
];
/// Kernels that every model gets.
const KERNELS: [&str; 5] = ["embed", "add_norm", "activate", "mean", "pick"];
/// Dimensions of a head at most, and where factors are cut in two, which takes twice the registers.
const MOST_DIMS: usize = 128;
const MOST_EXACT: usize = 96;

/// The kernel of attention for heads of `dim` values; `exact` where factors must not be rounded.
pub(super) fn attend(dim: usize, exact: bool) -> String {
    format!("attend_{dim}_{}", u8::from(exact))
}

/// The kernels of a model with such heads.
pub(super) fn program(dim: usize, exact: bool) -> Program {
    let own = format!("ATTEND({dim}, {})\n", u8::from(exact));
    let mut parts = PARTS.to_vec();
    parts.push(("model.cu", &own));
    let kernels = KERNELS.into_iter().map(str::to_owned);
    let kernels = kernels.chain([attend(dim, exact)]).collect();
    Program::new(&parts, kernels, None)
}

/// Whether the kernels take heads of `dim` values, and rows of such lengths.
pub(super) fn suits(dim: usize, exact: bool, rows: &[usize]) -> bool {
    let most = if exact { MOST_EXACT } else { MOST_DIMS };
    dim > 0 && dim.is_multiple_of(8) && dim <= most && rows.iter().all(|row| row.is_multiple_of(4))
}
