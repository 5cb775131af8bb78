//! Reading: walks folders, reads files in parallel, and keeps any one file from taking the read down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::clean::{Draft, RULES};
use crate::document::{Corpus, Document, Kind, Reason, Unreadable};
use crate::format::{self, Extracted};
use crate::watch::Watch;

/// What to read and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Cleaning rules to leave out, by name.
    pub skip_rules: BTreeSet<String>,
    /// Largest file in bytes; also what all streams of a PDF together may unpack to.
    pub max_bytes: u64,
    /// Most pages of a PDF.
    pub max_pages: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            skip_rules: BTreeSet::new(),
            max_bytes: 256 << 20,
            max_pages: 5_000,
        }
    }
}

/// Why nothing was read at all; trouble with single files is in [`Corpus::unreadable`].
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// No such file or folder.
    #[error("no file or folder `{}`", path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A folder could not be listed.
    #[error("folder `{}` cannot be listed: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A rule to be skipped does not exist.
    #[error("no cleaning rule named `{name}`: there are {}", RULES.iter().map(|rule| rule.name).collect::<Vec<_>>().join(", "))]
    UnknownRule {
        /// The name as it was given.
        name: String,
    },
    /// The watch cancelled the read.
    #[error("the read was stopped")]
    Cancelled,
}

/// Reads files and folders (walked recursively, hidden entries left out), in parallel.
///
/// The result does not depend on the order of the paths or on the number of threads.
pub fn read(
    paths: &[PathBuf],
    options: &ReadOptions,
    watch: &dyn Watch,
) -> Result<Corpus, CorpusError> {
    if let Some(name) = options
        .skip_rules
        .iter()
        .find(|name| RULES.iter().all(|rule| rule.name != **name))
    {
        return Err(CorpusError::UnknownRule { name: name.clone() });
    }
    let files = files(paths)?;
    let done = AtomicUsize::new(0);
    let results: Vec<Vec<Result<Document, Unreadable>>> = files
        .par_iter()
        .map(|path| {
            if watch.cancelled() {
                return Vec::new();
            }
            let read = read_file(path, options, watch);
            watch.step(
                done.fetch_add(1, Ordering::Relaxed) + 1,
                files.len(),
                &file_name(path),
            );
            read
        })
        .collect();
    if watch.cancelled() {
        return Err(CorpusError::Cancelled);
    }
    Ok(gather(results.into_iter().flatten()))
}

/// Splits documents from failures and turns a second copy of a document into a failure.
fn gather(results: impl Iterator<Item = Result<Document, Unreadable>>) -> Corpus {
    let mut corpus = Corpus::default();
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for result in results {
        match result {
            Ok(document) => {
                if let Some(of) = seen.get(&document.id) {
                    let reason = Reason::Duplicate { of: of.clone() };
                    corpus.unreadable.push(Unreadable {
                        source: document.source,
                        reason,
                    });
                } else {
                    seen.insert(document.id.clone(), document.source.clone());
                    corpus.documents.push(document);
                }
            }
            Err(unreadable) => corpus.unreadable.push(unreadable),
        }
    }
    corpus
}

/// All files, sorted, each once.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CorpusError> {
    let mut found = BTreeMap::new();
    for path in paths {
        let kind = fs::metadata(path).map_err(|_| CorpusError::NotFound { path: path.clone() })?;
        if kind.is_dir() {
            walk(path, &mut found)?;
        } else {
            keep(path.clone(), &mut found);
        }
    }
    let mut files: Vec<PathBuf> = found.into_values().collect();
    files.sort();
    Ok(files)
}

/// Adds the files below a folder; links to folders are not followed, so that the walk ends.
fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, PathBuf>) -> Result<(), CorpusError> {
    let error = |source| CorpusError::Folder {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if hidden {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if kind.is_file()
            || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|to| to.is_file())
        {
            keep(entry.path(), found);
        }
    }
    Ok(())
}

/// Keeps a file under its real path, by the least of the names it was found under.
fn keep(path: PathBuf, found: &mut BTreeMap<PathBuf, PathBuf>) {
    let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let name = found.entry(real).or_insert_with(|| path.clone());
    if path < *name {
        *name = path;
    }
}

fn read_file(
    path: &Path,
    options: &ReadOptions,
    watch: &dyn Watch,
) -> Vec<Result<Document, Unreadable>> {
    let failed = |reason| {
        vec![Err(Unreadable {
            source: path.to_owned(),
            reason,
        })]
    };
    let bytes = match load(path, options) {
        Ok(bytes) => bytes,
        Err(reason) => return failed(reason),
    };
    // The readers rest on other people's parsers: a panic there is a broken file, not our end.
    let documents = catch_unwind(AssertUnwindSafe(|| documents(path, &bytes, options, watch)));
    match documents {
        Ok(Ok(documents)) => documents,
        Ok(Err(reason)) => failed(reason),
        Err(panic) => failed(Reason::Broken(panic_message(&*panic))),
    }
}

/// The documents that the bytes of a file hold, each with an id of its own.
fn documents(
    path: &Path,
    bytes: &[u8],
    options: &ReadOptions,
    watch: &dyn Watch,
) -> Result<Vec<Result<Document, Unreadable>>, Reason> {
    let mut seen = BTreeMap::new();
    let mut documents = Vec::new();
    for record in format::extract(path, bytes, options, watch)? {
        // A record of a JSON file keeps its id when others come and go.
        let part = if record.kind == Kind::Json {
            record.original.as_bytes()
        } else {
            bytes
        };
        let mut id = identify(&record, path, part, 0);
        let copies = seen.entry(id.clone()).or_insert(0_u32);
        if *copies > 0 {
            id = identify(&record, path, part, *copies);
        }
        *copies += 1;
        documents.push(finish(record, id, path, options));
    }
    Ok(documents)
}

/// The bytes of a file, if it is a regular file of a size that is allowed.
fn load(path: &Path, options: &ReadOptions) -> Result<Vec<u8>, Reason> {
    let about = fs::metadata(path).map_err(|error| Reason::Io(error.to_string()))?;
    if !about.is_file() {
        return Err(Reason::Unsupported);
    }
    match about.len() {
        0 => Err(Reason::Empty),
        bytes if bytes > options.max_bytes => Err(Reason::TooLarge {
            bytes,
            limit: options.max_bytes,
        }),
        _ => fs::read(path).map_err(|error| Reason::Io(error.to_string())),
    }
}

/// 16 hexadecimal digits that stand for kind, file name, title and bytes; `copy` tells equal records apart.
fn identify(record: &Extracted, path: &Path, bytes: &[u8], copy: u32) -> String {
    let mut hash = Sha256::new();
    for part in [
        record.kind.to_string().as_bytes(),
        file_name(path).as_bytes(),
        record.title.as_deref().unwrap_or("").as_bytes(),
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(copy.to_le_bytes());
    hash.update(bytes);
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut id, byte| {
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
            id.extend([digit(byte >> 4), digit(byte & 15)]);
            id
        })
}

fn finish(
    record: Extracted,
    id: String,
    path: &Path,
    options: &ReadOptions,
) -> Result<Document, Unreadable> {
    let failed = |reason| {
        Err(Unreadable {
            source: path.to_owned(),
            reason,
        })
    };
    let Extracted {
        kind,
        title,
        n_pages,
        original,
        marks,
        remarks,
    } = record;
    if original.len() > u32::MAX as usize / 4 {
        return failed(Reason::TooLarge {
            bytes: original.len() as u64,
            limit: u64::from(u32::MAX / 4),
        });
    }
    let (text, spans, steps) = Draft::new(&original, marks).clean(&options.skip_rules);
    if text.trim().is_empty() {
        return failed(if original.trim().is_empty() {
            Reason::Empty
        } else {
            Reason::NothingLeft
        });
    }
    let title = title
        .map(|title| tidy(&title))
        .filter(|title| !title.is_empty())
        .unwrap_or_else(|| stem(path));
    Ok(Document {
        id,
        title,
        source: path.to_owned(),
        kind,
        n_pages,
        original,
        text,
        steps,
        spans,
        remarks,
    })
}

/// A title in one line, with ligatures as letters and without control characters.
fn tidy(title: &str) -> String {
    let (title, ..) =
        Draft::new(title, Vec::new()).clean(&BTreeSet::from(TEXT_ONLY.map(str::to_owned)));
    title.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rules for texts that would take something away from a title.
const TEXT_ONLY: [&str; 5] = [
    "references",
    "citations",
    "author_year",
    "links",
    "run_in_labels",
];

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// What a panic said, in one line.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_else(|| "the reader gave up".to_owned());
    said.lines()
        .next()
        .unwrap_or("the reader gave up")
        .to_owned()
}

#[cfg(test)]
mod tests;
