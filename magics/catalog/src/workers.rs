//! Models that this session runs: one process each. One that was loaded is an endpoint like any other while it runs; one that
//! was started because vectors are wanted is for the magics that want them.
//!
//! Unloading a model is ending its process: all of its memory is back then, that of a GPU too, whatever the libraries in
//! it kept.

mod stamp;
mod start;
mod wanted;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use mlk8s_llm::endpoint::{Endpoint, Endpoints, Process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::error::{ErrorKind, MagicError};

pub(crate) use start::{Device, Start};
pub(crate) use wanted::{Wanted, is_good, name_of};

/// How long a process may take to finish what it has begun, and to end then.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests that a model which makes vectors gets at once: while one computes, the others are read and written.
const VECTORS_AT_ONCE: usize = 4;
/// Between two looks at a process.
const GLANCE: Duration = Duration::from_millis(20);

/// The processes of this session, and where the programs are.
pub(crate) struct Workers {
    state: PathBuf,
    /// The program that runs models, and the one for CUDA, where they are.
    programs: Programs,
    /// The notebook that this is, where Jupyter says so.
    notebook: Option<String>,
    running: BTreeMap<String, Child>,
}

/// Where the programs are that run models.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// The one for processors.
    pub cpu: Option<PathBuf>,
    /// The one for CUDA.
    pub cuda: Option<PathBuf>,
}

/// What is known of a model that runs, on any notebook of this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What it is called, as endpoint and as model.
    pub(crate) name: String,
    /// What was loaded, as it was typed.
    pub(crate) source: String,
    /// Where it listens.
    pub(crate) url: String,
    /// The process.
    pub(crate) process: Process,
    /// What the process says of the model.
    pub(crate) summary: Summary,
    /// It writes text; else it makes vectors.
    pub(crate) writes: bool,
    /// Most tokens of a request and its answer.
    pub(crate) context: usize,
    /// Answers that are written at once; 0 where nothing is said.
    pub(crate) slots: usize,
    /// The directory or file of the model, as the system knows it.
    #[serde(default)]
    pub(crate) path: PathBuf,
    /// Its files as they were when it was started.
    #[serde(default)]
    pub(crate) stamp: String,
    /// A magic has started it because vectors were wanted; it ends by itself after some rest.
    #[serde(default)]
    pub(crate) on_demand: bool,
    /// Seconds that loading took.
    pub(crate) took_s: f64,
    /// Who has loaded it.
    #[serde(default)]
    pub(crate) loader: Loader,
}

/// Who has loaded a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Loader {
    /// The notebook, where Jupyter says which it is.
    notebook: String,
    /// Its kernel.
    kernel: Option<Process>,
}

impl Loader {
    /// The notebook whose kernel this process is.
    fn of(notebook: Option<String>) -> Loader {
        Loader {
            notebook: notebook.unwrap_or_default(),
            kernel: Process::of(std::process::id()),
        }
    }

    /// What it is called, where it is another notebook than this one and is still there.
    pub(crate) fn other(&self) -> Option<String> {
        let kernel = self.kernel.as_ref().filter(|kernel| kernel.is_running())?;
        (kernel.id != std::process::id()).then(|| match self.notebook.as_str() {
            "" => format!("another notebook (kernel {})", kernel.id),
            name => format!("the notebook `{name}` (kernel {})", kernel.id),
        })
    }
}

/// What has become of a model that was written down.
enum Kept {
    Running(Box<Record>),
    /// It belongs to another container, which has the same directory of state.
    Elsewhere,
    /// Or a kill left half of it.
    Ended,
}

impl Kept {
    fn read(file: &Path) -> Kept {
        let text = fs::read_to_string(file).unwrap_or_default();
        match serde_json::from_str::<Record>(&text) {
            Ok(record) if record.process.is_running() => Kept::Running(Box::new(record)),
            Ok(record) if !record.process.has_ended() => Kept::Elsewhere,
            _ => Kept::Ended,
        }
    }
}

/// What a process says of its model when it is ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    /// What a model that makes vectors is called by its makers.
    pub(crate) name: String,
    /// Whether it sees pictures.
    pub(crate) images: bool,
    pub(crate) architecture: String,
    pub(crate) precision: String,
    pub(crate) device: String,
}

impl Workers {
    pub(crate) fn new(state: &Path) -> Workers {
        Workers {
            state: state.to_owned(),
            programs: Programs::default(),
            notebook: None,
            running: BTreeMap::new(),
        }
    }

    /// Says where the programs are.
    pub(crate) fn set_programs(&mut self, programs: Programs) {
        self.programs = programs;
    }

    /// Says which notebook this is.
    pub(crate) fn set_notebook(&mut self, notebook: Option<String>) {
        self.notebook = notebook;
    }

    /// Whether models can run on a GPU, if there is one.
    pub(crate) fn has_cuda(&self) -> bool {
        self.programs.cuda.is_some()
    }

    /// All models that run on this machine and of which this person knows, by name.
    pub(crate) fn all(&self) -> Vec<Record> {
        let entries = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let files = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        let mut records: Vec<Record> = Vec::new();
        for file in files {
            match Kept::read(&file) {
                Kept::Running(record) => records.push(*record),
                Kept::Elsewhere => {}
                Kept::Ended => self.clear(&file),
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    /// Removes the record of a model that has ended, unless one of its name is being loaded, or has been, just now.
    fn clear(&self, file: &Path) {
        let Some(name) = file.file_stem().and_then(|name| name.to_str()) else {
            return;
        };
        if let Ok(Some(_claim)) = Claim::take(&self.dir(), name)
            && matches!(Kept::read(file), Kept::Ended)
        {
            // If it stays, it is looked at again next time.
            let _ = fs::remove_file(file);
        }
    }

    /// The model called `name`, or the only one.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Record, MagicError> {
        let mut all = self.all();
        let names: Vec<String> = all.iter().map(|one| format!("`{}`", one.name)).collect();
        let at = match name {
            Some(name) => all.iter().position(|one| one.name == name),
            None if all.len() == 1 => Some(0),
            // Those that came by themselves, for vectors, are not what somebody means who loaded one.
            None => {
                let mut asked = (0..all.len()).filter(|&at| !all[at].on_demand);
                asked.next().filter(|_| asked.next().is_none())
            }
        };
        if let Some(at) = at {
            return Ok(all.swap_remove(at));
        }
        let message = match name {
            Some(name) => format!("no model called `{name}` is loaded"),
            None if all.is_empty() => "no model is loaded".to_owned(),
            None => format!("{} models are loaded, and none was named", all.len()),
        };
        let hint = if names.is_empty() {
            "`%model load NAME` loads one".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        Err(MagicError::new(ErrorKind::NotFound, message).with_hint(hint))
    }

    /// Ends the process of `record`; what it was doing fails with that reason. Gives the bytes of memory that it had.
    pub(crate) fn unload(&mut self, record: &Record) -> Result<u64, MagicError> {
        let had = record.process.memory().unwrap_or_default();
        self.finish(record);
        self.forget(&record.name)?;
        Ok(had)
    }

    /// Ends the process of `record`.
    fn finish(&mut self, record: &Record) {
        // Another notebook may have loaded it again after this one's had died, and that one is not ours to wait for.
        let child = self.running.get(&record.name);
        let is_ours = child.is_some_and(|child| child.id() == record.process.id);
        let mut child = if is_ours {
            self.running.remove(&record.name)
        } else {
            None
        };
        end(&record.process, child.as_mut());
    }

    /// Takes what is known of `name` away, unless another notebook has loaded a model of that name since, or is at it.
    fn forget(&self, name: &str) -> Result<(), MagicError> {
        let claim = Claim::take(&self.dir(), name)?;
        if claim.is_none() || self.all().iter().any(|one| one.name == name) {
            return Ok(());
        }
        self.remove(name)
    }

    /// Takes what is known of `name` away; who calls it has the claim on that name.
    fn remove(&self, name: &str) -> Result<(), MagicError> {
        for end in ["json", "key"] {
            // It may never have been there.
            drop(fs::remove_file(self.dir().join(format!("{name}.{end}"))));
        }
        let mut endpoints = Endpoints::open(&self.state)?;
        endpoints.forget_ended()?;
        Ok(())
    }

    /// Writes the model of `record` down. One that was loaded becomes an endpoint, and if it writes, the one that is asked
    /// when none is named.
    fn announce(&self, record: &Record) -> Result<(), MagicError> {
        let text = serde_json::to_string_pretty(record)
            .map_err(|error| MagicError::new(ErrorKind::Internal, error.to_string()))?;
        self.write(&format!("{}.json", record.name), &text)?;
        if record.on_demand {
            return Ok(());
        }
        let mut endpoints = Endpoints::open(&self.state)?;
        endpoints.add(self.endpoint(record))?;
        if record.writes {
            endpoints.choose(&record.name)?;
        }
        Ok(())
    }

    /// The model of `record`, as calls know it.
    pub(crate) fn endpoint(&self, record: &Record) -> Endpoint {
        use mlk8s_llm::endpoint::{KeySource, Urgency};
        Endpoint {
            key: KeySource::File(self.dir().join(format!("{}.key", record.name))),
            model: Some(record.name.clone()),
            urgency: Urgency::Priority,
            local: true,
            concurrency: if record.writes {
                record.slots
            } else {
                VECTORS_AT_ONCE
            },
            process: Some(record.process.clone()),
            ..Endpoint::new(&record.name, &record.url)
        }
    }

    fn dir(&self) -> PathBuf {
        self.state.join("workers")
    }

    /// Writes a small file that only its owner may read.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf, MagicError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.dir().join(name);
        let written = fs::create_dir_all(self.dir()).and_then(|()| {
            let fresh = path.with_extension(format!("{}.new", std::process::id()));
            let mut file = fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&fresh, &path)
        });
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let message = format!("cannot write `{}`: {error}", path.display());
                Err(MagicError::new(ErrorKind::Internal, message)
                    .with_hint("MLK8S_STATE names a directory that this person may write to"))
            }
        }
    }
}

impl Drop for Workers {
    /// Models end with the session that loaded them.
    fn drop(&mut self) {
        for (name, mut child) in std::mem::take(&mut self.running) {
            if let Some(process) = Process::of(child.id()) {
                end(&process, Some(&mut child));
            }
            // Nobody is left to be told.
            let _ = self.forget(&name);
        }
    }
}

/// `path` as the system knows it, whatever links lead there.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Ends `process`: asks first, and does not wait long.
fn end(process: &Process, mut child: Option<&mut Child>) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if !process.is_running() {
            break;
        }
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(process.id.cast_signed()), signal);
        let asked = Instant::now();
        while process.is_running() && asked.elapsed() < PATIENCE {
            std::thread::park_timeout(GLANCE);
        }
    }
    if let Some(child) = &mut child {
        // It has ended; only its number is given back.
        let _ = child.wait();
    }
}
