//! A model from its files: configuration and weights become a decoder, and the tokenizer comes with it.

mod batch;
mod config;
#[cfg(any(test, feature = "cuda"))]
mod cuda;
mod description;
mod gguf;
mod gguf_config;
mod gguf_header;
mod gguf_tokenizer;
mod instructions;
mod processor;
mod safetensors;
mod weights;

use std::path::Path;

use crate::error::GenerateError;
use crate::forward::Forward;
use crate::text::{Special, Text};
#[cfg(feature = "cuda")]
pub use cuda::gpu;
use description::Description;
use gguf::Gguf;
use instructions::Available;
pub use instructions::Instructions;
use processor::Decoder;
use safetensors::{Shards, unreadable};
use weights::Source;

/// In which numbers the weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As stored; on the processor bf16 and f16 become f32, on a GPU f32 and f16 become bf16.
    Stored,
    /// 32 bits, quantised weights included.
    F32,
    /// 16 bits, on a GPU, quantised weights included; on the processor as `Stored`.
    Bf16,
    /// Eight bits in blocks of 32; embeddings that are not the head, and norms, stay as they are.
    Q8_0,
    /// About 4.5 bits in blocks of 256, or `Q8_0` where rows are no whole blocks; the rest as for `Q8_0`.
    Q4K,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
}

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// In which numbers the weights are kept.
    pub precision: Precision,
    /// Where the model runs.
    pub device: Device,
    /// What the processor computes with; `None` for the fastest that it has.
    pub instructions: Option<Instructions>,
    /// Most tokens of a sequence, if fewer than the model allows.
    pub context: Option<usize>,
}

/// A model that is ready to run.
pub struct Loaded {
    /// The decoder.
    pub model: Box<dyn Forward>,
    /// Its tokenizer and chat template.
    pub text: Text,
    /// What it is.
    pub summary: Summary,
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Architecture, as the files name it.
    pub architecture: String,
    /// Weights, those that are used twice counted once.
    pub n_parameters: u64,
    /// In which numbers the matrices are kept.
    pub precision: String,
    /// Bytes of the weights on the device.
    pub bytes: u64,
}

/// Loads a model: a directory with `config.json`, `*.safetensors` and `tokenizer.json`, or a `.gguf` file.
///
/// `progress` is told the bytes read so far, and all bytes. Nothing is allocated by a number in a file that the file's size
/// does not bear out.
pub fn load(
    path: &Path,
    settings: &LoadSettings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Loaded, GenerateError> {
    if path.is_dir() {
        let config = path.join("config.json");
        let config =
            std::fs::read_to_string(&config).map_err(|error| unreadable(&config, &error))?;
        let description = config::describe(&config, settings.context)?;
        let shards = Shards::open(path, &description)?;
        let text = Text::read(path)?;
        let (model, summary) = build(description, &shards, settings, progress)?;
        return Ok(Loaded {
            model,
            text,
            summary,
        });
    }
    let gguf = Gguf::open(path)?;
    let description = gguf_config::describe(&gguf, settings.context)?;
    let text = Text::from_tokenizer(gguf_tokenizer::tokenizer(&gguf)?, special(&gguf));
    let (model, summary) = build(description, &gguf, settings, progress)?;
    Ok(Loaded {
        model,
        text,
        summary,
    })
}

/// Builds the decoder for the device.
fn build(
    description: Description,
    source: &dyn Source,
    settings: &LoadSettings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Box<dyn Forward>, Summary), GenerateError> {
    let architecture = description.architecture.clone();
    match settings.device {
        Device::Cpu => {
            let with = match settings.instructions {
                None => Available::fastest(),
                Some(instructions) => Available::new(instructions)
                    .ok_or(GenerateError::Instructions { instructions })?,
            };
            let decoder = Decoder::new(description, source, settings.precision, with, progress)?;
            let summary = Summary {
                architecture,
                n_parameters: decoder.n_parameters(),
                precision: decoder.precision(),
                bytes: decoder.n_bytes(),
            };
            Ok((Box::new(decoder), summary))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(number) => {
            let precision = settings.precision;
            let decoder = cuda::load(number, description, source, precision, progress)?;
            let summary = Summary {
                architecture,
                n_parameters: decoder.n_parameters(),
                precision: decoder.precision(),
                bytes: decoder.n_bytes(),
            };
            Ok((Box::new(decoder), summary))
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(number) => Err(GenerateError::Gpu {
            number,
            reason: "this program is the one for processors".to_owned(),
        }),
    }
}

/// The special tokens and the chat template of a GGUF file.
fn special(gguf: &Gguf) -> Special {
    let number = |key: &str| gguf.number(key).map(|id| id as u32);
    let bos = number("tokenizer.ggml.bos_token_id");
    let eos = number("tokenizer.ggml.eos_token_id");
    let token = |id: Option<u32>| gguf_config::token(gguf, id?);
    Special {
        bos,
        eos: gguf_config::ends(gguf),
        add_bos: gguf.switch("tokenizer.ggml.add_bos_token").unwrap_or(
            // Files of SentencePiece tokenizers leave out what is true for all of them.
            gguf.text("tokenizer.ggml.model") == Some("llama"),
        ),
        chat_template: gguf.text("tokenizer.chat_template").map(str::to_owned),
        bos_token: token(bos).unwrap_or_default(),
        eos_token: token(eos).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
