//! The model that is served, and what it can do.

use std::time::{SystemTime, UNIX_EPOCH};

use mlk8s_generate::{Engine, Pooling};
use serde_json::Value;

use crate::encoder::SharedEncoder;
use crate::refusal::Refusal;

/// A model that is loaded.
pub struct Served {
    /// What it can do.
    pub(crate) kind: Kind,
    /// When it was loaded, in seconds since 1970.
    pub(crate) created: u64,
    /// What is known of it, for people.
    pub(crate) summary: Value,
}

/// What a model can do.
pub(crate) enum Kind {
    /// It writes text.
    Writer(Writer),
    /// It turns texts, and pictures if it sees them, into vectors.
    Encoder(SharedEncoder),
}

/// A decoder.
pub(crate) struct Writer {
    /// What runs it.
    pub(crate) engine: Engine,
    /// How it makes vectors, when it was trained to.
    pub(crate) vectors: Option<Vectors>,
}

/// How a decoder makes vectors of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vectors {
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
    /// Whether the first numbers of a vector are a good vector, too.
    pub nested: bool,
}

/// How much a model has to do. Where there are two numbers, the first is of interactive and the second of batch requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    /// Answers that are being written, or requests whose texts are being encoded.
    pub(crate) running: u64,
    /// Those that wait.
    pub(crate) waiting: [u64; 2],
    /// Pages of the cache that hold something.
    pub(crate) pages_used: u64,
    /// All pages of the cache.
    pub(crate) pages_total: u64,
    /// How often a sequence had to make way.
    pub(crate) preemptions: u64,
    /// Steps that were made.
    pub(crate) steps: u64,
}

impl Served {
    /// A decoder that runs in `engine`; it makes vectors when `vectors` says how.
    pub fn writer(engine: Engine, vectors: Option<Vectors>, summary: Value) -> Served {
        Served::new(Kind::Writer(Writer { engine, vectors }), summary)
    }

    /// An encoder of texts, and of pictures if it sees them.
    pub fn encoder(encoder: SharedEncoder, summary: Value) -> Served {
        Served::new(Kind::Encoder(encoder), summary)
    }

    fn new(kind: Kind, summary: Value) -> Served {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Served {
            kind,
            created: since.unwrap_or_default().as_secs(),
            summary,
        }
    }

    /// The decoder, or a refusal when this model does not write.
    pub(crate) fn text_writer(&self, name: &str) -> Result<&Writer, Refusal> {
        match &self.kind {
            Kind::Writer(writer) => Ok(writer),
            Kind::Encoder(_) => Err(Refusal::invalid(
                "model",
                format!("`{name}` makes vectors of texts and writes none: ask `/v1/embeddings`"),
            )),
        }
    }

    /// Finishes what is under way and takes nothing new.
    pub(crate) fn drain(&self) {
        if let Kind::Writer(writer) = &self.kind {
            writer.engine.drain();
        }
    }

    /// Gives memory back that is kept for the next request.
    pub(crate) fn give_back(&self) {
        if let Kind::Encoder(encoder) = &self.kind {
            encoder.give_back();
        }
    }

    /// How much there is to do.
    pub(crate) fn load(&self) -> Load {
        match &self.kind {
            Kind::Writer(writer) => {
                let now = writer.engine.metrics();
                Load {
                    running: now.running as u64,
                    waiting: [now.waiting_interactive as u64, now.waiting_batch as u64],
                    pages_used: now.pages_used as u64,
                    pages_total: now.pages_total as u64,
                    preemptions: now.preemptions,
                    steps: now.steps,
                }
            }
            Kind::Encoder(encoder) => encoder.load(),
        }
    }
}
