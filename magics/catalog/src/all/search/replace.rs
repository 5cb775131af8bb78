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
        items: &[Item],
        session: &Session,
    ) -> Result<Waiting, MagicError> {
        let dir = waiting_place(name, session);
        let settings = index.settings().clone();
        // What is damaged, or does not fit any more, is made anew: it must not stand in the way of every build to come.
        let left = Index::open(&dir).ok().filter(|left| {
            let dims = left.stats().dims;
            left.settings() == &settings
                && dims.is_none_or(|dims| index.check_dims(dims).is_ok())
                && left.check(items, true).is_ok()
                && left.verify().is_ok()
        });
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

    /// Puts all of `items` into `index` at once, and is gone; says so where it could not be removed.
    pub(super) fn settle(
        self,
        items: &[Item],
        index: &mut Index,
        watch: &dyn Watch,
    ) -> Result<Option<String>, MagicError> {
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
        // The index is what it is to be, and the next build sees that what is left has nothing for it.
        Ok(forget(&self.dir).err().map(|error| error.message))
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

#[cfg(test)]
mod tests {
    use super::super::{Search, claim, remove};
    use super::*;
    use crate::call::{self, Call, Cancel};
    use crate::magic::Magic;
    use clap::Parser;
    use mlk8s_search::{Settings, Silent, Value};
    use std::collections::BTreeMap;
    use std::fs;

    fn item(id: &str, year: Value) -> Item {
        Item {
            id: id.to_owned(),
            text: "words".to_owned(),
            fields: BTreeMap::from([("year".to_owned(), year)]),
            ..Item::default()
        }
    }

    /// A session with an index `x` of two items, whose model cannot be asked.
    fn session(home: &Path) -> (Session, Index, [Item; 2]) {
        let session = Session::new("".into(), home.to_owned(), home.to_owned());
        let settings = Settings {
            model: "some@nowhere".to_owned(),
            ..Settings::default()
        };
        let mut index = Index::create(&place("x", &session), settings).unwrap();
        let items = ["a", "b"].map(|id| item(id, Value::Number(2024.0)));
        index.add(&items, Some(vectors(2)), &Silent).unwrap();
        (session, index, items)
    }

    fn vectors(dims: usize) -> Vectors<'static> {
        let values = match dims {
            2 => [1.0, 0.0, 0.0, 1.0].as_slice(),
            _ => &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        };
        Vectors { values, dims }
    }

    #[test]
    fn what_an_unfinished_build_left_is_used_if_it_is_whole_and_fits() {
        let home = tempfile::tempdir().unwrap();
        let (session, index, items) = session(home.path());
        let open = |items: &[Item]| Waiting::open("x", &index, items, &session).unwrap();
        let mut waiting = open(&items);
        assert_eq!(waiting.missing(&items).unwrap(), [0, 1]);
        waiting.take(&items, vectors(2), &Silent).unwrap();
        assert!(open(&items).missing(&items).unwrap().is_empty());
        // The column was text in the build that failed, and is not any more.
        let texts = ["a", "b"].map(|id| item(id, Value::Text("2024".to_owned())));
        assert_eq!(open(&texts).missing(&texts).unwrap(), [0, 1]);
        // The model has become another one.
        open(&items).take(&items, vectors(3), &Silent).unwrap();
        assert_eq!(open(&items).missing(&items).unwrap(), [0, 1]);
        for damage in ["meta.json", "vectors"] {
            open(&items).take(&items, vectors(2), &Silent).unwrap();
            let path = waiting_place("x", &session).join(damage);
            if path.is_dir() {
                for file in fs::read_dir(&path).unwrap() {
                    fs::write(file.unwrap().path(), "no vectors").unwrap();
                }
            } else {
                let begun = fs::read_to_string(&path).unwrap();
                fs::write(&path, &begun[..begun.len() / 2]).unwrap();
            }
            assert_eq!(open(&items).missing(&items).unwrap(), [0, 1], "{damage}");
        }
    }

    #[test]
    fn one_notebook_at_a_time_builds_an_index() {
        let home = tempfile::tempdir().unwrap();
        let (mut session, _, _) = session(home.path());
        let first = claim("x", &session).unwrap();
        let second = claim("x", &session).err().unwrap();
        assert!(
            second.message.contains("another notebook"),
            "{}",
            second.message
        );
        assert!(remove("x", &mut session).is_err());
        assert_eq!(session.indexes(), ["x"]);
        claim("y", &session).unwrap();
        drop(first);
        remove("x", &mut session).unwrap();
        assert!(session.indexes().is_empty());
    }

    #[test]
    fn what_is_refused_is_refused_before_a_model_is_asked() {
        let home = tempfile::tempdir().unwrap();
        let (mut session, _, _) = session(home.path());
        let mut refusal = |rows: &str| {
            fs::write(home.path().join("rows.csv"), rows).unwrap();
            let words = ["search", "build", "rows.csv", "--column", "text"];
            let search = Search::try_parse_from(words.into_iter().chain(["--as", "x"])).unwrap();
            let mut call = Call {
                session: &mut session,
                body: None,
                cancel: Cancel::default(),
                is_watched: false,
                progress: &call::Silent,
                confirm: &|_| None,
                variable: &|_| None,
                frame: &|_| None,
                frames: &Vec::new,
            };
            search.run(&mut call).err().unwrap().message
        };
        let said = refusal("id,text,year\na,one,early\nb,two,late\n");
        assert!(said.contains("field `year` of item `a`"), "{said}");
        let said = refusal("id,text,year\na,one,1\nb,two,2\na,three,3\n");
        assert!(said.contains("have the same id: `a`"), "{said}");
        let said = refusal("id,text,year\na,one,1\nb,two,2\n");
        assert!(said.contains("nowhere"), "{said}");
    }
}
