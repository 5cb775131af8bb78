//! What a model is, from the headers of its files: nothing of its weights is read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::configuration::Configuration;
use crate::error::ModelsError;
use crate::family::{Family, unsupported};
use crate::files::{Files, ModelFile};
use crate::gguf::{self, Header};
use crate::safetensors::{self, Tensor};

/// The longest description of a model that is read.
const LONGEST: u64 = 64 << 20;

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// As it was asked for.
    pub name: String,
    /// Class in `config.json`, or `general.architecture` of a GGUF file.
    pub architecture: String,
    /// What it is good for.
    pub kind: Kind,
    /// The family's name, or the architecture where the family is not served.
    pub family: String,
    /// Numbers in its weights.
    pub n_parameters: u64,
    /// The type that most of them are stored in: `BF16`, `Q4_K`.
    pub stored: String,
    /// Bytes of its weights as stored.
    pub weight_bytes: u64,
    /// Layers.
    pub n_layers: usize,
    /// Length of a hidden state.
    pub hidden: usize,
    /// Length between the two products of a feed-forward layer.
    pub intermediate: usize,
    /// Heads of queries.
    pub n_heads: usize,
    /// Heads of keys and values.
    pub n_kv_heads: usize,
    /// Length of one head.
    pub head_dim: usize,
    /// Tokens in its vocabulary.
    pub vocabulary: usize,
    /// Tokens that it was made to read at once.
    pub context: usize,
    /// Whether it says how a conversation is written.
    pub has_chat_template: bool,
    /// How the states of tokens become one vector of the text, where it says so.
    pub pooling: Option<Pooling>,
    /// Its licence, where it says so.
    pub licence: Option<String>,
    pub(crate) shares: Shares,
}

/// What a model is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It writes text.
    Decoder,
    /// It makes vectors of texts.
    TextEncoder,
    /// It makes vectors of texts and of images.
    Clip,
    /// The engine cannot run it.
    Unsupported {
        /// What it is, and what could be run.
        what: String,
    },
}

/// How the states of tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first.
    First,
    /// That of the last.
    Last,
}

/// How the numbers of a model divide into those that are treated alike at loading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Tables that are looked up.
    pub(crate) embeddings: u64,
    /// Matrices that are multiplied with.
    pub(crate) matrices: u64,
    /// Norms and biases.
    pub(crate) rest: u64,
    /// Numbers of the token table that are multiplied with at the end too.
    pub(crate) tied: u64,
    pub(crate) is_gguf: bool,
}

impl Card {
    /// Reads the headers; fails when one is damaged or says too little, with the file and what is wrong.
    pub fn read(files: &Files) -> Result<Self, ModelsError> {
        let mut card = if files.path.is_dir() {
            Self::of_directory(files)?
        } else {
            Self::of_gguf(files)?
        };
        if let Kind::Decoder = card.kind
            && card.shares.embeddings == 0
        {
            card.kind = Kind::Unsupported {
                what: "a model without a table of tokens".to_owned(),
            };
        }
        Ok(card)
    }

    fn of_directory(files: &Files) -> Result<Self, ModelsError> {
        let path = files.path.join("config.json");
        let config = json(&path)?;
        let pooling = pooling(files)?;
        let (architecture, kind, family) = known(&config, files.get("modules.json").is_some());
        let is_served = !matches!(kind, Kind::Unsupported { .. });
        let configuration = Configuration::of_json(&path, &config, is_served)?;
        let mut tensors = Vec::new();
        for file in files.weights() {
            tensors.extend(safetensors::read(&file.path)?);
        }
        let mut card = Self::new(
            files,
            architecture,
            kind,
            family,
            configuration,
            &tensors,
            false,
        );
        card.has_chat_template = has_chat_template(files)?;
        card.pooling = pooling;
        card.licence = files.get("README.md").and_then(|file| licence(&file.path));
        Ok(card)
    }

    fn of_gguf(files: &Files) -> Result<Self, ModelsError> {
        let header = gguf::read(&files.path)?;
        let architecture = header.text("general.architecture").ok_or_else(|| {
            ModelsError::damaged(&files.path, "it does not say `general.architecture`")
        })?;
        let family = Family::of_gguf(architecture);
        let n_parts = header.number("split.count").unwrap_or(1);
        let kind = if n_parts > 1 {
            Kind::Unsupported {
                what: format!(
                    "one of {n_parts} parts of a GGUF file; join them with `llama-gguf-split --merge`"
                ),
            }
        } else {
            family.map_or_else(
                || unsupported(architecture, true),
                |family| family.kind(false),
            )
        };
        let is_served = !matches!(kind, Kind::Unsupported { .. });
        let configuration = Configuration::of_gguf(&files.path, &header, is_served)?;
        let architecture = architecture.to_owned();
        let family = family.map_or(architecture.clone(), |family| family.name.to_owned());
        let mut card = Self::new(
            files,
            architecture,
            kind,
            family,
            configuration,
            &header.tensors,
            true,
        );
        card.has_chat_template = header.metadata.contains_key("tokenizer.chat_template");
        card.licence = header.text("general.license").map(str::to_owned);
        card.pooling = gguf_pooling(&header);
        Ok(card)
    }

    fn new(
        files: &Files,
        architecture: String,
        kind: Kind,
        family: String,
        configuration: Configuration,
        tensors: &[Tensor],
        is_gguf: bool,
    ) -> Self {
        let mut by_type: BTreeMap<&str, u64> = BTreeMap::new();
        let mut foreign = None;
        for tensor in tensors {
            *by_type.entry(tensor.stored.name).or_default() += tensor.n_parameters;
            foreign = foreign.or((!tensor.stored.is_known).then_some(tensor));
        }
        let most = by_type.iter().max_by_key(|(_, n)| **n);
        let shares = Shares::of(tensors, is_gguf);
        let kind = match foreign {
            Some(tensor) if !matches!(kind, Kind::Unsupported { .. }) => Kind::Unsupported {
                what: format!("weights of type {} (`{}`)", tensor.stored.name, tensor.name),
            },
            _ => kind,
        };
        Self {
            name: files.name.clone(),
            architecture,
            kind,
            family,
            n_parameters: shares.embeddings + shares.matrices + shares.rest,
            stored: most.map_or("nothing", |(name, _)| name).to_owned(),
            weight_bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            n_layers: configuration.n_layers,
            hidden: configuration.hidden,
            intermediate: configuration.intermediate,
            n_heads: configuration.n_heads,
            n_kv_heads: configuration.n_kv_heads,
            head_dim: configuration.head_dim,
            vocabulary: configuration.vocabulary,
            context: configuration.context,
            has_chat_template: false,
            pooling: None,
            licence: None,
            shares,
        }
    }
}

impl Shares {
    fn of(tensors: &[Tensor], is_gguf: bool) -> Self {
        let mut shares = Self {
            is_gguf,
            ..Self::default()
        };
        let mut table = 0;
        let mut has_head = false;
        // Positions and masks are no parameters.
        let numbers = tensors
            .iter()
            .filter(|tensor| !matches!(tensor.stored.name, "I64" | "U8" | "BOOL"));
        for tensor in numbers {
            let name = tensor.name.as_str();
            has_head |= matches!(name, "lm_head.weight" | "output.weight");
            if name.contains("embed") || name.contains("token_embd") || name.contains(".wte.") {
                shares.embeddings += tensor.n_parameters;
                if name.contains("embed_tokens") || name.contains("token_embd") {
                    table = tensor.n_parameters;
                }
            } else if tensor.shape.len() >= 2 {
                shares.matrices += tensor.n_parameters;
            } else {
                shares.rest += tensor.n_parameters;
            }
        }
        shares.tied = if has_head { 0 } else { table };
        shares
    }
}

/// Architecture, kind and family by `config.json`.
pub(crate) fn known(config: &Value, has_pooling: bool) -> (String, Kind, String) {
    let class = config["architectures"][0].as_str();
    let model_type = config["model_type"].as_str().unwrap_or_default();
    let architecture = class.unwrap_or(model_type).to_owned();
    let family = Family::of_config(class, model_type);
    let method = &config["quantization_config"];
    let kind = if method.is_object() {
        let method = method["quant_method"]
            .as_str()
            .unwrap_or("an unknown method");
        Kind::Unsupported {
            what: format!(
                "weights quantised with {method}; take the unquantised model, or a GGUF file of it"
            ),
        }
    } else {
        family.map_or_else(
            || unsupported(&architecture, false),
            |family| family.kind(has_pooling),
        )
    };
    let family = family.map_or(architecture.clone(), |family| family.name.to_owned());
    (architecture, kind, family)
}

pub(crate) fn json(path: &Path) -> Result<Value, ModelsError> {
    let failed = |source| ModelsError::file(path, source);
    if fs::metadata(path).map_err(failed)?.len() > LONGEST {
        return Err(ModelsError::damaged(
            path,
            "it is too long for a description",
        ));
    }
    let text = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| ModelsError::damaged(path, error.to_string()))
}

fn optional(file: Option<&ModelFile>) -> Result<Value, ModelsError> {
    file.map_or(Ok(Value::Null), |file| json(&file.path))
}

fn has_chat_template(files: &Files) -> Result<bool, ModelsError> {
    let is_there = ["chat_template.jinja", "chat_template.json"]
        .iter()
        .any(|name| files.get(name).is_some());
    Ok(is_there || !optional(files.get("tokenizer_config.json"))?["chat_template"].is_null())
}

fn pooling(files: &Files) -> Result<Option<Pooling>, ModelsError> {
    let config = optional(files.get("1_Pooling/config.json"))?;
    let is_on = |name: &str, word: &str| {
        config[name].as_bool() == Some(true) || config["pooling_mode"] == *word
    };
    Ok(if is_on("pooling_mode_mean_tokens", "mean") {
        Some(Pooling::Mean)
    } else if is_on("pooling_mode_cls_token", "cls") {
        Some(Pooling::First)
    } else if is_on("pooling_mode_lasttoken", "lasttoken") {
        Some(Pooling::Last)
    } else {
        None
    })
}

/// `enum llama_pooling_type` in `llama.h`.
fn gguf_pooling(header: &Header) -> Option<Pooling> {
    let architecture = header.text("general.architecture")?;
    match header.number(&format!("{architecture}.pooling_type"))? {
        1 => Some(Pooling::Mean),
        2 => Some(Pooling::First),
        3 => Some(Pooling::Last),
        _ => None,
    }
}

/// The licence in the lines between `---` at the top of a README.
fn licence(readme: &Path) -> Option<String> {
    let text = fs::read_to_string(readme).ok()?;
    let top = text.strip_prefix("---")?.split("\n---").next()?;
    let value = |name: &str| {
        let line = top
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let value = line.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    };
    match value("license") {
        Some(other) if other == "other" => value("license_name").or(Some(other)),
        found => found,
    }
}

#[cfg(test)]
mod tests;
