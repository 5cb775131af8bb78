//! The kernels must compile for real cards; see [`mlk8s_card::compiled_for_cards`].

use candle_core::DType;
use mlk8s_card::{Program, compiled_for_cards, resources};

use super::super::source;

/// The kernels of models of all kinds of heads.
fn programs() -> Vec<Program> {
    let bf16 = [(64, 7), (96, 1), (128, 4), (256, 2), (80, 5)];
    let bf16 = bf16.map(|(dim, group)| source::program(DType::BF16, dim, group));
    let f32 = source::program(DType::F32, 128, 4);
    bf16.into_iter().chain([f32]).collect()
}

#[test]
fn the_log_of_the_assembler_is_read() {
    let log = "ptxas info    : Compiling entry function 'embed_f32' for 'sm_90a'\n\
               ptxas         .     8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads\n\
               ptxas info    : Used 128 registers, used 1 barriers, 16896 bytes smem, 424 bytes cmem[0]\n";
    assert_eq!(resources(log), [("embed_f32".to_owned(), 16_896, 12)]);
}

#[test]
fn the_kernels_compile_for_cards_and_fit_on_them() {
    compiled_for_cards(&programs());
}
