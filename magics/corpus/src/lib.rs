//! Documents: files are read, cleaned by declared rules, and cut into sentences and chunks.
//!
//! Every byte of a cleaned text maps back to the text as it was extracted, and every character that a rule took away
//! is counted. No file can take a whole read down: what cannot be read is listed with its reason.

mod chunk;
mod clean;
mod document;
mod format;
mod read;
mod sentence;
mod span;
mod watch;

pub use chunk::{Chunk, chunks};
pub use clean::{CleaningStep, Draft, RULES, Role, Rule};
pub use document::{Corpus, Document, Kind, Reason, Unreadable};
pub use read::{CorpusError, ReadOptions, read};
pub use sentence::sentences;
pub use span::{Edit, SpanMap};
pub use watch::{Unwatched, Watch};
