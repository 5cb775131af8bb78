//! Search over documents, chunks, rows and images: words by BM25, vectors by cosine, both by rank fusion; on disk, kill-safe.

mod date;
mod error;
mod filter;
mod fuse;
mod index;
mod item;
mod passage;
mod query;
mod search;
mod settings;
mod vectors;
mod watch;
mod words;

pub use date::Date;
pub use error::SearchError;
pub use index::{Added, Compacted, Index, Stats, Vectors};
pub use item::{Item, Kind, Value};
pub use passage::{best_sentence, sentences_of};
pub use query::{Hit, Mode, Passage, Query, Ranked, Results, Rocchio};
pub use settings::{Language, Nearest, Settings};
pub use vectors::{Recall, Scan};
pub use watch::{Silent, Watch};
