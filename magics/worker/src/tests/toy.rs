//! A model that knows the alphabet: small letters go on to `z` and end there, capitals go round for ever.

use std::sync::mpsc::Receiver;

use mlk8s_generate::{Batch, Forward, GenerateError, Shape, Special, Text};
use serde_json::json;
use tokenizers::Tokenizer;

/// Ends an answer.
pub(super) const EOS: u32 = 256;
/// Entries of a row of logits.
const VOCABULARY: usize = 260;
/// What conversations become.
const TEMPLATE: &str =
    "{% for message in messages %}{{ message.role }}={{ message.content }}\n{% endfor %}assistant:";

/// The model. `~` makes it fail, `|` be out of memory, and `^` panic.
pub(super) struct Toy {
    shape: Shape,
    /// One message lets one step through; without a gate, and when its other end is gone, they all go.
    gate: Option<Receiver<()>>,
}

impl Toy {
    pub(super) fn new(context: usize, gate: Option<Receiver<()>>) -> Toy {
        Toy {
            shape: Shape {
                vocabulary: VOCABULARY,
                context,
                n_layers: 1,
                bytes_per_token: 8,
            },
            gate,
        }
    }

    fn wait(&self, batch: &Batch) -> Result<(), GenerateError> {
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        let has = |letter: u8| batch.tokens.contains(&u32::from(letter));
        assert!(!has(b'^'), "the toy was told to panic");
        if has(b'~') {
            return Err(GenerateError::Step {
                reason: "the toy was told to fail".into(),
            });
        }
        if has(b'|') {
            return Err(GenerateError::OutOfMemory {
                reason: "the toy was told to be full".into(),
            });
        }
        Ok(())
    }
}

fn next(token: u32) -> u32 {
    match u8::try_from(token) {
        Ok(b'z') => EOS,
        Ok(b'Z') => u32::from(b'A'),
        Ok(letter) if letter.is_ascii_alphabetic() => token + 1,
        _ => u32::from(b'a'),
    }
}

impl Forward for Toy {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reserve(&mut self, _n_pages: usize) -> Result<(), GenerateError> {
        Ok(())
    }

    fn forward(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        self.wait(batch)?;
        let mut logits = vec![0.0; batch.rows.len() * VOCABULARY];
        for (row, at) in logits.chunks_exact_mut(VOCABULARY).zip(&batch.rows) {
            row[next(batch.tokens[*at]) as usize] = 40.0;
            row[usize::from(b'!')] += 10.0;
        }
        Ok(logits)
    }

    fn hidden(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        self.wait(batch)?;
        let rows = batch.rows.iter();
        Ok(rows
            .flat_map(|row| [batch.tokens[*row] as f32, 60.0, 80.0, 0.0])
            .collect())
    }
}

/// One token for each byte, its value being its id.
pub(super) fn text(has_template: bool) -> Text {
    let mut others = 0x100..;
    let mut vocab = serde_json::Map::new();
    for byte in 0..=255_u32 {
        let prints = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if prints { byte } else { others.next().unwrap() };
        vocab.insert(char::from_u32(code).unwrap().to_string(), json!(byte));
    }
    vocab.insert("<eos>".into(), json!(EOS));
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": level,
        "post_processor": null, "decoder": level,
        "added_tokens": [{ "id": EOS, "content": "<eos>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true }],
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [] },
    });
    let special = Special {
        eos: vec![EOS],
        eos_token: "<eos>".into(),
        chat_template: has_template.then(|| TEMPLATE.to_owned()),
        ..Special::default()
    };
    Text::from_tokenizer(Tokenizer::from_bytes(file.to_string()).unwrap(), special)
}
