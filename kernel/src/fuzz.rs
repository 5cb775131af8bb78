//! Texts and frames that nobody would write, made from good ones by chance: nothing may panic, and what must hold of
//! every input holds. Runs for a moment with the tests; `MLK8S_FUZZ_SECONDS=600 cargo test fuzz` runs longer, and
//! `MLK8S_FUZZ_SEED` repeats a run.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use crate::wire::{Codec, Message};
use crate::{cell, language, syntax};

/// How long each target runs with the tests.
const MOMENT: Duration = Duration::from_millis(1500);
/// Changes of one input at most.
const CHANGES: usize = 8;
/// Good cells, of which bad ones are made.
const CELLS: [&str; 12] = [
    "let (a, mut b) = (1, \"two {a}\");\nfor i in 0..a { println!(\"{b} {i:?}\") }\na + 1",
    "%kg build docs --as kg\nlet n = kg.node_count();\n%%ask who?",
    "%%ask --kg kg\nWho wrote “this”? `%lsmagic`",
    "use std::{fs, io::{self, Read as _}};\n#[derive(Debug)]\nstruct P<'a> { x: &'a str }\nimpl<'a> P<'a> { fn f(&self) {} }",
    ":dep regex = \"1\"\n!echo hi\nlet r#type = r#\"raw \" text\"#; /* a /* nested */ comment */",
    "macro_rules! m { ($($x:tt)*) => { $($x)* } }\nm! { fn g() -> i32 { 3 } }",
    "let Some(x) = y else { return Ok(()) };\nlet None = z;\nmatch x { 1..=2 if true => 'a', _ => '\\'' }",
    "async fn f() -> u8 { 1 }\nf().await",
    "let ä = \"ß{ä}\"; // 🦀 e\u{301}\nä",
    "#![allow(unused)]\nconst fn f() -> [u8; { loop { break 3 } }] { [0; 3] }",
    "df.lazy().group_by([col(\"b\")]).agg([col(\"a\").sum()]).collect()?",
    "kg?\n?kg",
];

/// A source of chance that says how it can be repeated.
struct Chance(fastrand::Rng);

impl Chance {
    fn new() -> Chance {
        let seed = number("MLK8S_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
        say(&format!("MLK8S_FUZZ_SEED={seed}"));
        Chance(fastrand::Rng::with_seed(seed))
    }

    /// One of `good`, changed in a few places.
    fn bytes(&mut self, good: &[&[u8]]) -> Vec<u8> {
        let mut bytes = good[self.0.usize(..good.len())].to_vec();
        for _ in 0..self.0.usize(..CHANGES) {
            let at = self.0.usize(..=bytes.len());
            match self.0.u8(..5) {
                0 if at < bytes.len() => bytes[at] = self.0.u8(..),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(
                    at,
                    *self.0.choice(b"{}()[]\"'`%:;!?\\/#\n\x1b\x07 r").unwrap(),
                ),
                3 => bytes.truncate(at),
                _ => {
                    let other = good[self.0.usize(..good.len())];
                    let from = self.0.usize(..=other.len());
                    let to = self.0.usize(from..=other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        bytes
    }

    fn text(&mut self) -> String {
        let good: Vec<&[u8]> = CELLS.iter().map(|cell| cell.as_bytes()).collect();
        String::from_utf8_lossy(&self.bytes(&good)).into_owned()
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Tells whoever watches the tests.
fn say(text: &str) {
    // Without a place for it there is nobody to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
}

/// Runs `check` on inputs until the time is up.
fn fuzz(mut check: impl FnMut(&mut Chance)) {
    let time = number("MLK8S_FUZZ_SECONDS").map_or(MOMENT, Duration::from_secs);
    let mut chance = Chance::new();
    let begun = Instant::now();
    let mut n = 0_u64;
    while begun.elapsed() < time {
        check(&mut chance);
        n += 1;
    }
    say(&format!("{n} inputs"));
    assert!(n > 0);
}

#[test]
fn fuzz_the_segments_of_a_cell() {
    fuzz(|chance| {
        let text = chance.text();
        let segments = cell::split(&text);
        assert!(segments.len() <= text.lines().count().max(1), "{text:?}");
        cell::completeness(&text);
        syntax::look(&text);
        for at in (0..=text.len())
            .filter(|&at| text.is_char_boundary(at))
            .step_by(7)
        {
            cell::magic_line(&text, at);
        }
        assert_eq!(
            cell::without_magics(&text).matches('\n').count(),
            text.matches('\n').count(),
            "{text:?}"
        );
    });
}

#[test]
fn fuzz_what_a_cell_is_made_of() {
    fuzz(|chance| language::check_any(&chance.text()));
}

/// A message with its numbers to seven digits: `serde_json` reads the last of seventeen as they come, not always as they were
/// (its feature `float_roundtrip` would, and costs all who read numbers).
fn coarse(mut message: Message) -> Message {
    fn value(of: &mut Value) {
        match of {
            Value::Number(number) if number.is_f64() => {
                *of = format!("{:.6e}", number.as_f64().unwrap_or_default()).into();
            }
            Value::Array(all) => all.iter_mut().for_each(value),
            Value::Object(all) => all.values_mut().for_each(value),
            _ => {}
        }
    }
    for header in [&mut message.header, &mut message.parent_header] {
        std::sync::Arc::make_mut(header)
            .values_mut()
            .for_each(value);
    }
    for object in [&mut message.metadata, &mut message.content] {
        object.values_mut().for_each(value);
    }
    message
}

#[test]
fn fuzz_the_frames_of_a_message() {
    let codec = Codec::new("");
    let object = |text: &str| {
        serde_json::from_str::<Value>(text)
            .unwrap()
            .as_object()
            .unwrap()
            .clone()
    };
    let good = codec.encode(&Message {
        identities: vec![Bytes::from_static(b"\0someone")],
        header: std::sync::Arc::new(object(
            "{\"msg_id\": \"1\", \"msg_type\": \"execute_request\", \"x\": {\"ü\": [null, 1e9]}}",
        )),
        content: object("{\"code\": \"1\", \"silent\": false}"),
        buffers: vec![Bytes::from_static(&[0, 255])],
        ..Message::default()
    });
    let frames: Vec<&[u8]> = good.iter().map(|frame| &frame[..]).collect();
    fuzz(|chance| {
        let n = chance.0.usize(..frames.len() + 2);
        let bad: Vec<Bytes> = (0..n)
            .map(|at| match frames.get(at) {
                Some(frame) if chance.0.bool() => Bytes::copy_from_slice(frame),
                _ => chance.bytes(&frames).into(),
            })
            .collect();
        if let Ok(message) = codec.decode(&bad) {
            // What is understood survives being written.
            let again = codec.decode(&codec.encode(&message)).unwrap();
            assert_eq!(coarse(again), coarse(message));
        }
        assert!(
            Codec::new("key").decode(&bad).is_err(),
            "an unsigned message was taken"
        );
    });
}
