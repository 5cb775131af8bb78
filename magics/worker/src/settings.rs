//! What `mlk8s-worker serve` can be told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use mlk8s_generate::{Device, Instructions, Pooling, Precision};

use crate::error::WorkerError;
use crate::keys::Keys;
use crate::state::Limits;

/// The longest time that a request may be given, in seconds: a year.
const LONGEST: u64 = 365 * 24 * 60 * 60;

/// Serve one model over OpenAI's API until the parent ends or SIGTERM comes
#[derive(Debug, Clone, clap::Args)]
#[expect(
    clippy::doc_markdown,
    reason = "these comments are the help text, where marks would be seen"
)]
pub struct Settings {
    /// Directory of a model, or a .gguf file
    pub model: String,
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen at; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Name that clients ask for the model by; the name of its file or folder when absent
    #[arg(long)]
    pub name: Option<String>,
    /// How numbers are kept: stored, f32, bf16, q8_0 or q4k
    #[arg(long, default_value = "stored", value_parser = precision)]
    pub precision: Precision,
    /// Most tokens of a prompt and its answer; what the model was made for when absent
    #[arg(long)]
    pub context: Option<usize>,
    /// Answers that are written at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: u16,
    /// Memory for keys and values, e.g. 2G
    #[arg(long, default_value = "1G", value_parser = bytes)]
    pub cache_bytes: u64,
    /// Compute every prompt from its beginning, rather than take what it shares with an earlier one
    #[arg(long)]
    pub no_prefix_cache: bool,
    /// Where the model runs: cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "auto", value_parser = place)]
    pub device: Place,
    /// Instructions of the processor to compute with: portable, avx2, avx512 or vnni; the fastest when absent
    #[arg(long, value_parser = instructions)]
    pub instructions: Option<Instructions>,
    /// Threads to compute with; one for each processor when absent
    #[arg(long)]
    pub threads: Option<usize>,
    /// How a decoder makes vectors: last or mean; as its files say when absent
    #[arg(long, value_parser = pooling)]
    pub pooling: Option<Pooling>,
    /// File of keys, one a line: KEY [NAME] [interactive|batch]
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// Let everybody ask who reaches this machine
    #[arg(long)]
    pub open: bool,
    /// What comes before /v1 in addresses, e.g. /openai
    #[arg(long, default_value = "")]
    pub base_path: String,
    /// Process that this one must not outlive
    #[arg(long)]
    pub parent: Option<u32>,
    /// Give an answer that does not fit behind its prompt as many tokens as do, rather than refuse it
    #[arg(long)]
    pub shorten: bool,
    /// File that gets the `ready` or `failed` line, too
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// File that gets a line of JSON for each request
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Requests that may wait
    #[arg(long, default_value_t = 16_384)]
    pub max_queued: usize,
    /// Largest body of a request
    #[arg(long, default_value = "16M", value_parser = bytes)]
    pub max_body: u64,
    /// Connections at once
    #[arg(long, default_value_t = 16_384)]
    pub max_connections: usize,
    /// Seconds that a request may take
    #[arg(long, default_value_t = 1800)]
    pub timeout: u64,
    /// Seconds without a request after which the process ends by itself; it stays when absent
    #[arg(long)]
    pub idle: Option<u64>,
    /// Seconds that requests under way get after SIGTERM
    #[arg(long, default_value_t = 30)]
    pub drain: u64,
}

/// Where a model shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On a GPU when this program can and there is one, else on the processor.
    Auto,
    /// Only there.
    Only(Device),
}

impl Settings {
    /// The keys: those of the file, and those that `environment` holds.
    pub(crate) fn keys(&self, environment: Option<&str>) -> Result<Keys, WorkerError> {
        let mut text = String::new();
        let mut origin = "MLK8S_WORKER_KEY".to_owned();
        if let Some(path) = &self.key_file {
            origin = path.display().to_string();
            text = std::fs::read_to_string(path).map_err(|source| WorkerError::File {
                path: path.clone(),
                source,
            })?;
        }
        if let Some(more) = environment {
            text.push('\n');
            text.push_str(more);
        }
        let keys = if self.key_file.is_some() || environment.is_some() {
            Keys::parse(&text, &origin)?
        } else {
            Keys::default()
        };
        if keys.is_empty() && !self.open && !self.host.is_loopback() {
            return Err(WorkerError::Open {
                host: self.host.to_string(),
            });
        }
        Ok(keys)
    }

    /// The base path with one `/` in front and none behind; empty for none.
    pub(crate) fn base(&self) -> Result<String, WorkerError> {
        let path = self.base_path.trim_matches('/');
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !path.chars().all(allowed) || path.contains("//") {
            return Err(WorkerError::BasePath {
                path: self.base_path.clone(),
            });
        }
        Ok(if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        })
    }

    /// What requests may use.
    pub(crate) fn limits(&self, connections: usize) -> Limits {
        Limits {
            body_bytes: usize::try_from(self.max_body).unwrap_or(usize::MAX),
            time: Duration::from_secs(self.timeout.clamp(1, LONGEST)),
            connections: self.max_connections.clamp(1, connections),
            shortens: self.shorten,
            ..Limits::default()
        }
    }
}

fn precision(word: &str) -> Result<Precision, String> {
    match word.to_ascii_lowercase().as_str() {
        "stored" => Ok(Precision::Stored),
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        "q8_0" | "q8" => Ok(Precision::Q8_0),
        "q4k" | "q4_k" => Ok(Precision::Q4K),
        _ => Err("it must be stored, f32, bf16, q8_0 or q4k".to_owned()),
    }
}

fn place(word: &str) -> Result<Place, String> {
    match word.split_once(':') {
        None if word == "auto" => Ok(Place::Auto),
        None if word == "cpu" => Ok(Place::Only(Device::Cpu)),
        None if word == "cuda" => Ok(Place::Only(Device::Cuda(0))),
        Some(("cuda", number)) => number
            .parse()
            .map(|number| Place::Only(Device::Cuda(number)))
            .map_err(|_| format!("`{number}` is no number of a GPU")),
        _ => Err("it must be cpu, cuda, cuda:N or auto".to_owned()),
    }
}

fn instructions(word: &str) -> Result<Instructions, String> {
    let mut all = Instructions::ALL.into_iter();
    all.find(|instructions| instructions.name() == word)
        .ok_or_else(|| "they must be portable, avx2, avx512 or vnni".to_owned())
}

fn pooling(word: &str) -> Result<Pooling, String> {
    match word {
        "last" => Ok(Pooling::Last),
        "mean" => Ok(Pooling::Mean),
        _ => Err("it must be last or mean".to_owned()),
    }
}

/// A number of bytes, with K, M, G or T (of 1024) behind it.
fn bytes(word: &str) -> Result<u64, String> {
    let upper = word.trim().to_ascii_uppercase();
    let plain = upper.trim_end_matches("IB").trim_end_matches('B');
    let (number, shift) = match plain.char_indices().next_back() {
        Some((at, 'K')) => (&plain[..at], 10),
        Some((at, 'M')) => (&plain[..at], 20),
        Some((at, 'G')) => (&plain[..at], 30),
        Some((at, 'T')) => (&plain[..at], 40),
        _ => (plain, 0),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("`{word}` is no number of bytes"))?;
    let bytes = number * f64::from(shift).exp2();
    if (1.0..1e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(format!("`{word}` is no possible number of bytes"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(line: &str) -> Settings {
        Line::parse_from(std::iter::once("worker").chain(line.split(' '))).settings
    }

    #[test]
    fn sizes_and_places_are_read() {
        let settings = parse(
            "m --cache-bytes 1.5GiB --device cuda:1 --precision q4_k --base-path openai/ --instructions avx2",
        );
        assert_eq!(settings.instructions, Some(Instructions::Avx2));
        assert_eq!(settings.cache_bytes, 3 << 29);
        assert_eq!(settings.device, Place::Only(Device::Cuda(1)));
        assert_eq!(settings.base().unwrap(), "/openai");
        assert_eq!(parse("m").base().unwrap(), "");
        for line in [
            "m --cache-bytes many",
            "m --device tpu",
            "m --instructions sse",
            "m --device cuda:x",
            "m --slots 0",
            "m --cache-bytes 0",
        ] {
            let words = std::iter::once("worker").chain(line.split(' '));
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
        assert!(parse("m --base-path /a{b}").base().is_err());
    }

    #[test]
    fn an_open_door_must_be_wanted() {
        let is_open = |line: &str, key: Option<&str>| match parse(line).keys(key) {
            Ok(keys) => keys.is_empty(),
            Err(error) => {
                assert!(matches!(error, WorkerError::Open { .. }), "{error}");
                assert!(error.hint().contains("--open"));
                false
            }
        };
        assert!(is_open("m", None));
        assert!(is_open("m --host ::1", None));
        assert!(!is_open("m --host 0.0.0.0", None));
        assert!(is_open("m --host 0.0.0.0 --open", None));
        assert!(!is_open("m --host 0.0.0.0", Some("sk-1 ada")));
        assert!(!is_open("m", Some("sk-1 ada")));
    }
}
