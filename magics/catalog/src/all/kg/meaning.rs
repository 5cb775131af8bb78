//! Meanings beside a graph: vectors of its passages, by which questions in other words find them.
//!
//! They are an index of ours (crate `search`) in the graph's folder, made of what the graph holds: it may be lost, or be
//! behind the graph after a kill, and the next build brings it up to date. A passage that the graph does not know any
//! more counts for nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mlk8s_graph::{Index as Graph, Near, PassageText};
use mlk8s_llm::row::Class;
use mlk8s_search::{Index, Item, Mode, Query, Settings};

use crate::call::{Call, Watcher};
use crate::claim::Claim;
use crate::encoders::{Embedder, USUAL};
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;

/// Where they are in the folder of a graph.
const FOLDER: &str = "meaning";
/// Passages that become vectors without being asked for: half a minute on two cores.
const UNASKED: usize = 2000;
/// Passages that become vectors between two commits.
const PART: usize = 16_384;
/// Passages that a question is told to be near to.
const NEAR: usize = 100;

/// Which vectors a build makes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Those that the graph has are brought up to date; of a small graph without any, the usual model makes some.
    Usual,
    /// Those of this model.
    Of(&'a str),
    /// None, and those that are there go.
    None,
}

/// What a graph knows about meanings.
pub(super) struct Known {
    /// The model that made the vectors.
    pub(super) model: String,
    /// Passages with a vector.
    pub(super) n_passages: usize,
}

/// What is known of the meanings of the graph in `dir`.
pub(super) fn known(dir: &Path) -> Option<Known> {
    let index = open(dir)?;
    Some(Known {
        model: index.settings().model.clone(),
        n_passages: index.stats().n_vectors,
    })
}

/// Makes the vectors of what is new in the graph, and takes away those of what has gone; says what there is to say about it.
///
/// A model that is not there, or fails, is an error only where it was named: the graph answers without it, too.
pub(super) fn bring(
    wanted: Wanted<'_>,
    name: &ValueName,
    dir: &Path,
    graph: &Graph,
    call: &mut Call,
) -> Result<String, MagicError> {
    match make(wanted, name, dir, graph, call) {
        Err(error) if matches!(wanted, Wanted::Usual) && error.kind != ErrorKind::Interrupted => {
            Ok(format!(
                "questions find passages by names and words only: {}",
                error.message
            ))
        }
        Err(error) if error.kind == ErrorKind::Interrupted => {
            let message = format!("stopped while passages of `{name}` became vectors");
            Err(MagicError::new(ErrorKind::Interrupted, message).with_hint(
                "the graph is there and answers; run the cell again to go on, or with `--words-only` for no vectors",
            ))
        }
        // Elsewhere the model has another flag.
        Err(error) => {
            let hint = error.hint.replace("`--model ", "`--embed ");
            Err(error.with_hint(hint))
        }
        made => made,
    }
}

fn make(
    wanted: Wanted<'_>,
    name: &ValueName,
    dir: &Path,
    graph: &Graph,
    call: &mut Call,
) -> Result<String, MagicError> {
    let Some(_claim) = Claim::take(dir, ".meaning")? else {
        return Ok("another notebook is making its vectors".to_owned());
    };
    let begun = Instant::now();
    let old = open(dir);
    let has = old.as_ref().map(|index| index.settings().model.clone());
    let model = match (wanted, has.as_deref()) {
        (Wanted::None, _) => {
            remove(dir)?;
            return Ok(String::new());
        }
        (Wanted::Of(model), _) => named(model, call),
        (Wanted::Usual, Some(has)) => has.to_owned(),
        (Wanted::Usual, None) if call.session.encoders.find(USUAL).is_none() => {
            return Ok(String::new());
        }
        (Wanted::Usual, None) => USUAL.to_owned(),
    };
    let passages: Vec<PassageText<'_>> = graph.passages().collect();
    if matches!(wanted, Wanted::Usual) && has.is_none() && passages.len() > UNASKED {
        return Ok(format!(
            "`--embed {model}` lets questions in other words find its {} passages, which takes a while",
            passages.len()
        ));
    }
    let mut index = match old {
        Some(index) if has.as_deref() == Some(&*model) => index,
        _ => {
            // Vectors of another model say nothing to its questions.
            remove(dir)?;
            let settings = Settings {
                model: model.clone(),
                ..Settings::default()
            };
            Index::create(&folder(dir), settings)?
        }
    };
    let n_made = fill(&mut index, &passages, name, call)?;
    forget(&mut index, &passages)?;
    let (cancel, progress) = (&call.cancel, call.progress);
    index.compact(&Watcher { cancel, progress })?;
    Ok(match n_made {
        0 => String::new(),
        n => format!(
            "{n} passages became vectors in {:.1} s",
            begun.elapsed().as_secs_f32()
        ),
    })
}

/// Makes the vectors of the passages that have none; says how many.
fn fill(
    index: &mut Index,
    passages: &[PassageText<'_>],
    name: &ValueName,
    call: &mut Call,
) -> Result<usize, MagicError> {
    let items: Vec<Item> = passages.iter().map(item).collect();
    let changed = index.changed(&items, true)?;
    if changed.is_empty() {
        return Ok(0);
    }
    let model = index.settings().model.clone();
    let embedder = Embedder::find(Some(&model), &run(name.as_str()), Class::Batch, call)?;
    for part in changed.chunks(PART) {
        let part: Vec<Item> = part.iter().map(|&at| items[at].clone()).collect();
        let texts: Vec<&str> = part.iter().map(|item| item.text.as_str()).collect();
        let made = embedder.encode(&texts, call)?;
        index.check_dims(made.dims)?;
        let vectors = mlk8s_search::Vectors {
            values: &made.values,
            dims: made.dims,
        };
        let (cancel, progress) = (&call.cancel, call.progress);
        index.add(&part, Some(vectors), &Watcher { cancel, progress })?;
    }
    Ok(changed.len())
}

/// Takes away what is not among the passages.
fn forget(index: &mut Index, passages: &[PassageText<'_>]) -> Result<(), MagicError> {
    let here: BTreeSet<String> = passages.iter().map(PassageText::id).collect();
    let ids = index.ids()?;
    let gone: Vec<&str> = ids
        .iter()
        .map(String::as_str)
        .filter(|id| !here.contains(*id))
        .collect();
    if !gone.is_empty() {
        index.remove(&gone)?;
    }
    Ok(())
}

/// Takes away the vectors of what the graph has lost: nothing of a removed document stays on the disk.
pub(super) fn prune(dir: &Path, graph: &Graph, call: &Call) -> Result<(), MagicError> {
    let Some(mut index) = open(dir) else {
        return Ok(());
    };
    // Whoever builds at this moment takes them away, too.
    let Some(_claim) = Claim::take(dir, ".meaning")? else {
        return Ok(());
    };
    let passages: Vec<PassageText<'_>> = graph.passages().collect();
    forget(&mut index, &passages)?;
    let (cancel, progress) = (&call.cancel, call.progress);
    index.compact(&Watcher { cancel, progress })?;
    Ok(())
}

/// The passages of the graph in `dir`, called `kg`, that are near `question` in meaning, and what there is to remark;
/// nothing of a graph without vectors.
pub(in crate::all) fn near(
    dir: &Path,
    kg: &str,
    question: &str,
    call: &mut Call,
) -> Result<(Vec<Near>, Option<String>), MagicError> {
    let Some(index) = open(dir) else {
        return Ok((Vec::new(), None));
    };
    match compare(&index, kg, question, call) {
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
    let asked = embedder.encode(&[question], call)?;
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

/// A passage as it is indexed.
fn item(passage: &PassageText<'_>) -> Item {
    Item {
        id: passage.id(),
        text: passage.with_title(),
        ..Item::default()
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// The vectors of the graph in `dir`; damaged ones are as good as none, since a build makes them again.
fn open(dir: &Path) -> Option<Index> {
    let dir = folder(dir);
    if !Index::is_index(&dir) {
        return None;
    }
    Index::open(&dir).ok()
}

fn remove(dir: &Path) -> Result<(), MagicError> {
    let folder = folder(dir);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let message = format!("cannot remove `{}`: {error}", folder.display());
            Err(MagicError::new(ErrorKind::Input, message).with_hint("may this user write there?"))
        }
        _ => Ok(()),
    }
}

/// A directory is remembered as it is seen from anywhere.
fn named(model: &str, call: &Call) -> String {
    let dir = call.session.resolve(model.as_ref());
    if dir.is_dir() {
        dir.display().to_string()
    } else {
        model.to_owned()
    }
}
