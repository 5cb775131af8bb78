//! What can go wrong with finding, fetching and reading a model, and what to do about it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Files that a message lists before it only counts them.
const LISTED: usize = 40;

/// Why a model could not be found, fetched or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// The text is no name of a model.
    #[error("`{text}` names no model: {why}")]
    Reference {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
        /// What to write.
        hint: String,
    },
    /// A variable of the environment has a value that is of no use.
    #[error("`{variable}` is of no use: {why}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        why: String,
    },
    /// A file or directory could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that every model has is not there.
    #[error("no {what} in `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A file is not what it should be.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The cache does not have the model, and nothing else may be asked.
    #[error("`{name}` is not in the cache `{}`, and HF_HUB_OFFLINE forbids asking the hub", cache.display())]
    Offline {
        /// The model.
        name: String,
        /// The directory that was looked in.
        cache: PathBuf,
    },
    /// The server knows nothing of that name.
    #[error("no {what} at {server}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The server.
        server: String,
    },
    /// The server wants a licence to be accepted, or to know who asks.
    #[error("{server} does not give `{name}` to {}: {said}", if *has_token { "the owner of this token" } else { "strangers" })]
    Gated {
        /// The model.
        name: String,
        /// The server.
        server: String,
        /// Whether a token was sent.
        has_token: bool,
        /// What the server said.
        said: String,
    },
    /// The server refused for another reason.
    #[error("{server} refused `{what}` with status {status}: {said}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// There was no connection to the server from the beginning on.
    #[error("{server} cannot be reached: {why}")]
    NoConnection {
        /// The server.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// The server broke off too often, or was away for too long.
    #[error("{server} gave no `{what}` in {attempts} attempts: {why}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// The server.
        server: String,
        /// How often it was asked.
        attempts: usize,
        /// What went wrong last.
        why: String,
    },
    /// What the server sent is not what the protocol says.
    #[error("{server} answered `{what}` with something else: {why}")]
    Garbled {
        /// What was asked for.
        what: String,
        /// The server.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// There are several models in one place.
    #[error("`{name}` has these files, name one:{}", listed(files))]
    Choose {
        /// The model.
        name: String,
        /// The files with their bytes.
        files: Vec<(String, u64)>,
    },
    /// Nothing that can be loaded is there.
    #[error("`{name}` has no safetensors and no GGUF: {}", shortened(files))]
    NoWeights {
        /// The model.
        name: String,
        /// What is there instead.
        files: Vec<String>,
    },
    /// What came is not what was promised.
    #[error("`{file}` came damaged: its SHA-256 is {found}, and not {wanted}")]
    Mismatch {
        /// The file.
        file: String,
        /// What the server promised.
        wanted: String,
        /// What came.
        found: String,
    },
    /// The disk is full, or would be.
    #[error("`{}` has no room: {} to go, {} free", path.display(), size(*needed), free.map_or("nothing".to_owned(), size))]
    NoSpace {
        /// The directory or file.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes that are free, where known.
        free: Option<u64>,
    },
    /// The user wanted to stop.
    #[error("interrupted; what has come stays, and the next try goes on from there")]
    Cancelled,
}

impl ModelsError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Reference { hint, .. } => hint.clone(),
            Self::Damaged { path, .. } => format!(
                "fetch the model again; if `{}` is of the hub's cache, remove it and what it links to first",
                path.display()
            ),
            Self::Offline { name, .. } => {
                format!("unset HF_HUB_OFFLINE to download `{name}`, or name a directory")
            }
            Self::Gated { name, server, .. } => format!(
                "accept the licence at {server}/{name}, then set HF_TOKEN to a token that may read it"
            ),
            Self::NotFound { server, .. } => format!(
                "look for it at {server}; private models need HF_TOKEN, and a branch is written `org/name@branch`"
            ),
            Self::NoConnection { .. } => {
                "is there a network? HF_ENDPOINT names another hub, HTTPS_PROXY a way to it; a directory here is written `./NAME`, \
                 and `%model ls` shows what is on this machine"
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "what has come stays: load the model again to go on from there; HF_ENDPOINT names another hub"
                    .to_owned()
            }
            Self::Choose { name, files } => {
                let first = files.first().map_or("file.gguf", |(file, _)| file);
                format!("for example `{name}:{first}`")
            }
            Self::NoWeights { .. } => {
                "pickles are never loaded; look for a conversion of the model to safetensors or GGUF".to_owned()
            }
            Self::NoSpace { .. } => {
                "make room, or set HF_HUB_CACHE to a directory on a larger disk; what has come stays".to_owned()
            }
            Self::Mismatch { .. } => {
                "load the model again; if that does not help, the server or something before it is broken".to_owned()
            }
            Self::Missing { .. } => {
                "a model is a directory with config.json, tokenizer.json and *.safetensors, or a .gguf file".to_owned()
            }
            _ => return None,
        })
    }

    /// Whether the server is away, at first or in the middle.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoConnection { .. })
    }

    /// What the operating system said about `path`.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// Bytes as people write them, in powers of 1000 as shops and hubs do: `4.9 GB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

fn listed(files: &[(String, u64)]) -> String {
    let mut out = String::new();
    for (name, bytes) in files.iter().take(LISTED) {
        let _ = write!(out, "\n  {name}  {}", size(*bytes));
    }
    if files.len() > LISTED {
        let _ = write!(out, "\n  and {} more", files.len() - LISTED);
    }
    out
}

fn shortened(files: &[String]) -> String {
    if files.is_empty() {
        return "it is empty".to_owned();
    }
    let mut out = files[..files.len().min(10)].join(", ");
    if files.len() > 10 {
        let _ = write!(out, " and {} more", files.len() - 10);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1000), "1.0 kB");
        assert_eq!(size(999_960), "1.0 MB");
        assert_eq!(size(4_920_000_000), "4.9 GB");
        assert_eq!(size(u64::MAX), "18.4 EB");
    }
}
