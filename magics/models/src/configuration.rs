//! The numbers that say how large a model is, from `config.json` or from the metadata of a GGUF file.

use std::path::Path;

use serde_json::Value;

use crate::error::ModelsError;
use crate::gguf::Header;

/// No model has more of anything that is counted here.
const MOST: u64 = 1 << 32;

/// How large a model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) n_layers: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocabulary: usize,
    pub(crate) context: usize,
}

impl Configuration {
    /// Of `config.json`; what is missing is the error, unless the family is not served anyway.
    pub(crate) fn of_json(
        path: &Path,
        config: &Value,
        is_served: bool,
    ) -> Result<Self, ModelsError> {
        // Models of texts and images keep the numbers of texts one level below.
        let inner = &config["text_config"];
        let number = |names: &[&str]| {
            let of = |value: &Value| names.iter().find_map(|name| value[*name].as_u64());
            of(config).or_else(|| of(inner))
        };
        let wanted = |names: &[&str]| (names[0].to_owned(), number(names));
        Self::checked(
            path,
            is_served,
            [
                wanted(&["num_hidden_layers", "n_layer"]),
                wanted(&["hidden_size", "n_embd"]),
                wanted(&["intermediate_size", "n_inner"]),
                wanted(&["num_attention_heads", "n_head"]),
                wanted(&["vocab_size"]),
                wanted(&["max_position_embeddings", "n_positions"]),
            ],
            number(&["num_key_value_heads"]),
            number(&["head_dim"]),
        )
    }

    /// Of a GGUF file.
    pub(crate) fn of_gguf(
        path: &Path,
        header: &Header,
        is_served: bool,
    ) -> Result<Self, ModelsError> {
        let architecture = header.text("general.architecture").unwrap_or_default();
        let key = |name: &str| format!("{architecture}.{name}");
        let wanted = |name: &str| (key(name), header.number(&key(name)));
        let (name, vocabulary) = wanted("vocab_size");
        let tokens = || header.len("tokenizer.ggml.tokens");
        Self::checked(
            path,
            is_served,
            [
                wanted("block_count"),
                wanted("embedding_length"),
                wanted("feed_forward_length"),
                wanted("attention.head_count"),
                (name, vocabulary.or_else(tokens)),
                wanted("context_length"),
            ],
            header.number(&key("attention.head_count_kv")),
            header.number(&key("attention.key_length")),
        )
    }

    /// Layers, hidden, intermediate, heads, vocabulary and context, then what may be missing.
    fn checked(
        path: &Path,
        is_served: bool,
        wanted: [(String, Option<u64>); 6],
        n_kv_heads: Option<u64>,
        head_dim: Option<u64>,
    ) -> Result<Self, ModelsError> {
        let mut found = [0_u64; 6];
        for (place, (name, value)) in found.iter_mut().zip(wanted) {
            match value {
                Some(n) if (1..MOST).contains(&n) => *place = n,
                _ if !is_served => {}
                Some(n) => return Err(ModelsError::damaged(path, format!("`{name}` is {n}"))),
                None => {
                    return Err(ModelsError::damaged(
                        path,
                        format!("it does not say `{name}`"),
                    ));
                }
            }
        }
        let [n_layers, hidden, intermediate, n_heads, vocabulary, context] = found;
        let optional = |value: Option<u64>| value.filter(|n| (1..MOST).contains(n));
        let n_kv_heads = optional(n_kv_heads).unwrap_or(n_heads);
        let head_dim = optional(head_dim).unwrap_or(hidden / n_heads.max(1));
        Ok(Self {
            n_layers: n_layers as usize,
            hidden: hidden as usize,
            intermediate: intermediate as usize,
            n_heads: n_heads as usize,
            n_kv_heads: n_kv_heads as usize,
            head_dim: head_dim as usize,
            vocabulary: vocabulary as usize,
            context: context as usize,
        })
    }
}
