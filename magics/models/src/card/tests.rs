//! Cards of tiny models, and what becomes of them when bytes are missing or wrong.

use super::*;
use crate::need::{Device, Need, Plan, Precision};
use crate::reference::Reference;

const LLAMA: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"intermediate_size":16,
    "num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":32,"max_position_embeddings":64}"#;

/// A file with these weights, all zeros.
fn safetensors(dtype: &str, wide: usize, weights: &[(&str, &[usize])]) -> Vec<u8> {
    let mut end = 0;
    let entries: Vec<String> = weights
        .iter()
        .map(|(name, shape)| {
            let start = end;
            end += shape.iter().product::<usize>() * wide;
            format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}")
        })
        .collect();
    let header = format!(
        "{{\"__metadata__\":{{\"format\":\"pt\",\"shape\":\"x\"}},{}}}",
        entries.join(",")
    );
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.into_bytes());
    out.resize(out.len() + end, 0);
    out
}

fn llama_weights() -> Vec<u8> {
    safetensors(
        "BF16",
        2,
        &[
            ("model.embed_tokens.weight", &[32, 8]),
            ("model.layers.0.mlp.up_proj.weight", &[16, 8]),
            ("model.norm.weight", &[8]),
        ],
    )
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A GGUF file of version `version`, with `extra` pairs of text.
fn gguf(version: u32, extra: &[(&str, &str)]) -> Vec<u8> {
    let numbers = [
        ("qwen3.block_count", 1_u32),
        ("qwen3.embedding_length", 64),
        ("qwen3.feed_forward_length", 128),
        ("qwen3.attention.head_count", 4),
        ("qwen3.attention.key_length", 16),
        ("qwen3.context_length", 256),
    ];
    let mut out = b"GGUF".to_vec();
    out.extend(version.to_le_bytes());
    out.extend(3_u64.to_le_bytes());
    out.extend((numbers.len() as u64 + 3 + extra.len() as u64).to_le_bytes());
    let texts = [("general.architecture", "qwen3")];
    for (key, value) in texts.iter().chain(extra) {
        text(&mut out, key);
        out.extend(8_u32.to_le_bytes());
        text(&mut out, value);
    }
    for (key, value) in numbers {
        text(&mut out, key);
        out.extend(4_u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    // Heads of each layer as an array, and three tokens.
    text(&mut out, "qwen3.attention.head_count_kv");
    out.extend([9_u32, 5].map(u32::to_le_bytes).concat());
    out.extend(1_u64.to_le_bytes());
    out.extend(2_i32.to_le_bytes());
    text(&mut out, "tokenizer.ggml.tokens");
    out.extend([9_u32, 8].map(u32::to_le_bytes).concat());
    out.extend(3_u64.to_le_bytes());
    for token in ["a", "bc", ""] {
        text(&mut out, token);
    }
    let mut at = 0_u64;
    // Rows come first here: 64 numbers for each of three tokens.
    for (name, shape, kind, bytes) in [
        ("token_embd.weight", vec![64_u64, 3], 8_u32, 204_u64),
        ("blk.0.ffn_up.weight", vec![64, 128], 8, 8704),
        ("output_norm.weight", vec![64], 0, 256),
    ] {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        out.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(at.to_le_bytes());
        at += bytes.next_multiple_of(32);
    }
    out.resize(out.len().next_multiple_of(32) + at as usize, 0);
    out
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn files(&self, name: &str) -> Result<Files, ModelsError> {
        let path = self.0.path().join(name);
        let reference: Reference = path.to_str().unwrap().parse().unwrap();
        let places =
            crate::Places::from_variables(|name| (name == "HOME").then(|| "/none".to_owned()))
                .unwrap();
        crate::fetch(&reference, &places, &|_| {}, &|| false)
    }

    fn card(&self, name: &str) -> Result<Card, ModelsError> {
        Card::read(&self.files(name)?)
    }
}

#[test]
fn a_directory_is_described() {
    let folder = Folder::new(&[
        ("config.json", LLAMA.as_bytes()),
        ("model.safetensors", &llama_weights()),
        ("tokenizer_config.json", br#"{"chat_template":"{{ x }}"}"#),
        (
            "README.md",
            b"---\ntags:\n- x\nlicense: \"apache-2.0\"\n---\nlicense: no",
        ),
    ]);
    let card = folder.card("").unwrap();
    assert_eq!(
        (card.architecture.as_str(), card.family.as_str()),
        ("LlamaForCausalLM", "Llama")
    );
    assert_eq!(card.kind, Kind::Decoder);
    assert_eq!(
        (card.n_parameters, card.weight_bytes, card.stored.as_str()),
        (392, 784, "BF16")
    );
    assert_eq!(
        (
            card.n_kv_heads,
            card.head_dim,
            card.vocabulary,
            card.context
        ),
        (2, 2, 32, 64)
    );
    assert!(card.has_chat_template);
    assert_eq!(card.licence.as_deref(), Some("apache-2.0"));
    let plan = Plan {
        precision: Precision::Stored,
        context: 40,
        sequences: 2,
        device: Device::Processor,
    };
    let need = Need::of(&card, plan);
    // 40 tokens lie on two pages of 32.
    assert_eq!(
        (need.weights, need.cache),
        (4 * 392, 2 * 64 * 2 * 2 * 2 * 4)
    );
    let tied = Need::of(
        &card,
        Plan {
            precision: Precision::Q8_0,
            ..plan
        },
    );
    assert_eq!(tied.weights, (256 + 8) * 4 + 128 / 32 * 34 + 256 / 32 * 34);
}

#[test]
fn a_gguf_file_is_described() {
    for version in [2, 3] {
        let bytes = gguf(
            version,
            &[
                ("general.license", "mit"),
                ("tokenizer.chat_template", "{{ x }}"),
            ],
        );
        let card = Folder::new(&[("m.gguf", &bytes)]).card("m.gguf").unwrap();
        assert_eq!(
            (card.architecture.as_str(), card.family.as_str(), &card.kind),
            ("qwen3", "Qwen3", &Kind::Decoder)
        );
        assert_eq!(
            (card.n_parameters, card.weight_bytes, card.stored.as_str()),
            (192 + 8192 + 64, 204 + 8704 + 256, "Q8_0")
        );
        assert_eq!(
            (
                card.n_kv_heads,
                card.head_dim,
                card.vocabulary,
                card.context
            ),
            (2, 16, 3, 256)
        );
        assert!(card.has_chat_template);
        assert_eq!(card.licence.as_deref(), Some("mit"));
    }
}

fn config(class: &str, more: &str) -> String {
    LLAMA
        .replace("LlamaForCausalLM", class)
        .replace("\"model_type\"", &format!("{more}\"model_type\""))
}

#[test]
fn kinds_are_told_apart() {
    let kind = |config: &str, files: &[(&str, &[u8])]| {
        let weights = llama_weights();
        let all: Vec<(&str, &[u8])> = [
            ("config.json", config.as_bytes()),
            ("model.safetensors", &weights),
        ]
        .into_iter()
        .chain(files.iter().copied())
        .collect();
        Folder::new(&all).card("").unwrap()
    };
    assert_eq!(kind(&config("BertModel", ""), &[]).kind, Kind::TextEncoder);
    assert_eq!(kind(&config("CLIPModel", ""), &[]).kind, Kind::Clip);
    let last: &[u8] = br#"{"pooling_mode_lasttoken":true,"pooling_mode_mean_tokens":false}"#;
    let embedding = kind(
        &config("Qwen3ForCausalLM", ""),
        &[("modules.json", b"[]"), ("1_Pooling/config.json", last)],
    );
    assert_eq!(
        (embedding.kind, embedding.pooling),
        (Kind::TextEncoder, Some(Pooling::Last))
    );
    let what = |config: &str| match kind(config, &[]).kind {
        Kind::Unsupported { what } => what,
        kind => panic!("{kind:?}"),
    };
    assert!(
        what(&config("MambaForCausalLM", ""))
            .starts_with("architecture `MambaForCausalLM`; served are Llama, Mistral")
    );
    assert!(
        what(&config(
            "LlamaForCausalLM",
            "\"quantization_config\":{\"quant_method\":\"awq\"},"
        ))
        .contains("awq")
    );
    // Numbers may be missing of what is not served anyway.
    assert!(what(r#"{"architectures":["WhisperModel"]}"#).contains("WhisperModel"));
    let foreign = safetensors("F8_E4M3", 1, &[("model.embed_tokens.weight", &[32, 8])]);
    let card = Folder::new(&[
        ("config.json", LLAMA.as_bytes()),
        ("model.safetensors", &foreign),
    ])
    .card("")
    .unwrap();
    assert!(matches!(card.kind, Kind::Unsupported { what } if what.contains("F8_E4M3")));
}

#[test]
fn what_is_wrong_is_named_with_its_file() {
    let said = |files: &[(&str, &[u8])], name: &str| {
        Folder::new(files).card(name).unwrap_err().to_string()
    };
    let weights = llama_weights();
    let short = LLAMA.replace("num_hidden_layers", "x");
    let cases: [(&str, &[u8], &str); 8] = [
        (
            &short,
            &weights,
            "config.json` is damaged: it does not say `num_hidden_layers`",
        ),
        (
            &LLAMA.replace(":4", ":0"),
            &weights,
            "`num_attention_heads` is 0",
        ),
        ("{", &weights, "config.json` is damaged: EOF"),
        (
            LLAMA,
            &weights[..weights.len() - 1],
            "it is cut off: its weights have 784 bytes, and 783 are there",
        ),
        (
            LLAMA,
            b"PK\x03\x04aaaaaaaaaa",
            "this is no safetensors file, or only its beginning",
        ),
        (LLAMA, b"", "it has 0 bytes"),
        (
            LLAMA,
            &[weights.as_slice(), b"xx"].concat(),
            "2 bytes follow the last weight",
        ),
        (LLAMA, b"\x02\0\0\0\0\0\0\0[]", "its header cannot be read"),
    ];
    for (config, weights, wanted) in cases {
        let said = said(
            &[
                ("config.json", config.as_bytes()),
                ("model.safetensors", weights),
            ],
            "",
        );
        assert!(said.contains(wanted), "{said}\n{wanted}");
    }
}

#[test]
fn what_is_wrong_with_a_gguf_file_is_named() {
    let said = |files: &[(&str, &[u8])], name: &str| {
        Folder::new(files).card(name).unwrap_err().to_string()
    };
    let whole = gguf(3, &[]);
    let mut swapped = whole.clone();
    swapped[4..8].copy_from_slice(&3_u32.to_be_bytes());
    let mut many = whole.clone();
    many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    let cases: [(&[u8], &str); 5] = [
        (
            &whole[..whole.len() - 256],
            "it is cut off: weight `output_norm.weight` ends at byte 9184 of the data, which has 8928",
        ),
        (&whole[..450], "end inside the header"),
        (b"GGML....", "it does not begin with `GGUF`"),
        (&swapped, "other order of bytes"),
        (&many, "it should have 18446744073709551615 weights"),
    ];
    for (bytes, wanted) in cases {
        let said = said(&[("m.gguf", bytes)], "m.gguf");
        assert!(
            said.contains("m.gguf` is damaged") && said.contains(wanted),
            "{said}\n{wanted}"
        );
    }
    let part = gguf(3, &[]);
    assert!(matches!(
        Folder::new(&[("m.gguf", &part)])
            .card("m.gguf")
            .unwrap()
            .kind,
        Kind::Decoder
    ));
}

mod torture;
