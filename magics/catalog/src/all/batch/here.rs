//! A run on this machine: the program `mlk8s-batch`, which has a kernel of its own; what it tells line by line is shown.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use super::{Batch, Ran, seen_from, took};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};

/// How often an interrupt is looked for.
const GLANCE: Duration = Duration::from_millis(50);
/// How long the run may take to keep what it has, once it was interrupted.
const PATIENCE: Duration = Duration::from_secs(20);
/// The notebook that is being run; set for what a run starts, so that one which runs itself comes to an end.
const RUNS: &str = "MLK8S_IN_BATCH";
/// Characters of an error that are shown here; the report has all of it.
const SHOWN: usize = 600;

/// What the program tells, a line of JSON each.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    /// A cell begins.
    Cell { cell: usize, of: usize },
    /// It shows something.
    Shows { text: String },
    /// It failed.
    Error {
        cell: usize,
        ename: String,
        evalue: String,
    },
    /// The kernel died, or the run could not begin.
    Dead { evalue: String },
    /// The same run has ended well before.
    Already { ended: Option<String> },
    /// Files are written.
    Done { report: PathBuf, executed: PathBuf },
    #[serde(other)]
    Other,
}

/// What is known of the run when its program has ended.
#[derive(Debug, Default)]
struct Told {
    cells: usize,
    failure: Option<String>,
    files: Option<(PathBuf, PathBuf)>,
    /// When the same run ended, where it was not run again.
    already: Option<String>,
}

impl Batch {
    /// Runs the notebook with a kernel of its own on this machine.
    pub(super) fn here(&self, notebook: &Path, call: &mut Call) -> Result<Ran, MagicError> {
        let begun = Instant::now();
        let out = self.out(call);
        let mut child = self.start(notebook, &out, call)?;
        let errors = gather(&mut child);
        let lines = listen(&mut child);
        let (told, interrupted) = follow(&child, &lines, call);
        let status = end(&mut child, interrupted);
        let said = errors.map(|thread| thread.join().unwrap_or_default());
        let home = call.session.resolve(Path::new("."));
        let place = |path: &Path| seen_from(&home, path).display().to_string();
        if interrupted {
            let kept = told.files.as_ref();
            let hint = kept.map_or_else(
                || format!("what was finished is in `{}`", place(&out)),
                |(report, _)| format!("what was finished is in `{}`", place(report)),
            );
            let message = format!("`{}` was interrupted", self.notebook.display());
            return Err(MagicError::new(ErrorKind::Interrupted, message).with_hint(hint));
        }
        match (status, told.failure, told.files) {
            (Some(0), None, Some((report, executed))) => Ok(Ran {
                title: format!("{} ran to its end", self.notebook.display()),
                facts: match told.already {
                    Some(ended) => vec![("was done before", ended), ("report", place(&report))],
                    None => vec![
                        ("cells", told.cells.to_string()),
                        ("took", took(begun.elapsed())),
                        ("report", place(&report)),
                    ],
                },
                files: vec![
                    ("report", seen_from(&home, &report)),
                    ("notebook with its results", seen_from(&home, &executed)),
                ],
            }),
            (status, failure, files) => {
                let why = failure
                    .or(said)
                    .filter(|why| !why.trim().is_empty())
                    .unwrap_or_else(|| format!("the run ended with status {status:?}"));
                let message = format!("`{}` failed: {}", self.notebook.display(), why.trim());
                let hint = match files {
                    Some((report, _)) => {
                        format!("`{}` has what was shown until then", place(&report))
                    }
                    None => format!("results, if any, are in `{}`", place(&out)),
                };
                Err(MagicError::new(ErrorKind::Input, message).with_hint(hint))
            }
        }
    }

    fn start(&self, notebook: &Path, out: &Path, call: &Call) -> Result<Child, MagicError> {
        let program = call.session.batch().ok_or_else(|| {
            let message = "the program that runs notebooks, `mlk8s-batch`, is not installed";
            MagicError::new(ErrorKind::NotFound, message).with_hint(
                "`cargo devbox lab` and the images have it; MLK8S_BATCH says where it is",
            )
        })?;
        if std::env::var_os(RUNS).is_some() {
            let message = "this notebook is itself run by `%batch`, and would start another";
            return Err(MagicError::new(ErrorKind::Usage, message)
                .with_hint("start both from a third one, one after the other"));
        }
        let mut command = Command::new(program);
        command
            .env(RUNS, notebook)
            .arg(notebook)
            .arg("--events")
            .arg("--out")
            .arg(out);
        for parameter in &self.parameters {
            command.arg("--param");
            command.arg(format!("{}={}", parameter.name, parameter.value));
        }
        if let Some(time) = self.deadline() {
            command.args(["--timeout", &time.as_secs().to_string()]);
        }
        if self.resume {
            command.arg("--resume");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let message = format!("cannot start `{}`: {error}", program.display());
                MagicError::new(ErrorKind::Internal, message)
            })
    }
}

/// Shows what the run tells, until it tells no more; whether the user interrupted it.
fn follow(child: &Child, lines: &Receiver<Event>, call: &Call) -> (Told, bool) {
    let mut told = Told::default();
    let mut interrupted: Option<Instant> = None;
    let mut at = (0, 0);
    loop {
        if call.cancel.is_raised() && interrupted.is_none() {
            interrupted = Some(Instant::now());
            // Not SIGINT: who starts servers in the background has them, and what they start, ignore it.
            signal(child, Signal::SIGTERM);
        }
        if interrupted.is_some_and(|since| since.elapsed() > PATIENCE) {
            signal(child, Signal::SIGKILL);
        }
        match lines.recv_timeout(GLANCE) {
            Ok(Event::Cell { cell, of }) => {
                at = (cell, of);
                told.cells = of;
                call.progress.report(cell.saturating_sub(1), of, "cells");
            }
            Ok(Event::Shows { text }) => {
                let shown = text.lines().next_back().unwrap_or_default();
                call.progress.report(at.0.saturating_sub(1), at.1, shown);
            }
            Ok(Event::Error {
                cell,
                ename,
                evalue,
            }) => {
                let evalue: String = evalue.chars().take(SHOWN).collect();
                told.failure = Some(format!("cell {cell}: {ename}: {evalue}"));
            }
            Ok(Event::Already { ended }) => told.already = Some(ended.unwrap_or_default()),
            Ok(Event::Dead { evalue }) => told.failure = Some(evalue),
            Ok(Event::Done { report, executed }) => told.files = Some((report, executed)),
            Ok(Event::Other) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return (told, interrupted.is_some()),
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
}

/// Its exit status, once it has ended; it is not waited for much longer when it was interrupted.
fn end(child: &mut Child, interrupted: bool) -> Option<i32> {
    let since = Instant::now();
    while interrupted && since.elapsed() < PATIENCE {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        std::thread::park_timeout(GLANCE);
    }
    if interrupted {
        // It may have ended by itself.
        let _ = child.kill();
    }
    child.wait().ok()?.code()
}

/// The lines of the program; the channel closes with its output. What is not one of ours is skipped.
fn listen(child: &mut Child) -> Receiver<Event> {
    let (out, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    // The rest is read so that the program never blocks.
                    let _ = out.send(event);
                }
            }
        });
    }
    lines
}

/// What it says on standard error.
fn gather(child: &mut Child) -> Option<JoinHandle<String>> {
    let mut stderr = child.stderr.take()?;
    Some(std::thread::spawn(move || {
        let mut said = Vec::new();
        // What came until then is enough.
        let _ = stderr.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }))
}
