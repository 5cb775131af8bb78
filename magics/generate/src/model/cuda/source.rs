//! The kernels, and which of them a model needs.

use candle_core::DType;
use mlk8s_card::{BASE, Large, Program};

/// The sources, in the order in which they build on each other.
const PARTS: [(&str, &str); 5] = [
    BASE,
    ("rows.cu", include_str!("kernels/rows.cu")),
    ("heads.cu", include_str!("kernels/heads.cu")),
    ("attend.cu", include_str!("kernels/attend.cu")),
    ("tiles.cu", include_str!("kernels/tiles.cu")),
];
/// Kernels that every model gets.
const KERNELS: [&str; 12] = [
    "embed_f32",
    "embed_bf16",
    "add_norm_f32",
    "add_norm_bf16",
    "gate_f32",
    "gate_bf16",
    "place_f32",
    "place_bf16",
    "merge_f32",
    "merge_bf16",
    "angles",
    "cap_rows",
];
/// Sizes of heads for which there is a kernel for many rows.
const TILES: [usize; 5] = [16, 64, 96, 128, 256];
/// Query heads that a block of the kernel for single rows takes at most.
const MOST_HEADS: usize = 8;

/// What an element is called in the names of kernels.
pub(super) fn element(dtype: DType) -> &'static str {
    if dtype == DType::F32 { "f32" } else { "bf16" }
}

/// Query heads that a block of the kernel for single rows takes, of those that share a key-value head.
pub(super) fn heads_of_block(group: usize) -> usize {
    group.next_power_of_two().min(MOST_HEADS)
}

/// The kernel for single rows.
pub(super) fn attend(dtype: DType, dim: usize, group: usize) -> String {
    let (element, lanes, heads) = (element(dtype), of_lane(dim), heads_of_block(group));
    format!("attend_{element}_{lanes}_{heads}")
}

/// Dimensions that a lane sums.
fn of_lane(dim: usize) -> usize {
    match dim {
        0..=64 => 2,
        65..=128 => 4,
        _ => 8,
    }
}

/// The kernel for many rows, where there is one.
pub(super) fn tiles(dtype: DType, dim: usize) -> Option<Large> {
    (dtype == DType::BF16 && TILES.contains(&dim)).then(|| {
        let (row, page) = (dim / 8, crate::forward::PAGE);
        Large {
            kernel: format!("tiles_{dim}"),
            shared: 16 * (64 * (row + 1) + 2 * page * (row + row + 1)),
        }
    })
}

/// The kernels of a model with such elements and heads.
pub(super) fn program(dtype: DType, dim: usize, group: usize) -> Program {
    let (element, lanes, heads) = (element(dtype), of_lane(dim), heads_of_block(group));
    let mut own = vec![format!("ATTEND({element}, {lanes}, {heads})\n")];
    let mut kernels: Vec<String> = KERNELS.map(str::to_owned).to_vec();
    kernels.push(attend(dtype, dim, group));
    let large = tiles(dtype, dim);
    if let Some(tiles) = &large {
        own.push(format!("TILES({dim})\n"));
        kernels.push(tiles.kernel.clone());
    }
    let own = own.concat();
    let mut parts = PARTS.to_vec();
    parts.push(("model.cu", &own));
    Program::new(&parts, kernels, large)
}
