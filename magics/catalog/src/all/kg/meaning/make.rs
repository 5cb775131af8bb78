//! Vectors are made when a graph is built, and go with what is removed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use mlk8s_graph::{Index as Graph, PassageText, Store};
use mlk8s_llm::row::Class;
use mlk8s_search::{Index, Item, SearchError, Settings};

use super::{folder, open, run};
use crate::all::ask::dollars;
use crate::call::Call;
use crate::claim::Claim;
use crate::encoders::{Embedder, USUAL};
use crate::error::{ErrorKind, MagicError};
use crate::fetched;
use crate::names::ValueName;

/// Where vectors of another model wait until they are complete.
const WAITING: &str = "meaning.new";
/// Passages that become vectors without being asked for: half a minute on two cores.
const UNASKED: usize = 2000;
/// Passages that become vectors between two commits.
const PART: usize = 16_384;

/// Which vectors a build makes.
#[derive(Debug, Clone, Copy)]
pub(in crate::all::kg) enum Wanted<'a> {
    /// Those that the graph has are brought up to date; of a graph without any, the usual model makes some. Only few.
    Usual,
    /// Those of this model.
    Of(&'a str),
    /// None, and those that are there go.
    None,
}

/// A graph whose passages become vectors.
struct Work<'a> {
    name: &'a ValueName,
    dir: &'a Path,
    graph: &'a Graph,
    items: Vec<Item>,
}

/// What came of it.
#[derive(Default)]
struct Made {
    n: usize,
    n_cut: usize,
    usd: f64,
    remark: Option<String>,
}

/// Makes the vectors of what is new in the graph, and takes away those of what has gone; says what there is to say about it.
///
/// A model that is not there, or fails, is an error only where it was named: the graph answers without it, too.
pub(in crate::all::kg) fn bring(
    wanted: Wanted<'_>,
    name: &ValueName,
    dir: &Path,
    graph: &Graph,
    call: &mut Call,
) -> Result<String, MagicError> {
    let work = Work {
        name,
        dir,
        graph,
        items: graph.passages().map(|passage| item(&passage)).collect(),
    };
    match (work.make(wanted, call), wanted) {
        (Err(error), _) if error.kind == ErrorKind::Interrupted => {
            let message = format!("stopped while passages of `{name}` became vectors");
            Err(MagicError::new(ErrorKind::Interrupted, message).with_hint(
                "the graph is there and answers; run the cell again to go on, or with `--words-only` for no vectors",
            ))
        }
        (Err(error), Wanted::Usual) => Ok(format!("no new vectors: {}", error.message)),
        (Err(error), _) => {
            // Elsewhere the model has another flag.
            let hint = error.hint.replace("`--model ", "`--embed ");
            Err(error.with_hint(hint))
        }
        (made, _) => made,
    }
}

impl Work<'_> {
    fn make(&self, wanted: Wanted<'_>, call: &mut Call) -> Result<String, MagicError> {
        let Some(_claim) = claim(self.dir)? else {
            let message = format!("another notebook is making vectors of `{}`", self.name);
            return Err(MagicError::new(ErrorKind::Input, message).with_hint(
                "the graph is there and answers; run the cell again when that is done",
            ));
        };
        let begun = Instant::now();
        let old = self.old()?;
        let has = old.as_ref().map(|index| index.settings().model.clone());
        let model = match (wanted, has.as_deref()) {
            (Wanted::None, _) => {
                drop(old);
                remove(&self.dir.join(WAITING))?;
                remove(&folder(self.dir))?;
                return Ok(String::new());
            }
            (Wanted::Of(model), _) => fetched::remembered(model, call.session),
            (Wanted::Usual, Some(has)) => has.to_owned(),
            (Wanted::Usual, None) if call.session.encoders.find(USUAL).is_none() => {
                return Ok(String::new());
            }
            (Wanted::Usual, None) => USUAL.to_owned(),
        };
        let old = old.filter(|_| has.as_deref() == Some(&*model));
        let made = if let Some(mut index) = old {
            self.forget(&mut index)?;
            if let Some(few) = self.refuses(wanted, &index, &model)? {
                return Ok(few);
            }
            let made = self.fill(&mut index, call)?;
            self.tidy(&mut index, call)?;
            made
        } else {
            if matches!(wanted, Wanted::Usual) && self.items.len() > UNASKED {
                return Ok(too_many(self.items.len(), &model));
            }
            self.renew(&model, call)?
        };
        Ok(made.told(begun))
    }

    /// The vectors that are there; those that are damaged are as good as none.
    fn old(&self) -> Result<Option<Index>, MagicError> {
        let opened = open(self.dir).and_then(|index| {
            if let Some(index) = &index {
                index.verify()?;
            }
            Ok(index)
        });
        match opened {
            Err(SearchError::Damaged { .. } | SearchError::Words { .. }) => {
                remove(&folder(self.dir))?;
                Ok(None)
            }
            opened => Ok(opened?),
        }
    }

    /// What is said where so many passages have no vector yet that somebody is to ask for them.
    fn refuses(
        &self,
        wanted: Wanted<'_>,
        index: &Index,
        model: &str,
    ) -> Result<Option<String>, MagicError> {
        let n_missing = index.changed(&self.items, true)?.len();
        let refused = matches!(wanted, Wanted::Usual) && n_missing > UNASKED;
        Ok(refused.then(|| too_many(n_missing, model)))
    }

    /// Makes all vectors anew, going on from where a stop or a kill ended it; those of another model are there until these are
    /// complete.
    fn renew(&self, model: &str, call: &mut Call) -> Result<Made, MagicError> {
        let place = self.dir.join(WAITING);
        let begun = Index::open(&place)
            .ok()
            .filter(|index| index.settings().model == model && index.verify().is_ok());
        let mut index = if let Some(index) = begun {
            index
        } else {
            remove(&place)?;
            let settings = Settings {
                model: model.to_owned(),
                ..Settings::default()
            };
            Index::create(&place, settings)?
        };
        let made = self.fill(&mut index, call)?;
        self.tidy(&mut index, call)?;
        drop(index);
        remove(&folder(self.dir))?;
        std::fs::rename(&place, folder(self.dir)).map_err(|error| unusable(&place, &error))?;
        Ok(made)
    }

    /// Makes the vectors of the passages that have none.
    fn fill(&self, index: &mut Index, call: &mut Call) -> Result<Made, MagicError> {
        let changed = index.changed(&self.items, true)?;
        let mut made = Made::default();
        if changed.is_empty() {
            return Ok(made);
        }
        let model = index.settings().model.clone();
        let run = run(self.name.as_str());
        let embedder = Embedder::find(Some(&model), &run, Class::Batch, call)?;
        made.remark = embedder.remark().map(str::to_owned);
        for part in changed.chunks(PART) {
            let texts: Vec<&str> = part
                .iter()
                .map(|&at| self.items[at].text.as_str())
                .collect();
            let vectors = embedder.encode(&texts, call)?;
            index.check_dims(vectors.dims).map_err(|error| {
                MagicError::from(error).with_hint("`--words-only` takes the old vectors away, and makes room for those of the model as it is now")
            })?;
            made.usd += vectors.usd;
            made.n_cut += vectors.n_cut;
            // A text without a word that the model knows has no direction.
            let rows = part.iter().zip(vectors.values.chunks(vectors.dims.max(1)));
            let (items, rows): (Vec<Item>, Vec<&[f32]>) = rows
                .filter(|(_, row)| row.iter().any(|x| *x != 0.0))
                .map(|(&at, row)| (self.items[at].clone(), row))
                .unzip();
            let values = rows.concat();
            let rows = mlk8s_search::Vectors {
                values: &values,
                dims: vectors.dims,
            };
            index.add(&items, Some(rows), &call.watcher())?;
            made.n += items.len();
        }
        Ok(made)
    }

    /// Takes away what the graph, or another notebook in the meantime, has lost, and what is left over of it on the disk.
    fn tidy(&self, index: &mut Index, call: &Call) -> Result<(), MagicError> {
        self.forget(index)?;
        index.compact(&call.watcher())?;
        Ok(())
    }

    /// Takes away the passages that the graph does not have; documents that another notebook has added stay.
    fn forget(&self, index: &mut Index) -> Result<(), MagicError> {
        let stored = Store::open(self.dir)?;
        let stored: BTreeSet<&str> = stored.documents().iter().map(|d| d.id.as_str()).collect();
        let passages: Vec<PassageText<'_>> = self.graph.passages().collect();
        let read: BTreeSet<&str> = passages.iter().map(|passage| passage.document).collect();
        let here: BTreeSet<&str> = self.items.iter().map(|item| item.id.as_str()).collect();
        let stays = |id: &str| {
            let document = id.rsplit_once(':').map_or(id, |(document, _)| document);
            stored.contains(document) && (here.contains(id) || !read.contains(document))
        };
        let ids = index.ids()?;
        let gone: Vec<&str> = ids
            .iter()
            .map(String::as_str)
            .filter(|id| !stays(id))
            .collect();
        if !gone.is_empty() {
            index.remove(&gone)?;
        }
        Ok(())
    }
}

impl Made {
    fn told(&self, begun: Instant) -> String {
        let mut told = Vec::new();
        match self.n {
            0 => {}
            1 => told.push("1 passage became a vector".to_owned()),
            n => {
                let took_s = begun.elapsed().as_secs_f32();
                told.push(format!("{n} passages became vectors in {took_s:.1} s"));
            }
        }
        if self.usd > 0.0 {
            told.push(format!("which cost {}", dollars(self.usd)));
        }
        if self.n_cut > 0 {
            told.push(format!("{} of them by their beginnings only", self.n_cut));
        }
        told.extend(self.remark.clone());
        told.join(", ")
    }
}

/// Takes away the vectors of what the graph has lost: nothing of a removed document stays on the disk. What cannot be pruned
/// goes as a whole, since a build makes it again. Says what there is to remark.
pub(in crate::all::kg) fn prune(
    name: &ValueName,
    dir: &Path,
    graph: &Graph,
    call: &Call,
) -> Result<Option<String>, MagicError> {
    let Some(_claim) = claim(dir)? else {
        return Ok(Some(
            "another notebook is making vectors, and takes away those of what was removed"
                .to_owned(),
        ));
    };
    let work = Work {
        name,
        dir,
        graph,
        items: graph.passages().map(|passage| item(&passage)).collect(),
    };
    remove(&dir.join(WAITING))?;
    let pruned = match open(dir) {
        Ok(Some(mut index)) => work.tidy(&mut index, call),
        Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if pruned.is_err() {
        remove(&folder(dir))?;
        return Ok(Some(
            "the vectors of its passages went, too; `%kg build` makes them again".to_owned(),
        ));
    }
    Ok(None)
}

/// The right to change the vectors of the graph in `dir`.
fn claim(dir: &Path) -> Result<Option<Claim>, MagicError> {
    Claim::take(dir, ".meaning")
}

fn too_many(n: usize, model: &str) -> String {
    format!(
        "{n} passages have no vectors: `--embed {model}` makes them, which takes a while, and lets questions in other words find them"
    )
}

/// A passage as it is indexed.
fn item(passage: &PassageText<'_>) -> Item {
    Item {
        id: passage.id(),
        text: passage.with_title(),
        ..Item::default()
    }
}

fn remove(folder: &Path) -> Result<(), MagicError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable(folder, &error)),
        _ => Ok(()),
    }
}

fn unusable(folder: &Path, error: &std::io::Error) -> MagicError {
    let message = format!("cannot use `{}`: {error}", folder.display());
    MagicError::new(ErrorKind::Input, message).with_hint("may this user write there?")
}
