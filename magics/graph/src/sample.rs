//! A few small documents for tests.

use std::path::PathBuf;

use mlk8s_corpus::{Document, Kind, SpanMap};

use crate::{Index, Store};

/// Title and text of each document.
const TEXTS: [(&str, &str); 4] = [
    (
        "Question answering",
        "Question answering (QA) is measured with SQuAD. Stanford University published SQuAD in 2016. \
         TriviaQA is a benchmark for question answering.\n\nSQuAD uses articles from Wikipedia.",
    ),
    (
        "Graphs",
        "Google announced the Knowledge Graph in 2012. Google acquired Metaweb. Metaweb built Freebase. \
         A knowledge graph describes entities and their relations.",
    ),
    (
        "PageRank",
        "Larry Page founded Google. Larry Page invented PageRank. Stanford University owns the patent on PageRank. \
         The random surfer follows links.",
    ),
    (
        "Metal",
        "Chemists melt copper in furnaces. Copper conducts electricity. Miners find copper in Chile.",
    ),
];

/// A document with an id that its title and text give.
pub(crate) fn document(title: &str, text: &str) -> Document {
    let id = title
        .bytes()
        .chain(text.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    Document {
        id: format!("{id:016x}"),
        title: title.to_owned(),
        source: PathBuf::from(format!("{title}.txt")),
        kind: Kind::Text,
        n_pages: None,
        original: text.to_owned(),
        text: text.to_owned(),
        steps: Vec::new(),
        spans: SpanMap::identity(text.len()),
        remarks: Vec::new(),
    }
}

/// All sample documents.
pub(crate) fn documents() -> Vec<Document> {
    TEXTS
        .iter()
        .map(|(title, text)| document(title, text))
        .collect()
}

/// The index of all sample documents.
pub(crate) fn index() -> Index {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.add(&documents(), &mlk8s_corpus::Unwatched).unwrap();
    store.load().unwrap()
}
