//! What the JSON files of a model directory say.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Pooling;
use crate::error::EngineError;

/// The first look at `config.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    /// The family of models, in the words of its makers.
    #[serde(default)]
    pub(super) model_type: String,
    /// Where the model came from.
    #[serde(default, rename = "_name_or_path")]
    pub(super) origin: String,
}

/// `config.json` of BERT and its relatives.
#[derive(Debug, Deserialize)]
pub(super) struct BertSettings {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    #[serde(default = "two")]
    pub(super) type_vocab_size: usize,
    #[serde(default = "gelu")]
    pub(super) hidden_act: String,
    #[serde(default = "tiny")]
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    pub(super) pad_token_id: Option<usize>,
    #[serde(default)]
    pub(super) position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn tiny() -> f64 {
    1e-12
}

/// How the vectors of a text's tokens become one, and how long a text may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentenceSettings {
    pub(super) pooling: Pooling,
    pub(super) normalise: bool,
    pub(super) lowercase: bool,
    pub(super) max_tokens: usize,
    /// What is put before every text.
    pub(super) prompt: String,
}

#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limits {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenizerLimits {
    /// A float, because "no limit" is written as 1e30.
    model_max_length: Option<f64>,
}

/// The ways of pooling that sentence-transformers knows, by the names of its switches; newer files give one name instead.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the file is written with these switches"
)]
struct PoolingSwitches {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
    pooling_mode: Option<Value>,
    include_prompt: Option<bool>,
}

/// `config_sentence_transformers.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: Option<BTreeMap<String, String>>,
    default_prompt_name: Option<String>,
}

impl SentenceSettings {
    /// Reads the files that sentence-transformers writes; without them a text is the mean of its tokens.
    pub(super) fn read(directory: &Path, n_positions: usize) -> Result<Self, EngineError> {
        let path = directory.join("modules.json");
        let modules: Vec<Module> = read_json_if_there(&path)?.unwrap_or_default();
        let mut pooling_path = directory.join("1_Pooling");
        let mut transformer_path = directory.to_owned();
        let mut normalise = false;
        for module in modules {
            match module.r#type.rsplit('.').next().unwrap_or_default() {
                "Transformer" => transformer_path = directory.join(module.path),
                "Pooling" => pooling_path = directory.join(module.path),
                "Normalize" => normalise = true,
                other => {
                    return Err(unusable(
                        &path,
                        "type",
                        format!("module `{other}` is not served"),
                    ));
                }
            }
        }
        let limits: Limits =
            read_json_if_there(&transformer_path.join("sentence_bert_config.json"))?
                .unwrap_or_default();
        let tokenizer: TokenizerLimits =
            read_json_if_there(&directory.join("tokenizer_config.json"))?.unwrap_or_default();
        let longest = limits
            .max_seq_length
            .or(tokenizer.model_max_length.map(|most| most as usize))
            .unwrap_or(n_positions);
        let prompt = prompt(&directory.join("config_sentence_transformers.json"))?;
        let pooling_path = pooling_path.join("config.json");
        let switches: Option<PoolingSwitches> = read_json_if_there(&pooling_path)?;
        let counted = switches
            .as_ref()
            .and_then(|switches| switches.include_prompt);
        if !prompt.is_empty() && counted == Some(false) {
            let what = "false, and a prompt always counts".to_owned();
            return Err(unusable(&pooling_path, "include_prompt", what));
        }
        Ok(Self {
            pooling: switches.map_or(Ok(Pooling::Mean), |switches| {
                pooling(&pooling_path, &switches)
            })?,
            normalise,
            lowercase: limits.do_lower_case,
            max_tokens: longest.min(n_positions),
            prompt,
        })
    }
}

/// The prompt that is put before every text unless somebody chooses another; mostly empty.
fn prompt(path: &Path) -> Result<String, EngineError> {
    let prompts: Prompts = read_json_if_there(path)?.unwrap_or_default();
    let Some(name) = prompts.default_prompt_name else {
        return Ok(String::new());
    };
    let prompt = prompts.prompts.and_then(|mut all| all.remove(&name));
    prompt.ok_or_else(|| {
        let what = format!("there is no prompt `{name}`");
        unusable(path, "default_prompt_name", what)
    })
}

fn pooling(path: &Path, switches: &PoolingSwitches) -> Result<Pooling, EngineError> {
    if let Some(mode) = &switches.pooling_mode {
        let one = mode.as_array().filter(|modes| modes.len() == 1);
        return match one.map_or(mode, |modes| &modes[0]).as_str() {
            Some("mean") => Ok(Pooling::Mean),
            Some("cls") => Ok(Pooling::Cls),
            _ => Err(unusable(path, "pooling_mode", format!("{mode}"))),
        };
    }
    let unserved = [
        ("pooling_mode_max_tokens", switches.pooling_mode_max_tokens),
        (
            "pooling_mode_mean_sqrt_len_tokens",
            switches.pooling_mode_mean_sqrt_len_tokens,
        ),
        (
            "pooling_mode_weightedmean_tokens",
            switches.pooling_mode_weightedmean_tokens,
        ),
        ("pooling_mode_lasttoken", switches.pooling_mode_lasttoken),
    ];
    if let Some((field, _)) = unserved.iter().find(|(_, on)| *on) {
        let what = "only the mean and the first token are served".to_owned();
        return Err(unusable(path, field, what));
    }
    match (
        switches.pooling_mode_mean_tokens,
        switches.pooling_mode_cls_token,
    ) {
        (true, false) => Ok(Pooling::Mean),
        (false, true) => Ok(Pooling::Cls),
        _ => Err(unusable(
            path,
            "pooling_mode_mean_tokens",
            "exactly one way of pooling must be switched on".to_owned(),
        )),
    }
}

/// An error about one setting of a file.
pub(super) fn unusable(path: &Path, field: &str, what: String) -> EngineError {
    EngineError::Setting {
        path: path.to_owned(),
        field: field.to_owned(),
        what,
    }
}

/// Reads a JSON file that must be there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, EngineError> {
    let found = read_json_if_there(path)?;
    found.ok_or_else(|| EngineError::Missing {
        directory: path.parent().map(PathBuf::from).unwrap_or_default(),
        file: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    })
}

/// Reads a JSON file; `None` when there is none.
pub(super) fn read_json_if_there<T: DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, EngineError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(EngineError::File {
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| EngineError::Json {
            path: path.to_owned(),
            source,
        })
}
