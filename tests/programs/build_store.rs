//! Builds a store of made-up documents, for a test that kills it: `build_store DIR`.
//!
//! Every finished document is committed at once and told on standard output, so that there is much to interrupt.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mlk8s_corpus::{Document, Kind, SpanMap, Watch};
use mlk8s_graph::Store;

const N_DOCUMENTS: usize = 60;
const N_SENTENCES: usize = 40;

/// Tells each finished document in a line.
struct Tell;

impl Watch for Tell {
    fn step(&self, done: usize, _total: usize, _what: &str) {
        // Nobody listening is no reason to stop.
        let _ = writeln!(std::io::stdout(), "{done}");
    }

    fn cancelled(&self) -> bool {
        false
    }
}

fn main() -> ExitCode {
    let Some(dir) = std::env::args().nth(1) else {
        return ExitCode::FAILURE;
    };
    match build(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(dir: &Path) -> Result<(), mlk8s_graph::GraphError> {
    let mut store = Store::open(dir)?;
    store.commit_after(Duration::ZERO);
    let documents: Vec<Document> = (0..N_DOCUMENTS).map(document).collect();
    store.add(&documents, &Tell)?;
    Ok(())
}

/// The document of a number: people who found, lead and sell companies.
fn document(number: usize) -> Document {
    let names = [
        "Ada", "Boris", "Claire", "Dmitri", "Elena", "Farid", "Grace",
    ];
    let verbs = ["founded", "leads", "sold", "joined", "bought"];
    let sentence = |nth: usize| {
        let pick = number * 31 + nth * 17;
        let (who, what) = (names[pick % names.len()], verbs[pick % verbs.len()]);
        format!(
            "{who} Smith{} {what} Company{} in Town{}.",
            pick % 13,
            pick % 23,
            pick % 11
        )
    };
    let text = (0..N_SENTENCES).map(sentence).collect::<Vec<_>>().join(" ");
    Document {
        id: format!("{number:016x}"),
        title: format!("Document {number}"),
        source: PathBuf::from(format!("{number}.txt")),
        kind: Kind::Text,
        n_pages: None,
        original: text.clone(),
        spans: SpanMap::identity(text.len()),
        text,
        steps: Vec::new(),
        remarks: Vec::new(),
    }
}
