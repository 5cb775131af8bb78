//! Starting the process of a model: what it reports while it loads, and what becomes of it when that fails.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use mlk8s_llm::endpoint::{Endpoints, Process};
use serde::Deserialize;
use uuid::Uuid;

use super::{Loader, Record, Summary, Workers, real, stamp};
use crate::call::{Cancel, Progress};
use crate::claim::Claim;
use crate::error::{ErrorKind, MagicError};

/// How often an interrupt is looked for.
const GLANCE: Duration = Duration::from_millis(50);
/// Lines of the log that say why a process ended.
const LAST_LINES: usize = 4;
/// Seconds without work after which a process ends that was started because vectors were wanted.
const REST_S: &str = "600";
/// Largest request that such a process reads: pictures are sent in it, and come from nobody else.
const LARGEST: &str = "128M";
const MIB: u64 = 1 << 20;

/// Where a model is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// On the GPU if there is one that can be used, else on the processor
    Auto,
    /// On the processor
    Cpu,
    /// On the GPU
    Cuda,
}

/// A model to be started.
pub(crate) struct Start<'a> {
    /// What it is to be called.
    pub(crate) name: &'a str,
    /// What was asked for, as it was typed.
    pub(crate) source: &'a str,
    /// The directory or file of the model.
    pub(crate) path: &'a Path,
    /// Where it is to run.
    pub(crate) device: Device,
    /// How its numbers are kept; as they are stored if nothing is said.
    pub(crate) precision: Option<&'a str>,
    /// Tokens of the longest conversation.
    pub(crate) context: Option<usize>,
    /// Sequences at once.
    pub(crate) slots: Option<usize>,
    /// Bytes of the keys and values of all of them.
    pub(crate) cache_bytes: Option<u64>,
    /// It is started because vectors are wanted: it is no endpoint, ends by itself after some rest, and gives way to one
    /// that is loaded by its name.
    pub(crate) on_demand: bool,
}

/// A model that has been loaded, and what should be known though it went well.
pub(super) type Loaded = (Record, Option<String>);

/// What the process says on its standard output, a line each.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Loading { done: u64, total: u64 },
    Ready(Ready),
    Failed { message: String, hint: String },
    Notice { message: String },
}

/// What it says when the model is there.
#[derive(Debug, Deserialize)]
struct Ready {
    port: u16,
    kind: String,
    context: usize,
    summary: Summary,
}

impl Workers {
    /// Loads a model. The second thing it gives is what should be known though it went well, such as that the GPU could
    /// not be used.
    pub(crate) fn start(
        &mut self,
        start: &Start,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Loaded, MagicError> {
        let started = self.try_start(start, cancel, progress)?;
        started.ok_or_else(|| {
            let message = format!(
                "another notebook is loading a model called `{}`",
                start.name
            );
            MagicError::new(ErrorKind::Input, message).with_hint(
                "`%model ls` shows when it is there; `--as NAME` gives this one another name",
            )
        })
    }

    /// As [`Workers::start`]; `None` when another notebook is loading a model of that name.
    pub(super) fn try_start(
        &mut self,
        start: &Start,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Option<Loaded>, MagicError> {
        // Held until the model is announced, so that two notebooks do not write one another's key.
        let Some(_claim) = Claim::take(&self.dir(), start.name)? else {
            return Ok(None);
        };
        if start.on_demand
            && let Some(record) = self.with(start.path)
        {
            // Another notebook has started it in the meantime.
            return Ok(Some((record, None)));
        }
        self.clear_name(start);
        self.check_name(start)?;
        self.launch(start, cancel, progress).map(Some)
    }

    /// Ends a process of that name which nobody has asked for by it.
    fn clear_name(&mut self, start: &Start) {
        let is_it = |old: &Record| old.name == start.name && old.on_demand;
        if let Some(old) = self
            .all()
            .into_iter()
            .find(is_it)
            .filter(|_| !start.on_demand)
        {
            self.finish(&old);
        }
        // Those that have ended by themselves are fetched, so that their numbers are free.
        self.running
            .retain(|_, child| !matches!(child.try_wait(), Ok(Some(_))));
    }

    /// Starts the program for the device, or the one for processors where that of the GPU cannot be used.
    fn launch(
        &mut self,
        start: &Start,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Loaded, MagicError> {
        let cuda = match (start.device, &self.programs.cuda) {
            (Device::Cpu, _) | (Device::Auto, None) => None,
            (_, Some(program)) => Some(program.clone()),
            (Device::Cuda, None) => {
                let message = "the program that runs models on a GPU is not built";
                return Err(MagicError::new(ErrorKind::NotFound, message)
                    .with_hint("`cargo devbox build cuda` builds it; `--on cpu` goes without"));
            }
        };
        let Some(cuda) = cuda else {
            return self.run(start, "cpu", &self.cpu()?, cancel, progress);
        };
        match self.run(start, "cuda", &cuda, cancel, progress) {
            Err(error) if start.device == Device::Auto && error.kind != ErrorKind::Interrupted => {
                let (record, _) = self.run(start, "cpu", &self.cpu()?, cancel, progress)?;
                Ok((record, Some(format!("not on the GPU: {error}"))))
            }
            done => done,
        }
    }

    /// An error when the name is taken: by a model, or by an endpoint, which must not be lost when the model ends.
    fn check_name(&self, start: &Start) -> Result<(), MagicError> {
        if let Some(old) = self.all().into_iter().find(|old| old.name == start.name) {
            let message = format!(
                "a model called `{}` is loaded already: {}",
                old.name, old.source
            );
            return Err(
                MagicError::new(ErrorKind::Input, message).with_hint(format!(
                    "`%model unload {}` ends it; `--as NAME` gives this one another name",
                    old.name
                )),
            );
        }
        let known = Endpoints::open(&self.state)?.all();
        if known
            .iter()
            .any(|endpoint| endpoint.name == start.name && endpoint.process.is_none())
        {
            let message = format!("an endpoint is called `{}` already", start.name);
            return Err(MagicError::new(ErrorKind::Input, message).with_hint(
                "`--as NAME` gives the model another name; `%endpoint list` shows those that are taken",
            ));
        }
        Ok(())
    }

    fn cpu(&self) -> Result<PathBuf, MagicError> {
        self.programs.cpu.clone().ok_or_else(|| {
            let message = "the program that runs models, `mlk8s-worker`, is not beside the kernel";
            MagicError::new(ErrorKind::NotFound, message)
                .with_hint("`cargo build` builds it; MLK8S_WORKER says where it is")
        })
    }

    fn run(
        &mut self,
        start: &Start,
        device: &str,
        program: &Path,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Loaded, MagicError> {
        let begun = Instant::now();
        let key = self.write(
            &format!("{}.key", start.name),
            &format!("{}\n", Uuid::new_v4().simple()),
        )?;
        let log = self.dir().join(format!("{}.log", start.name));
        let stamp = stamp::of_files(&real(start.path));
        let mut child = spawn(start, device, program, &key, &log)?;
        let loaded = wait(&mut child, start.name, &log, cancel, progress);
        let announced = loaded.and_then(|(ready, notice)| {
            let process = Process::of(child.id()).ok_or_else(|| ended(start.name, &log))?;
            let record = Record {
                name: start.name.to_owned(),
                source: start.source.to_owned(),
                url: format!("http://127.0.0.1:{}/v1", ready.port),
                process,
                summary: ready.summary,
                writes: ready.kind == "text",
                context: ready.context,
                slots: start.slots.unwrap_or_default(),
                path: real(start.path),
                stamp,
                on_demand: start.on_demand,
                took_s: begun.elapsed().as_secs_f64(),
                loader: Loader::of(self.notebook.clone()),
            };
            self.announce(&record)?;
            Ok((record, notice))
        });
        match announced {
            Ok(loaded) => {
                // One of that name that has died in the meantime is fetched, so that its number is free.
                if let Some(mut old) = self.running.insert(start.name.to_owned(), child) {
                    let _ = old.try_wait();
                }
                Ok(loaded)
            }
            Err(error) => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                // The first error is the one to tell.
                let _ = self.remove(start.name);
                Err(error)
            }
        }
    }
}

fn spawn(
    start: &Start,
    device: &str,
    program: &Path,
    key: &Path,
    log: &Path,
) -> Result<Child, MagicError> {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg(start.path)
        .args(["--name", start.name, "--device", device, "--port", "0"])
        .args(["--parent", &std::process::id().to_string(), "--shorten"])
        .arg("--key-file")
        .arg(key);
    if let Some(precision) = start.precision {
        command.args(["--precision", precision]);
    }
    if let Some(context) = start.context {
        command.args(["--context", &context.to_string()]);
    }
    if let Some(slots) = start.slots {
        command.args(["--slots", &slots.to_string()]);
    }
    if let Some(bytes) = start.cache_bytes {
        command.args(["--cache-bytes", &bytes.to_string()]);
    }
    if start.on_demand {
        command.args(["--idle", REST_S, "--max-body", LARGEST]);
    }
    let failed = |error: std::io::Error| {
        let message = format!("cannot start `{}`: {error}", program.display());
        MagicError::new(ErrorKind::Internal, message)
    };
    let log = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(log)
        .map_err(failed)?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)
}

/// Waits until the model is loaded; what it is, and what else there is to know.
fn wait(
    child: &mut Child,
    name: &str,
    log: &Path,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<(Ready, Option<String>), MagicError> {
    let lines = listen(child);
    let mut notice = None;
    loop {
        if cancel.is_raised() {
            let message = format!("`{name}` was not loaded: interrupted");
            return Err(MagicError::new(ErrorKind::Interrupted, message));
        }
        match lines.recv_timeout(GLANCE) {
            Ok(Line::Loading { done, total }) => {
                let (done, total) = ((done / MIB) as usize, total.div_ceil(MIB) as usize);
                progress.report(done, total, "MiB loaded");
            }
            Ok(Line::Ready(ready)) => return Ok((ready, notice)),
            Ok(Line::Notice { message }) => notice = Some(message),
            Ok(Line::Failed { message, hint }) => {
                return Err(MagicError::new(ErrorKind::Input, message).with_hint(hint));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended(name, log)),
        }
    }
}

/// The lines of the process; the channel closes with its output. What is not one of ours is skipped.
fn listen(child: &mut Child) -> Receiver<Line> {
    let (out, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    // Nobody waits any more once the model is loaded; the rest is read so that the process never blocks.
                    let _ = out.send(line);
                }
            }
        });
    }
    lines
}

/// The process has ended without a word: its log has the last ones.
fn ended(name: &str, log: &Path) -> MagicError {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("; ");
    let why = if last.is_empty() {
        "it said nothing; it may have been ended for want of memory".to_owned()
    } else {
        last
    };
    let message = format!("the process of `{name}` ended while it loaded: {why}");
    MagicError::new(ErrorKind::Internal, message).with_hint(format!(
        "its log is `{}`; `%model info` says what a model needs, and `--precision q8_0` makes it smaller",
        log.display()
    ))
}
