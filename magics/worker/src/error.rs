//! What keeps a worker from serving, and what to do about it.

use std::io;
use std::path::PathBuf;

use mlk8s_engine::EngineError;
use mlk8s_generate::GenerateError;
use mlk8s_models::ModelsError;

/// Why a worker cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file could not be read or written.
    #[error("cannot open `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The keys make no sense.
    #[error("keys in `{origin}`{}: {reason}", at(*.line))]
    Keys {
        /// Where they are from.
        origin: String,
        /// The line, from 1; 0 for the whole.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The server would be open to everybody who reaches this machine.
    #[error("`{host}` is reachable from other machines, and no key is set")]
    Open {
        /// The address to listen at.
        host: String,
    },
    /// The address is not to be had.
    #[error("cannot listen at `{address}`: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The base path cannot be one.
    #[error("unusable base path: `{path}`")]
    BasePath {
        /// The path.
        path: String,
    },
    /// There is no model at this place.
    #[error("no model at `{place}`")]
    NoModel {
        /// What was asked for.
        place: String,
    },
    /// A model of the hub or of a bucket could not be fetched.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// Threads or signals could not be set up.
    #[error("cannot set up the process: {source}")]
    Process {
        /// What the operating system said.
        source: io::Error,
    },
    /// A model that writes could not be loaded.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// An encoder could not be loaded.
    #[error(transparent)]
    Encoder(#[from] EngineError),
    /// Loading ended in a panic.
    #[error("loading the model failed: {reason}")]
    Panic {
        /// What the panic said.
        reason: String,
    },
}

impl WorkerError {
    /// What to do next; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => "does it exist, and may this user use it?".to_owned(),
            Self::Keys { .. } => "a line is `KEY [NAME] [interactive|batch]`".to_owned(),
            Self::Open { .. } => {
                "give keys with `--key-file` or `MLK8S_WORKER_KEY`, or say `--open`".to_owned()
            }
            Self::Listen { .. } => {
                "`--port 0` takes a free port; `--host 127.0.0.1` is always there".to_owned()
            }
            Self::BasePath { .. } => "a base path looks like `/openai`".to_owned(),
            Self::NoModel { .. } => {
                "give a directory with `config.json`, or a `.gguf` file".to_owned()
            }
            Self::Encoder(error) => error.hint(),
            Self::Models(error) => error.hint().unwrap_or_default(),
            Self::Generate(error) => of_model(error).to_owned(),
            Self::Panic { .. } => {
                "one of the model's files may be damaged: fetch it again".to_owned()
            }
            Self::Process { .. } => String::new(),
        }
    }
}

/// What to do about a model that writes and cannot be loaded.
fn of_model(error: &GenerateError) -> &'static str {
    match error {
        GenerateError::Truncated { .. } => "fetch the file again: not all of it is there",
        GenerateError::Io { .. } | GenerateError::Tokenizer { .. } => {
            "a model is a directory with config.json, tokenizer.json and *.safetensors, or a .gguf file"
        }
        GenerateError::Config { .. } | GenerateError::Tensor { .. } => {
            "config.json and the weights must be of the same model: fetch it again"
        }
        GenerateError::OutOfMemory { .. } => {
            "`--precision q8_0` or `q4k`, a smaller `--context`, `--cache-bytes` or fewer `--slots` need less"
        }
        GenerateError::Gpu { .. } => {
            "`--device cpu` goes without; `nvidia-smi` shows which GPUs there are, `cargo devbox build cuda` builds the \
             program for them"
        }
        GenerateError::Instructions { .. } => "without `--instructions` the fastest are taken",
        GenerateError::CacheTooSmall { .. } => "give more `--cache-bytes`, or fewer `--slots`",
        GenerateError::Unsupported { .. } => {
            "look for the model in another version, or for a similar one"
        }
        _ => "",
    }
}

fn at(line: usize) -> String {
    if line == 0 {
        String::new()
    } else {
        format!(", line {line}")
    }
}
