//! Tokens to text and back.

mod chat;
mod files;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::{Special, Stream, Text};
use crate::toy;

/// A `SentencePiece` tokenizer as Llama 2's: `▁` for spaces, one before the text, bytes as `<0x0A>`.
pub(super) fn sentencepiece() -> Tokenizer {
    let mut vocab = serde_json::Map::new();
    for (id, name) in ["<unk>", "<s>", "</s>"].into_iter().enumerate() {
        vocab.insert(name.into(), json!(id));
    }
    for byte in 0..=255 {
        vocab.insert(format!("<0x{byte:02X}>"), json!(3 + byte));
    }
    let words = [
        "▁", "H", "i", "▁H", "▁Hi", "▁you", "y", "o", "u", "▁y", "▁yo", "é",
    ];
    for (place, name) in words.into_iter().enumerate() {
        vocab.insert(name.into(), json!(259 + place));
    }
    let special = |id, content| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true})
    };
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocab,
            "merges": ["▁ H", "▁H i", "▁ y", "▁y o", "▁yo u"]},
    });
    Tokenizer::from_bytes(file.to_string()).unwrap()
}

fn llama() -> Text {
    Text::from_tokenizer(
        sentencepiece(),
        Special {
            bos: Some(1),
            eos: vec![2],
            add_bos: true,
            bos_token: "<s>".into(),
            eos_token: "</s>".into(),
            ..Special::default()
        },
    )
}

/// The pieces of a text, token by token.
fn stream(text: &Text, prompt: &[u32], tokens: &[u32], stop: &[&str]) -> Vec<String> {
    let mut stream = text.stream(prompt, stop.iter().map(|&stop| stop.to_owned()).collect());
    let mut pieces: Vec<String> = tokens
        .iter()
        .map(|&token| stream.push(text.spelling(token)))
        .collect();
    pieces.push(stream.finish());
    pieces
}

#[test]
fn every_text_comes_back() {
    let texts = [
        "",
        "the other thing",
        " leading",
        "größer ≥ 🦀 日本",
        "a\n\tb\u{0}",
        "the the  the",
    ];
    for text in texts {
        let toy = toy::text();
        let tokens = toy.encode(text, false).unwrap();
        assert_eq!(toy.decode(&tokens), text);
        assert_eq!(stream(&toy, &[], &tokens, &[]).concat(), text);
        let llama = llama();
        let tokens = llama.encode(text, false).unwrap();
        assert_eq!(llama.decode(&tokens), text, "{tokens:?}");
        assert_eq!(
            llama.decode(&tokens),
            sentencepiece().decode(&tokens, true).unwrap()
        );
    }
}

#[test]
fn special_tokens_are_read_added_and_left_out() {
    let llama = llama();
    assert_eq!(llama.encode("Hi", true).unwrap(), [1, 263]);
    assert_eq!(llama.encode("Hi", false).unwrap(), [263]);
    assert_eq!(llama.encode("<s>Hi", true).unwrap()[..2], [1, 263]);
    assert_eq!(llama.decode(&[1, 263, 2]), "Hi");
    assert!(llama.is_eos(2) && !llama.is_eos(1));
    assert_eq!(llama.token_bytes(263), b" Hi");
    assert_eq!(llama.token_bytes(3 + 0xe9), [0xe9]);
    assert_eq!(llama.token_bytes(2), b"</s>");
    assert_eq!(llama.token_bytes(9999), b"");
    assert_eq!(llama.n_tokens(), 271);
    let toy = toy::text();
    assert_eq!(toy.token_bytes(260), b" the");
    assert_eq!(toy.token_bytes(0xe9), [0xe9]);
    assert_eq!(toy.decode(&[256, 259, 257]), "the");
}

#[test]
fn a_continuation_keeps_its_first_space_and_a_text_does_not_have_one() {
    let llama = llama();
    assert_eq!(
        stream(&llama, &[1, 263], &[264, 263], &[]).concat(),
        " you Hi"
    );
    assert_eq!(stream(&llama, &[1], &[264, 263], &[]).concat(), "you Hi");
}

#[test]
fn characters_are_never_split() {
    let llama = llama();
    let crab: Vec<u32> = "🦀é".bytes().map(|byte| 3 + u32::from(byte)).collect();
    let pieces = stream(&llama, &[263], &crab, &[]);
    assert_eq!(pieces, ["", "", "", "🦀", "", "é", ""]);
    // What is no character shows as such, at once or at the end.
    let broken = [3 + 0xf0, 3 + 0x9f, 263, 3 + 0xc3];
    assert_eq!(
        stream(&llama, &[263], &broken, &[]),
        ["", "", "\u{fffd} Hi", "", "\u{fffd}"]
    );
    assert_eq!(llama.decode(&[3 + 0xff, 260]), "\u{fffd}H");
}

#[test]
fn only_what_may_begin_a_stop_string_is_held_back() {
    let toy = toy::text();
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    let pieces = stream(&toy, &[1], &bytes("abxabc!"), &["abcd", "xy"]);
    assert_eq!(pieces, ["", "", "ab", "x", "", "", "abc!", ""]);
    let pieces = stream(&toy, &[1], &bytes("aabaabaac"), &["aabaac"]);
    assert_eq!(pieces.concat(), "aab");
    let pieces = stream(&toy, &[1], &bytes("see END here"), &["END"]);
    assert_eq!(pieces.concat(), "see ");
    // The first one to come counts, not the first one of the list.
    let mut stream = Stream::new(vec!["two".into(), "one".into()], false);
    assert_eq!(stream.push(b"zero one two") + &stream.finish(), "zero ");
    assert!(stream.is_stopped());
    assert_eq!(stream.push(b"more"), "");
    // A stop string may begin in the middle of a token and of what looked like a character's end.
    let pieces = super::tests::stream(&toy, &[1], &bytes("é→x"), &["→x"]);
    assert_eq!(pieces.concat(), "é");
}

#[test]
fn any_cut_into_tokens_gives_the_same_text() {
    let text = "größe → END of 🦀🦀 and ENDE";
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        for (stop, expected) in [
            (vec![], text),
            (vec!["ENDE"], "größe → END of 🦀🦀 and "),
            (vec!["🦀 "], "größe → END of 🦀"),
        ] {
            let mut stream = Stream::new(
                stop.iter().map(|&stop: &&str| stop.to_owned()).collect(),
                false,
            );
            let mut rest = text.as_bytes();
            let mut out = String::new();
            while !rest.is_empty() {
                let (token, after) = rest.split_at(rng.usize(1..=rest.len().min(6)));
                out += &stream.push(token);
                assert!(expected.starts_with(&out));
                rest = after;
            }
            assert_eq!(out + &stream.finish(), expected);
        }
    }
}

#[test]
fn well_known_ends_of_turn_end_an_answer() {
    let mut file: Value =
        serde_json::from_str(&toy::tokenizer().to_string(false).unwrap()).unwrap();
    let added = file["added_tokens"].as_array_mut().unwrap();
    added.push(json!({"id": 261, "content": "<|im_end|>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true}));
    let tokenizer = Tokenizer::from_bytes(file.to_string()).unwrap();
    let text = Text::from_tokenizer(tokenizer, Special::default());
    assert_eq!(text.special().eos, [261]);
    assert_eq!(text.encode("a<|im_end|>", false).unwrap(), [97, 261]);
}
