//! A model that makes vectors is started when it is wanted: one process for a model, whichever magic and notebook wants it.

use std::path::Path;

use mlk8s_llm::endpoint::Endpoints;

use super::start::{Device, Loaded, Start};
use super::{GLANCE, Record, Workers, real};
use crate::call::{Cancel, Progress};
use crate::error::{ErrorKind, MagicError};
use crate::gpu;

/// A model that vectors are wanted of.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// What was asked for, as it was typed.
    pub(crate) source: &'a str,
    /// The directory of the model.
    pub(crate) path: &'a Path,
    /// Tokens of the longest text, of a model that could read more.
    pub(crate) context: Option<usize>,
}

impl Workers {
    /// The process that has the model: the one that runs, or else a new one. With a new one comes what should be known
    /// though it went well, such as that the GPU could not be used.
    pub(crate) fn wanted(
        &mut self,
        wanted: &Wanted,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Loaded, MagicError> {
        loop {
            if let Some(record) = self.with(wanted.path) {
                return Ok((record, None));
            }
            let name = self.free_name(wanted.source)?;
            let start = Start {
                name: &name,
                source: wanted.source,
                path: wanted.path,
                device: Device::Auto,
                precision: None,
                context: wanted.context,
                slots: None,
                cache_bytes: None,
                on_demand: true,
            };
            if let Some((record, remark)) = self.try_start(&start, cancel, progress)? {
                // Nobody has asked for a GPU: where there is none, that is nothing to remark.
                return Ok((record, remark.filter(|_| gpu::may_be_here())));
            }
            if cancel.is_raised() {
                let message = format!("`{name}` was not loaded: interrupted");
                return Err(MagicError::new(ErrorKind::Interrupted, message));
            }
            // Another notebook is at it.
            std::thread::park_timeout(GLANCE);
        }
    }

    /// The process that has the model in `path`, if one runs.
    pub(super) fn with(&self, path: &Path) -> Option<Record> {
        let path = real(path);
        self.all().into_iter().find(|record| record.path == path)
    }

    /// A name for the model `source` that no other model and no endpoint has.
    fn free_name(&self, source: &str) -> Result<String, MagicError> {
        let base = name_of(source);
        let models = self.all().into_iter().map(|record| record.name);
        // What is still written down after that runs in another container with the same directory: its key and log are there.
        let files = std::fs::read_dir(self.dir())
            .into_iter()
            .flatten()
            .flatten();
        let elsewhere = files.filter_map(|file| {
            let path = file.path();
            let is_record = path.extension().is_some_and(|end| end == "json");
            is_record
                .then(|| path.file_stem()?.to_str().map(str::to_owned))
                .flatten()
        });
        let endpoints = Endpoints::open(&self.state)?.all();
        let taken: Vec<String> = models
            .chain(endpoints.into_iter().map(|endpoint| endpoint.name))
            .chain(elsewhere)
            .collect();
        let mut name = base.clone();
        let mut number = 2;
        while taken.contains(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        Ok(name)
    }
}

/// What a model is called, as endpoints are, when nobody says: the last part of what was typed.
pub(crate) fn name_of(source: &str) -> String {
    let last = source.trim_end_matches('/').rsplit(['/', ':']).next();
    let last = last.unwrap_or(source);
    let stem = last.strip_suffix(".gguf").unwrap_or(last);
    let stem = stem.split('@').next().unwrap_or(stem);
    let name = stem.to_lowercase().replace(|c| !is_good(c), "-");
    if name.is_empty() || name == "env" {
        "model".to_owned()
    } else {
        name
    }
}

/// Whether `c` can stand in the name of a model.
pub(crate) fn is_good(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_called_by_the_last_part_of_what_was_typed() {
        for (source, name) in [
            ("minilm", "minilm"),
            ("models/all-MiniLM-L6-v2/", "all-minilm-l6-v2"),
            ("org/Name.v2@main", "name-v2"),
            ("org/name:file.Q4_K.gguf", "file-q4_k"),
            ("/", "model"),
            ("env", "model"),
        ] {
            assert_eq!(name_of(source), name, "{source}");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let state = tempfile::tempdir().unwrap();
        let workers = Workers::new(state.path());
        assert_eq!(workers.free_name("a/minilm").unwrap(), "minilm");
        let mut endpoints = Endpoints::open(state.path()).unwrap();
        for name in ["minilm", "minilm-2"] {
            let endpoint = mlk8s_llm::endpoint::Endpoint::new(name, "http://gpu/v1");
            endpoints.add(endpoint).unwrap();
        }
        assert_eq!(workers.free_name("a/minilm").unwrap(), "minilm-3");
    }
}
