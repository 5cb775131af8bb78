//! What the files beside a tokenizer say about special tokens and the chat template.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::Special;
use crate::GenerateError;

/// Reads it all; files that are absent say nothing.
pub(super) fn special(directory: &Path, tokenizer: &Tokenizer) -> Result<Special, GenerateError> {
    let settings = json(directory, "tokenizer_config.json")?;
    let map = json(directory, "special_tokens_map.json")?;
    let config = json(directory, "config.json")?;
    let generation = json(directory, "generation_config.json")?;
    let token = |name: &str| content(&settings[name]).or_else(|| content(&map[name]));
    let (bos_token, eos_token) = (token("bos_token"), token("eos_token"));
    let id = |name: &Option<String>| name.as_deref().and_then(|name| tokenizer.token_to_id(name));

    let mut eos: Vec<u32> = id(&eos_token).into_iter().collect();
    for from in [&config, &generation] {
        eos.extend(ids(&from["eos_token_id"]));
        // Models that also see images keep the text's settings apart.
        eos.extend(ids(&from["text_config"]["eos_token_id"]));
    }
    Ok(Special {
        bos: id(&bos_token).or_else(|| ids(&config["bos_token_id"]).first().copied()),
        eos,
        add_bos: settings["add_bos_token"] == true,
        chat_template: chat_template(directory, &settings)?,
        bos_token: bos_token.unwrap_or_default(),
        eos_token: eos_token.unwrap_or_default(),
    })
}

/// The template in its own file, or the one among the tokenizer's settings: a text, or several with names.
fn chat_template(directory: &Path, settings: &Value) -> Result<Option<String>, GenerateError> {
    if let Some(source) = text(directory, "chat_template.jinja")? {
        return Ok(Some(source));
    }
    let own = json(directory, "chat_template.json")?;
    let template = match &own["chat_template"] {
        Value::Null => &settings["chat_template"],
        own => own,
    };
    if let Some(several) = template.as_array() {
        let default = several.iter().find(|entry| entry["name"] == "default");
        let chosen = default.or_else(|| several.first());
        return Ok(chosen
            .and_then(|entry| entry["template"].as_str())
            .map(str::to_owned));
    }
    Ok(template.as_str().map(str::to_owned))
}

/// A token's name, given as such or as an object.
fn content(token: &Value) -> Option<String> {
    let name = token.as_str().or_else(|| token["content"].as_str())?;
    Some(name.to_owned())
}

/// One id or a list of them.
fn ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value.as_array() {
        Some(list) => list.iter().filter_map(id).collect(),
        None => id(value).into_iter().collect(),
    }
}

fn json(directory: &Path, name: &str) -> Result<Value, GenerateError> {
    let Some(text) = text(directory, name)? else {
        return Ok(Value::Null);
    };
    serde_json::from_str(&text).map_err(|error| GenerateError::Config {
        reason: format!("`{}`: {error}", directory.join(name).display()),
    })
}

fn text(directory: &Path, name: &str) -> Result<Option<String>, GenerateError> {
    let path = directory.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GenerateError::Io {
            file: path.display().to_string(),
            reason: error.to_string(),
        }),
    }
}
