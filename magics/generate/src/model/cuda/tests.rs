//! The decoder for cards without a card: its kernels run on the processor.

mod compile;
mod kernels;
mod whole;

use std::path::Path;

use candle_core::Device;
use mlk8s_card::{Shim, Sources};

use super::Decoder;
use crate::error::GenerateError;
use crate::model::gguf::Gguf;
use crate::model::safetensors::Shards;
use crate::model::{Precision, config, gguf_config};

/// The kernels, for the processor.
static KERNELS: Sources = Sources::new(
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/cuda/shim/shim.cpp"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/cuda/kernels"),
);

/// The decoder of a directory.
pub(in crate::model) fn from_dir(dir: &Path, precision: Precision) -> Decoder {
    try_decoder(dir, precision, Shim::of(&KERNELS)).unwrap()
}

fn try_decoder(dir: &Path, precision: Precision, launcher: Shim) -> Result<Decoder, GenerateError> {
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let description = config::describe(&config, None)?;
    let shards = Shards::open(dir, &description)?;
    let launcher = Box::new(launcher);
    Decoder::new(
        description,
        &shards,
        precision,
        launcher,
        &Device::Cpu,
        &mut |_, _| {},
    )
}

/// The decoder of a GGUF file.
fn from_gguf(path: &Path, precision: Precision) -> Decoder {
    let gguf = Gguf::open(path).unwrap();
    let description = gguf_config::describe(&gguf, None).unwrap();
    let launcher = Box::new(Shim::of(&KERNELS));
    Decoder::new(
        description,
        &gguf,
        precision,
        launcher,
        &Device::Cpu,
        &mut |_, _| {},
    )
    .unwrap()
}
