//! The bytes that each token spells, whatever way the tokenizer writes them down.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Tokenizer;

/// How a tokenizer writes bytes as characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Each byte is one character (GPT-2 and its heirs).
    ByteLevel,
    /// A space is `▁`, and bytes that are no character are `<0x0A>` (`SentencePiece`).
    SentencePiece {
        /// Whether the first space of a text is one that the tokenizer added.
        strips_first_space: bool,
    },
    /// As it stands.
    Plain,
}

/// All tokens' bytes, in one piece.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<usize>,
    special: Vec<bool>,
    spelling: Spelling,
}

impl Vocabulary {
    pub(super) fn new(tokenizer: &Tokenizer) -> Self {
        let vocab = tokenizer.get_vocab(true);
        let n_tokens = vocab.values().max().map_or(0, |&id| id as usize + 1);
        let mut names: Vec<Option<&str>> = vec![None; n_tokens];
        for (name, &id) in &vocab {
            names[id as usize] = Some(name);
        }
        let added = tokenizer.get_added_tokens_decoder();
        let spelling = spelling(tokenizer, &vocab);
        let of_characters = byte_level();
        let mut special = vec![false; n_tokens];
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(n_tokens);
        for (id, name) in names.iter().enumerate() {
            if let Some(token) = added.get(&(id as u32)) {
                special[id] = token.special;
                bytes.extend_from_slice(token.content.as_bytes());
            } else if let Some(name) = name {
                spell(name, spelling, &of_characters, &mut bytes);
            }
            ends.push(bytes.len());
        }
        Self {
            bytes,
            ends,
            special,
            spelling,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Nothing for a token that doesn't exist.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let place = id as usize;
        let Some(&end) = self.ends.get(place) else {
            return &[];
        };
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..end]
    }

    /// Bytes of the longest token, at least 1.
    pub(super) fn longest(&self) -> usize {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let lengths = self.ends.iter().zip(starts).map(|(end, start)| end - start);
        lengths.max().unwrap_or(1).max(1)
    }

    pub(super) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    pub(super) fn strips_first_space(&self) -> bool {
        matches!(
            self.spelling,
            Spelling::SentencePiece {
                strips_first_space: true
            }
        )
    }
}

fn spell(name: &str, spelling: Spelling, of_characters: &HashMap<char, u8>, out: &mut Vec<u8>) {
    match spelling {
        Spelling::ByteLevel => {
            for character in name.chars() {
                match of_characters.get(&character) {
                    Some(&byte) => out.push(byte),
                    None => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        }
        Spelling::SentencePiece { .. } => match byte_of(name) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(name.replace('▁', " ").as_bytes()),
        },
        Spelling::Plain => out.extend_from_slice(name.as_bytes()),
    }
}

/// The byte that `<0x0A>` stands for.
fn byte_of(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Which way it is: the decoder says it, or else the vocabulary gives it away.
fn spelling(tokenizer: &Tokenizer, vocab: &HashMap<String, u32>) -> Spelling {
    let decoder = tokenizer
        .get_decoder()
        .and_then(|decoder| serde_json::to_value(decoder).ok())
        .unwrap_or(Value::Null);
    let mut steps = Vec::new();
    flatten(&decoder, &mut steps);
    let has = |kind: &str| steps.iter().find(|step| step["type"] == kind);
    if has("ByteLevel").is_some() {
        return Spelling::ByteLevel;
    }
    let strips = has("Strip").is_some_and(|step| step["start"].as_u64() > Some(0));
    let metaspace = has("Metaspace").map(|step| step["prepend_scheme"] != "never");
    if metaspace.is_some() || has("ByteFallback").is_some() {
        return Spelling::SentencePiece {
            strips_first_space: metaspace.unwrap_or(strips),
        };
    }
    if vocab.contains_key("<0x0A>") {
        return Spelling::SentencePiece {
            strips_first_space: true,
        };
    }
    if decoder.is_null() && vocab.contains_key("Ġ") && vocab.contains_key("Ċ") {
        return Spelling::ByteLevel;
    }
    Spelling::Plain
}

/// The steps of a decoder, those of a sequence one by one.
fn flatten<'a>(decoder: &'a Value, steps: &mut Vec<&'a Value>) {
    match decoder["decoders"].as_array() {
        Some(parts) => parts.iter().for_each(|part| flatten(part, steps)),
        None => steps.push(decoder),
    }
}

/// GPT-2's table, backwards: printable Latin-1 characters stand for themselves, the other bytes for the characters from
/// U+0100 on.
fn byte_level() -> HashMap<char, u8> {
    let mut others = 0x100..;
    (0..=255)
        .filter_map(|byte: u8| {
            let prints = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let code = if prints {
                u32::from(byte)
            } else {
                others.next()?
            };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
}
