//! `mlk8s-encoders-card`: checks the encoders on this machine's GPU against those on its processor, and times them.
//!
//! `check FOLDER` writes random models of every family there, in the sizes that people use, and compares vectors; `time
//! FOLDER` says how many texts a second become vectors with each, tokens and all. Both do so with all kernels: own ones with
//! products in TF32, which is what people get, and in single precision, and candle's operations. With `--on cpu` the processor takes the part of the GPU: a
//! rehearsal, for machines without one. Each result is a line of words between tabs.

mod check;
mod models;
mod time;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use mlk8s_engine::{Encoder, EngineError, GpuKernels};

/// What a kind of kernels is called in reports.
pub(crate) fn name(kernels: GpuKernels) -> &'static str {
    match kernels {
        GpuKernels::Tf32 => "tf32",
        GpuKernels::F32 => "f32",
        GpuKernels::Candle => "f32 by candle",
    }
}

/// Which kernels a model is tried with: candle's on the smallest alone, as they take long.
pub(crate) fn tried(model: &str) -> &'static [GpuKernels] {
    let all = &[GpuKernels::Tf32, GpuKernels::F32, GpuKernels::Candle];
    if model == "minilm" { all } else { &all[..2] }
}

/// There is no card.
const NO_CARD: u8 = 3;

/// Where the encoders run that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first GPU.
    Card,
    /// The processor, in a rehearsal.
    Processor,
}

impl Place {
    /// A model, there.
    pub(crate) fn load(self, folder: &Path, kernels: GpuKernels) -> Result<Encoder, EngineError> {
        let encoder = Encoder::load(folder)?;
        match self {
            Self::Card => encoder.on_gpu_by(0, kernels),
            Self::Processor => Ok(encoder),
        }
    }
}

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (command, folder, place) = match words[..] {
        [command, folder] => (command, Path::new(folder), Place::Card),
        [command, folder, "--on", "cpu"] => (command, Path::new(folder), Place::Processor),
        _ => return usage(&mut out),
    };
    if place == Place::Card
        && let Err(error) = mlk8s_engine::try_gpu(0)
    {
        tell(&mut out, &["unavailable", &error.to_string()]);
        return ExitCode::from(NO_CARD);
    }
    let done = match command {
        "check" => check::run(folder, place, &mut out),
        "time" => time::run(folder, place, &mut out).map(|()| true),
        _ => return usage(&mut out),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&mut out, &["error", &error.to_string()]);
            ExitCode::FAILURE
        }
    }
}

fn usage(out: &mut dyn Write) -> ExitCode {
    let words = "usage: mlk8s-encoders-card check|time FOLDER-WITH-3-GB [--on cpu]";
    tell(out, &["error", words]);
    ExitCode::FAILURE
}

/// What any part of this program can fail with.
type Failure = Box<dyn std::error::Error>;

/// Writes a line; nobody reads on where that fails.
fn tell(out: &mut dyn Write, words: &[&str]) {
    let line: Vec<String> = words
        .iter()
        .map(|word| word.replace(['\t', '\n'], " "))
        .collect();
    let _ = writeln!(out, "{}", line.join("\t"));
    let _ = out.flush();
}
