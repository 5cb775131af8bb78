//! `mlk8s-engine-card`: checks the decoder for GPUs against that of the processor on this machine's card, and times it.
//!
//! `check` compares logits on tiny random models of every family, and products and logits of quantised weights with those
//! of the same weights in single precision (`quantised` does only that, of a few families); `time FOLDER` runs a random model of 8 billion
//! weights.
//! With `--on cpu` the processor takes the part of the card, and the large model is a small one: a rehearsal, for machines
//! without a card. Each result is a line of words between tabs, for the script that makes a table of them.

mod check;
mod models;
mod quantised;
mod time;

use std::io::Write;
use std::process::ExitCode;

use mlk8s_generate::Device;

/// There is no card.
const NO_CARD: u8 = 3;

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (words, device) = match &words[..] {
        [words @ .., "--on", "cpu"] => (words, Device::Cpu),
        words => (words, Device::Cuda(0)),
    };
    let card = match device {
        Device::Cpu => Ok("no card: the processor, in a rehearsal".to_owned()),
        Device::Cuda(number) => mlk8s_generate::gpu(number),
    };
    match card {
        Ok(card) => tell(&mut out, &["device", &card]),
        Err(error) => {
            tell(&mut out, &["unavailable", &error.to_string()]);
            return ExitCode::from(NO_CARD);
        }
    }
    let done = match *words {
        ["check"] => check::run(device, &mut out)
            .and_then(|good| Ok(quantised::run(device, false, &mut out)? && good)),
        ["quantised"] => quantised::run(device, true, &mut out),
        ["time", folder] => time::run(folder.as_ref(), device, &mut out),
        _ => Err(
            "usage: mlk8s-engine-card check | quantised | time FOLDER-WITH-18-GB [--on cpu]".into(),
        ),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&mut out, &["error", &error.to_string()]);
            ExitCode::FAILURE
        }
    }
}

/// What any part of this program can fail with.
type Failure = Box<dyn std::error::Error>;

/// Writes a line; nobody reads on where that fails.
fn tell(out: &mut dyn Write, words: &[&str]) {
    let line: Vec<String> = words
        .iter()
        .map(|word| word.replace(['\t', '\n'], " "))
        .collect();
    let _ = writeln!(out, "{}", line.join("\t"));
    let _ = out.flush();
}
