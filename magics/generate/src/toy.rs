//! For the tests: a model whose every answer depends on every cell of the cache it reads, and a tokenizer for it.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokenizers::Tokenizer;

use crate::{Batch, Forward, GenerateError, PAGE, Shape, Special, Text};

/// A token with which [`Toy`] fails. Like the next one, it is beyond the tokenizer's, so that it is never drawn.
pub(crate) const BROKEN: u32 = 298;

/// A token with which [`Toy`] panics.
pub(crate) const PANICS: u32 = 299;

/// Ends an answer of [`Toy`].
pub(crate) const EOS: u32 = 256;

/// Writes into each cell what stands for the token, its position and all cells before it, and makes its logits from all
/// cells of a sequence, read back through its pages: a wrong page, a lost token or a cell of somebody else changes the
/// answer.
pub(crate) struct Toy {
    shape: Shape,
    cells: Vec<u64>,
    /// Steps so far.
    pub(crate) log: Arc<Mutex<Vec<Batch>>>,
    /// One message lets one step through; without it they all go.
    gate: Option<Receiver<()>>,
    /// More parts than these are out of memory.
    most_parts: usize,
}

impl Toy {
    pub(crate) fn new(context: usize) -> Self {
        Self {
            shape: Shape {
                vocabulary: 300,
                context,
                n_layers: 1,
                bytes_per_token: 8,
            },
            cells: Vec::new(),
            log: Arc::default(),
            gate: None,
            most_parts: usize::MAX,
        }
    }

    pub(crate) fn gated(mut self, gate: Receiver<()>) -> Self {
        self.gate = Some(gate);
        self
    }

    pub(crate) fn with_room_for(mut self, most_parts: usize) -> Self {
        self.most_parts = most_parts;
        self
    }

    /// Runs a step; gives the state of each wanted row.
    fn run(&mut self, batch: &Batch) -> Result<Vec<u64>, GenerateError> {
        if let Some(gate) = &self.gate {
            // When the test has ended, everything may go.
            let _ = gate.recv();
        }
        self.check(batch)?;
        self.log.lock().unwrap().push(batch.clone());
        let mut states = Vec::new();
        for part in &batch.parts {
            let cell =
                |position: usize| part.pages[position / PAGE] as usize * PAGE + position % PAGE;
            for row in 0..part.len {
                let position = part.length - part.len + row;
                let token = batch.tokens[part.start + row];
                let before = if position == 0 {
                    7
                } else {
                    self.cells[cell(position - 1)]
                };
                self.cells[cell(position)] =
                    mix(before ^ mix(u64::from(token) << 32 | position as u64));
                if batch.rows.contains(&(part.start + row)) {
                    let all = (0..=position).map(|position| self.cells[cell(position)]);
                    states.push(all.fold(1, |state, cell| mix(state ^ cell)));
                }
            }
        }
        Ok(states)
    }

    fn check(&self, batch: &Batch) -> Result<(), GenerateError> {
        assert!(!batch.tokens.contains(&PANICS), "the toy was told to panic");
        if batch.tokens.contains(&BROKEN) {
            return Err(GenerateError::Step {
                reason: "the toy was told to fail".into(),
            });
        }
        if batch.parts.len() > self.most_parts {
            return Err(GenerateError::OutOfMemory {
                reason: format!("{} parts", batch.parts.len()),
            });
        }
        let mut written = Vec::new();
        let mut start = 0;
        for part in &batch.parts {
            assert_eq!(part.start, start, "parts have gaps");
            assert!(part.len > 0 && part.length >= part.len && part.length <= self.shape.context);
            assert_eq!(part.pages.len(), part.length.div_ceil(PAGE));
            start += part.len;
            written.extend_from_slice(&part.pages[(part.length - part.len) / PAGE..]);
        }
        assert_eq!(start, batch.tokens.len());
        assert!(batch.rows.is_sorted() && batch.rows.iter().all(|&row| row < start));
        let n_written = written.len();
        written.sort_unstable();
        written.dedup();
        assert_eq!(written.len(), n_written, "two parts write to one page");
        Ok(())
    }
}

impl Forward for Toy {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reserve(&mut self, n_pages: usize) -> Result<(), GenerateError> {
        self.cells = vec![0xdead_beef; n_pages * PAGE];
        Ok(())
    }

    fn forward(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        let states = self.run(batch)?;
        let row = |state: u64| {
            (0..self.shape.vocabulary as u64).map(move |token| {
                // One answer in forty ends here.
                if token == u64::from(EOS) && state.is_multiple_of(40) {
                    return 20.0;
                }
                (mix(state ^ mix(token)) >> 40) as f32 / (1 << 22) as f32
            })
        };
        Ok(states.into_iter().flat_map(row).collect())
    }

    fn hidden(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        let states = self.run(batch)?;
        Ok(states
            .into_iter()
            .flat_map(|state| [(state >> 48) as f32, (state >> 32 & 0xffff) as f32])
            .collect())
    }
}

/// Scatters all bits (the finalizer of `SplitMix64`).
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// One token for each byte (its value is its id), `<eos>` and `<bos>`, and a few that spell several characters.
pub(crate) fn tokenizer() -> Tokenizer {
    let mut others = 0x100..;
    let mut vocab = serde_json::Map::new();
    for byte in 0..=255u32 {
        let prints = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if prints { byte } else { others.next().unwrap() };
        vocab.insert(char::from_u32(code).unwrap().to_string(), json!(byte));
    }
    for (name, id) in [
        ("<eos>", EOS),
        ("<bos>", 257),
        ("th", 258),
        ("the", 259),
        ("Ġthe", 260),
    ] {
        vocab.insert(name.into(), json!(id));
    }
    let special = |id, content| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true})
    };
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(EOS, "<eos>"), special(257, "<bos>")],
        "normalizer": null, "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": ["t h", "th e", "Ġ the"]},
    });
    Tokenizer::from_bytes(file.to_string()).unwrap()
}

pub(crate) fn text() -> Arc<Text> {
    Arc::new(Text::from_tokenizer(
        tokenizer(),
        Special {
            bos: Some(257),
            eos: vec![EOS],
            bos_token: "<bos>".into(),
            eos_token: "<eos>".into(),
            ..Special::default()
        },
    ))
}
