//! What a build under a name that is taken would cost: said before it happens, and done only when the new texts are there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlk8s_search::{Index, Item, Vectors, Watch};

use super::place;
use crate::error::{ErrorKind, MagicError};
use crate::session::Session;

/// Titles that are named before the rest is only counted.
const NAMED: usize = 3;
/// Items that are looked at for one of the same file.
const LOOKED_AT: usize = 10_000;

/// What an index has, seen from the items that are to be in it.
pub(super) struct Old {
    ids: BTreeSet<String>,
    /// What is not among the items.
    gone: Vec<String>,
}

impl Old {
    /// Compares `index` with `items`.
    pub(super) fn of(index: &Index, items: &[Item]) -> Result<Old, MagicError> {
        let ids: BTreeSet<String> = index.ids()?.into_iter().collect();
        let kept: BTreeSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let gone = ids.iter().filter(|id| !kept.contains(id.as_str()));
        Ok(Old {
            gone: gone.cloned().collect(),
            ids,
        })
    }

    /// An error when what is there and what is to come have nothing in common: then a name was taken by mistake, or one index
    /// is to have both.
    pub(super) fn check(
        &self,
        name: &str,
        index: &Index,
        items: &[Item],
    ) -> Result<(), MagicError> {
        if self.gone.is_empty() || self.gone.len() < self.ids.len() {
            return Ok(());
        }
        let sources: BTreeSet<&str> = items.iter().map(|item| item.source.as_str()).collect();
        for id in self.gone.iter().take(LOOKED_AT) {
            let source = index.get(id)?.map(|item| item.source).unwrap_or_default();
            // An edited file is another text, and yet the same document.
            if !source.is_empty() && sources.contains(source.as_str()) {
                return Ok(());
            }
        }
        let message = format!(
            "index `{name}` has {} of other texts: {}; nothing of it is among these {}",
            counted(self.ids.len()),
            self.titles(index)?,
            items.len()
        );
        Err(MagicError::new(ErrorKind::Usage, message).with_hint(
            "`--add` adds these to it, `--replace` puts these in its place, `--as NAME` makes another index beside it; \
             `%search list` shows all",
        ))
    }

    /// Whether some of `items` would take the place of what is there.
    pub(super) fn has_any(&self, mut items: impl Iterator<Item = impl AsRef<str>>) -> bool {
        items.any(|id| self.ids.contains(id.as_ref()))
    }

    /// Ids of what is there and not among the items.
    pub(super) fn gone(&self) -> Vec<&str> {
        self.gone.iter().map(String::as_str).collect()
    }

    /// What is said of what goes, before it is gone.
    pub(super) fn told(&self, index: &Index) -> Result<String, MagicError> {
        Ok(format!(
            "{} were in the index and are not among these, so they are gone: {}; `--add` keeps what is there",
            counted(self.gone.len()),
            self.titles(index)?
        ))
    }

    /// Titles of what is not among the items.
    fn titles(&self, index: &Index) -> Result<String, MagicError> {
        let mut titles: Vec<String> = Vec::new();
        for id in &self.gone {
            let title = index.get(id)?.map(|item| item.title).unwrap_or_default();
            let title = format!("`{}`", title.replace('`', "'"));
            if !titles.contains(&title) {
                titles.push(title);
            }
            if titles.len() > NAMED {
                titles.truncate(NAMED);
                titles.push("…".to_owned());
                break;
            }
        }
        Ok(titles.join(", "))
    }
}

fn counted(n: usize) -> String {
    match n {
        1 => "1 item".to_owned(),
        n => format!("{n} items"),
    }
}

/// Texts with their vectors that are to take the place of others, kept until all of them are there: a kill loses neither those
/// nor what they replace.
pub(super) struct Waiting {
    dir: PathBuf,
    index: Index,
}

impl Waiting {
    /// The place for what is to come into `index`, with what an earlier build has left there.
    pub(super) fn open(
        name: &str,
        index: &Index,
        session: &Session,
    ) -> Result<Waiting, MagicError> {
        let dir = waiting_place(name, session);
        let settings = index.settings().clone();
        let left = if Index::is_index(&dir) {
            Some(Index::open(&dir)?).filter(|left| left.settings() == &settings)
        } else {
            None
        };
        let index = if let Some(left) = left {
            left
        } else {
            forget(&dir)?;
            Index::create(&dir, settings)?
        };
        Ok(Waiting { dir, index })
    }

    /// Those of `items` that are not there yet.
    pub(super) fn missing(&self, items: &[Item]) -> Result<Vec<usize>, MagicError> {
        Ok(self.index.changed(items, true)?)
    }

    /// Takes a part of them.
    pub(super) fn take(
        &mut self,
        part: &[Item],
        vectors: Vectors<'_>,
        watch: &dyn Watch,
    ) -> Result<(), MagicError> {
        self.index.add(part, Some(vectors), watch)?;
        Ok(())
    }

    /// Puts all of `items` into `index` at once, and is gone.
    pub(super) fn settle(
        self,
        items: &[Item],
        index: &mut Index,
        watch: &dyn Watch,
    ) -> Result<(), MagicError> {
        let dims = self.index.stats().dims.unwrap_or(1);
        let mut values = Vec::with_capacity(items.len() * dims);
        for item in items {
            let vector = self.index.vector(&item.id)?.ok_or_else(|| {
                let message = format!("the vector of `{}` is missing", item.id);
                MagicError::new(ErrorKind::Internal, message).with_hint("build the index once more")
            })?;
            values.extend_from_slice(vector);
        }
        let values = &values;
        index.add(items, Some(Vectors { values, dims }), watch)?;
        drop(self.index);
        forget(&self.dir)
    }
}

/// Removes what an unfinished build of the index called `name` has left.
pub(super) fn forget_waiting(name: &str, session: &Session) -> Result<(), MagicError> {
    forget(&waiting_place(name, session))
}

/// Where texts wait that are to come into the index called `name`; no index has a name with a dot.
fn waiting_place(name: &str, session: &Session) -> PathBuf {
    place(&format!(".{name}.new"), session)
}

fn forget(dir: &Path) -> Result<(), MagicError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(MagicError::new(
            ErrorKind::Input,
            format!("cannot remove `{}`: {error}", dir.display()),
        )),
        _ => Ok(()),
    }
}
