//! The families of models that the engine serves, by the names that their files give them.

use crate::card::Kind;

/// A family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// As people call it.
    pub(crate) name: &'static str,
    kind: Kinship,
    /// `architectures` in `config.json`.
    classes: &'static [&'static str],
    /// `model_type` in `config.json`, for those that name no class.
    model_type: &'static str,
    /// `general.architecture` in GGUF files.
    gguf: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinship {
    Decoder,
    TextEncoder,
    Clip,
}

const FAMILIES: [Family; 13] = [
    decoder("Llama", &["LlamaForCausalLM"], "llama", &["llama"]),
    decoder("Mistral", &["MistralForCausalLM"], "mistral", &[]),
    decoder("Qwen2", &["Qwen2ForCausalLM"], "qwen2", &["qwen2"]),
    decoder("Qwen3", &["Qwen3ForCausalLM"], "qwen3", &["qwen3"]),
    decoder("Phi-3", &["Phi3ForCausalLM"], "phi3", &["phi3"]),
    decoder("Gemma 2", &["Gemma2ForCausalLM"], "gemma2", &["gemma2"]),
    decoder(
        "Gemma 3",
        &["Gemma3ForCausalLM"],
        "gemma3_text",
        &["gemma3"],
    ),
    encoder("BERT", &["BertModel", "BertForMaskedLM"], "bert"),
    encoder(
        "RoBERTa",
        &["RobertaModel", "RobertaForMaskedLM"],
        "roberta",
    ),
    encoder(
        "XLM-RoBERTa",
        &["XLMRobertaModel", "XLMRobertaForMaskedLM"],
        "xlm-roberta",
    ),
    encoder("Nomic BERT", &["NomicBertModel"], "nomic_bert"),
    encoder(
        "ModernBERT",
        &["ModernBertModel", "ModernBertForMaskedLM"],
        "modernbert",
    ),
    Family {
        kind: Kinship::Clip,
        ..encoder("CLIP", &["CLIPModel"], "clip")
    },
];

const fn decoder(
    name: &'static str,
    classes: &'static [&'static str],
    model_type: &'static str,
    gguf: &'static [&'static str],
) -> Family {
    Family {
        name,
        kind: Kinship::Decoder,
        classes,
        model_type,
        gguf,
    }
}

const fn encoder(
    name: &'static str,
    classes: &'static [&'static str],
    model_type: &'static str,
) -> Family {
    Family {
        kind: Kinship::TextEncoder,
        ..decoder(name, classes, model_type, &[])
    }
}

impl Family {
    /// By the class, or where none is named by the type.
    pub(crate) fn of_config(class: Option<&str>, model_type: &str) -> Option<Self> {
        let is_it = |family: &&Family| match class {
            Some(class) => family.classes.contains(&class),
            None => family.model_type == model_type,
        };
        FAMILIES.iter().find(is_it).copied()
    }

    /// By the word in a GGUF file.
    pub(crate) fn of_gguf(architecture: &str) -> Option<Self> {
        FAMILIES
            .iter()
            .find(|family| family.gguf.contains(&architecture))
            .copied()
    }

    /// What the family is good for; decoders that come with a rule for making one vector of a text are encoders.
    pub(crate) fn kind(self, has_pooling: bool) -> Kind {
        match self.kind {
            Kinship::Decoder if !has_pooling => Kind::Decoder,
            Kinship::Decoder | Kinship::TextEncoder => Kind::TextEncoder,
            Kinship::Clip => Kind::Clip,
        }
    }
}

/// What is said of an architecture that is not served.
pub(crate) fn unsupported(architecture: &str, is_gguf: bool) -> Kind {
    let served: Vec<&str> = FAMILIES
        .iter()
        .filter(|family| !is_gguf || !family.gguf.is_empty())
        .map(|family| family.name)
        .collect();
    Kind::Unsupported {
        what: format!(
            "architecture `{architecture}`; served are {}",
            served.join(", ")
        ),
    }
}
