//! Meanings beside a graph: vectors of its passages, by which questions in other words find them.
//!
//! They are an index of ours (crate `search`) in the graph's folder, made of what the graph holds: it may be lost, or be
//! behind the graph after a kill, and the next build brings it up to date. A passage that the graph does not know any
//! more counts for nothing.

mod make;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mlk8s_graph::Near;
use mlk8s_llm::row::Class;
use mlk8s_search::{Index, Mode, Query, SearchError};

use crate::call::Call;
use crate::encoders::Embedder;
use crate::error::{ErrorKind, MagicError};

pub(super) use make::{Wanted, bring, prune};

/// Where they are in the folder of a graph.
const FOLDER: &str = "meaning";
/// Passages that a question is told to be near to.
const NEAR: usize = 100;
/// How long a question waits for its vector: without one it is answered all the same.
const WAIT: Duration = Duration::from_secs(20);

/// What a graph knows about meanings.
pub(super) struct Known {
    /// The model that made the vectors.
    pub(super) model: String,
    /// Passages with a vector.
    pub(super) n_passages: usize,
}

/// What is known of the meanings of the graph in `dir`; nothing where none are, or where they cannot be read.
pub(super) fn known(dir: &Path) -> Option<Known> {
    let index = open(dir).ok()??;
    let n_passages = index.stats().n_vectors;
    (n_passages > 0).then(|| Known {
        model: index.settings().model.clone(),
        n_passages,
    })
}

/// The passages of the graph in `dir`, called `kg`, that are near `question` in meaning, and what there is to remark;
/// nothing of a graph without vectors.
pub(in crate::all) fn near(
    dir: &Path,
    kg: &str,
    question: &str,
    call: &mut Call,
) -> Result<(Vec<Near>, Option<String>), MagicError> {
    let compared = match open(dir) {
        Ok(None) => return Ok((Vec::new(), None)),
        Ok(Some(index)) if index.stats().n_vectors == 0 => return Ok((Vec::new(), None)),
        Ok(Some(index)) => compare(&index, kg, question, call),
        Err(error) => Err(error.into()),
    };
    match compared {
        Ok(near) => Ok((near, None)),
        Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
        Err(error) => {
            let remark = format!("meaning does not count this time: {}", error.message);
            Ok((Vec::new(), Some(remark)))
        }
    }
}

fn compare(
    index: &Index,
    kg: &str,
    question: &str,
    call: &mut Call,
) -> Result<Vec<Near>, MagicError> {
    let model = index.settings().model.clone();
    let embedder = Embedder::find(Some(&model), &run(kg), Class::Interactive, call)?;
    let asked = match embedder.encode_within(WAIT, &[question], call) {
        Err(error) if error.kind == ErrorKind::Interrupted && !call.cancel.is_raised() => {
            let message = format!(
                "`{}` did not answer within {} s",
                embedder.name(),
                WAIT.as_secs()
            );
            return Err(MagicError::new(ErrorKind::Endpoint, message));
        }
        asked => asked?,
    };
    let results = index.search(&Query {
        vector: Some(asked.values),
        mode: Mode::Vectors,
        top: NEAR,
        ..Query::default()
    })?;
    let hits = results.hits.into_iter();
    Ok(hits
        .map(|hit| Near {
            passage: hit.item.id,
            similarity: hit.score,
        })
        .collect())
}

/// Of which work the calls of the model are part.
fn run(kg: &str) -> String {
    format!("kg {kg}")
}

fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// The vectors of the graph in `dir`; none is no error.
fn open(dir: &Path) -> Result<Option<Index>, SearchError> {
    let dir = folder(dir);
    if Index::is_index(&dir) {
        Index::open(&dir).map(Some)
    } else {
        Ok(None)
    }
}
