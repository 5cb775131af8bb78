//! What can go wrong with a model, and what to do about it.

use std::path::PathBuf;

/// Why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file or directory could not be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file that a model needs is not in its directory.
    #[error("`{}` has no `{file}`", directory.display())]
    Missing {
        /// The model's directory.
        directory: PathBuf,
        /// The file that is not there.
        file: String,
    },
    /// The directory holds a kind of model that this engine cannot run.
    #[error("cannot run a model of type `{model_type}` from `{}`", directory.display())]
    NotServed {
        /// The model's directory.
        directory: PathBuf,
        /// Its type, as its settings name it; empty when they don't.
        model_type: String,
        /// The types that can be run.
        served: &'static str,
    },
    /// A setting has a value that makes no sense here, or that the engine cannot follow.
    #[error("`{}` has an unusable `{field}`: {what}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        field: String,
        /// Its value, or what is wrong with it.
        what: String,
    },
    /// A file is not the JSON it should be.
    #[error("cannot understand `{}`: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why reading it failed.
        source: serde_json::Error,
    },
    /// A file of weights is damaged.
    #[error("weights `{}` are damaged: {what}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A tensor that the model needs is not among its weights.
    #[error("weights `{}` have no tensor `{name}`", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor has another shape than the settings say.
    #[error("tensor `{name}` of `{}` has shape {found:?}, and its settings ask for {wanted:?}", path.display())]
    Shape {
        /// The file of weights.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape it has.
        found: Vec<usize>,
        /// The shape it should have.
        wanted: Vec<usize>,
    },
    /// A tokenizer could not be read or failed on a text.
    #[error("tokenizer `{}` failed: {what}", path.display())]
    Tokenizer {
        /// The file of the tokenizer.
        path: PathBuf,
        /// What it said.
        what: String,
    },
    /// An image could not be decoded.
    #[error("cannot decode image `{}`: {what}", path.display())]
    Image {
        /// The image's file.
        path: PathBuf,
        /// What the decoder said.
        what: String,
    },
    /// One of several pictures could not be decoded.
    #[error("cannot decode picture {number}: {what}")]
    Picture {
        /// Its number among those that were given, from 0.
        number: usize,
        /// What the decoder said.
        what: String,
    },
    /// Images were given to a model that only reads texts.
    #[error("model `{name}` cannot read images")]
    NoImages {
        /// The model.
        name: String,
    },
    /// There is no GPU that can be used.
    #[error("GPU {number} cannot be used: {what}")]
    NoGpu {
        /// Its number.
        number: usize,
        /// What the driver said.
        what: String,
    },
    /// The GPU failed while it worked.
    #[error("the GPU failed: {what}")]
    Device {
        /// What it said.
        what: String,
    },
    /// The work was stopped.
    #[error("the work was stopped")]
    Cancelled,
}

impl EngineError {
    /// What to do next; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => "does it exist, and may this user read it?".to_owned(),
            Self::Missing { file, .. } if file.ends_with(".safetensors") => {
                "only weights in safetensors format are read: save the model with `safe_serialization=True`"
                    .to_owned()
            }
            Self::Missing { .. } | Self::Json { .. } | Self::Weights { .. } => {
                "is this a complete model directory? Download it again, or give its path".to_owned()
            }
            Self::NotServed { served, .. } => format!("these types can be run: {served}"),
            Self::Setting { .. } | Self::Tensor { .. } | Self::Shape { .. } => {
                "do the weights and the settings belong to the same model?".to_owned()
            }
            Self::Tokenizer { .. } => "does the tokenizer belong to this model?".to_owned(),
            Self::Image { .. } | Self::Picture { .. } => "PNG, JPEG and WebP are read".to_owned(),
            Self::NoImages { .. } => "use a CLIP model for images".to_owned(),
            Self::NoGpu { .. } => "the processor does it, too; `nvidia-smi` shows which GPUs there are".to_owned(),
            Self::Device { .. } => "is its memory full? Fewer or shorter texts need less".to_owned(),
            Self::Cancelled => String::new(),
        }
    }
}
