//! Rust cells: compiled by rustc against the prelude, run by a process of their own; completed by rust-analyzer.
//!
//! `source` takes a cell apart, `compose` makes a crate of it, `compile` a library, `process` has it run; `notes` are
//! the books on what cells leave behind. `analyst` is the process in which `analysis` asks rust-analyzer.

mod analysis;
mod analyst;
mod blocks;
mod child;
pub(crate) mod command;
mod compile;
mod compose;
mod dependencies;
mod diagnostic;
mod evaluator;
mod failure;
mod hearing;
pub(crate) mod lookup;
mod notes;
mod prelude;
mod process;
mod report;
mod running;
mod source;
mod toolchain;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use mlk8s_catalog::call::Cancel;
use mlk8s_catalog::complete::Frames;
use mlk8s_catalog::session::Import;
use serde_json::{Map, Value};

use crate::kernel::locked;
use analyst::Analyst;
use compile::Compiler;
use evaluator::Evaluator;
pub(crate) use failure::Failure;
use notes::Variable;
use prelude::Prelude;
use process::Process;
use running::Running;
use toolchain::Toolchain;

/// How long the end of the kernel waits for the cell that it has stopped.
const LAST_CELL: Duration = Duration::from_secs(1);

/// Becomes the other program that this binary also is; returns the exit code when it was one.
pub(crate) fn hook() -> Option<ExitCode> {
    analyst::hook()
}

/// Where a cell's output goes while it runs, and where its questions are answered.
pub(crate) trait Sink {
    /// Text for standard output.
    fn stdout(&self, text: &str);
    /// Text for standard error.
    fn stderr(&self, text: &str);
    /// Shows `data`, or shows it in place of what has the name `id`; an empty name is none.
    fn display(&self, update: bool, id: &str, data: Map<String, Value>);
    /// Removes what was shown; with `wait`, when the next output comes.
    fn clear(&self, wait: bool);
    /// Shows `n` warnings.
    fn warn(&self, n: usize, text: &str);
    /// Asks the user; `None` when the frontend does not allow it, or when the cell is stopped meanwhile.
    fn input(&self, prompt: &str, password: bool) -> Option<String>;
}

/// What a cell yields.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    /// The value of its last expression by MIME type, if it has one that can be shown.
    pub(crate) bundle: Option<Map<String, Value>>,
}

/// Completions for a stretch of the code.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    /// First byte of the stretch.
    pub(crate) start: usize,
    /// Byte after the stretch.
    pub(crate) end: usize,
    /// What could stand there, with its kind (`function`, `struct`, …).
    pub(crate) matches: Vec<(String, String)>,
}

/// Documentation of a name.
#[derive(Debug)]
pub(crate) struct Documentation {
    /// As plain text.
    pub(crate) plain: String,
    /// As HTML, made from rustdoc's Markdown.
    pub(crate) html: String,
}

/// What there is in the session, for whoever looks while a cell runs.
#[derive(Debug, Default)]
pub(crate) struct View {
    variables: BTreeMap<String, Variable>,
    items: String,
    dependencies: Vec<(String, String)>,
}

/// What the handle, the evaluator and interrupts all see.
#[derive(Default)]
struct Shared {
    /// The program that works for the cell, and whether the user wants the cell to stop.
    running: Running,
    /// The process that runs cells.
    remote: Mutex<Option<child::Remote>>,
    /// A cell is being compiled or run.
    busy: AtomicBool,
    /// The kernel ends: no process is started any more.
    ended: AtomicBool,
    view: Mutex<Arc<View>>,
}

/// The handle to Rust cells.
pub(crate) struct Language {
    evaluator: Arc<OnceLock<Result<Mutex<Evaluator>, Failure>>>,
    analyst: Arc<OnceLock<Arc<Analyst>>>,
    shared: Arc<Shared>,
}

impl Language {
    /// Starts what cells need, in `dir`; returns at once, cells wait their turn.
    pub(crate) fn start(dir: PathBuf, work_dir: PathBuf) -> Language {
        let language = Language {
            evaluator: Arc::default(),
            analyst: Arc::default(),
            shared: Arc::default(),
        };
        let (evaluator, analyst) = (
            Arc::clone(&language.evaluator),
            Arc::clone(&language.analyst),
        );
        let shared = Arc::clone(&language.shared);
        std::thread::spawn(move || {
            let started = prepare(&dir, work_dir, &shared).map(|(ready, path)| {
                // Set once, here.
                let _ = analyst.set(Analyst::new(dir.join("analyst"), path));
                Mutex::new(ready)
            });
            let is_there = started.is_ok();
            let _ = evaluator.set(started.map_err(|error| Failure::start(&error.to_string())));
            if let (true, Some(analyst)) = (is_there, analyst.get()) {
                let view = Arc::clone(&locked(&shared.view));
                analyst.warm_up(&view);
            }
        });
        language
    }

    /// Runs `code` after giving it `imports`; blocks until it is done, its output goes to `sink` meanwhile. `cancel` is
    /// raised before [`Language::interrupt`] is called.
    pub(crate) fn evaluate(
        &self,
        code: &str,
        imports: &[Import],
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Evaluation, Failure> {
        self.shared.running.begin();
        self.shared.busy.store(true, Ordering::SeqCst);
        let evaluator = self.evaluator.wait();
        let outcome = match evaluator {
            // The interrupt may have come before this was busy.
            _ if cancel.is_raised() || self.shared.running.is_stopped() => Err(
                Failure::interrupted("its turn had not come: all variables are kept"),
            ),
            Ok(evaluator) => locked(evaluator).evaluate(code, imports, sink),
            Err(failure) => Err(failure.clone()),
        };
        self.shared.busy.store(false, Ordering::SeqCst);
        outcome
    }

    /// What could stand at byte `cursor` of `code`.
    pub(crate) fn complete(&self, code: &str, cursor: usize) -> Completions {
        let view = self.view();
        let line = code[..cursor].rsplit('\n').next().unwrap_or_default();
        if line.starts_with(':') && !line.contains(' ') {
            return Completions {
                start: cursor - line.len(),
                end: cursor,
                matches: command::completions(line)
                    .into_iter()
                    .map(|name| (name.to_owned(), "magic".to_owned()))
                    .collect(),
            };
        }
        if let Some(columns) = lookup::columns(&view, code, cursor) {
            return columns;
        }
        if let Some(variables) = self.known(&view, code, cursor) {
            return variables;
        }
        self.analyst
            .get()
            .map_or_else(Completions::default, |analyst| {
                analyst.complete(&view, code, cursor)
            })
    }

    /// Whether what could stand at byte `cursor` is told without asking rust-analyzer.
    pub(crate) fn knows_at_once(&self, code: &str, cursor: usize) -> bool {
        self.known(&self.view(), code, cursor).is_some()
    }

    /// Variables that could stand there, until rust-analyzer has read its sources, which takes a while.
    fn known(&self, view: &View, code: &str, cursor: usize) -> Option<Completions> {
        let is_ready = self.analyst.get().is_some_and(|analyst| analyst.is_ready());
        (!is_ready).then(|| lookup::variables(view, code, cursor))?
    }

    /// The frames among the variables, and their columns.
    pub(crate) fn frames(&self) -> Frames {
        lookup::frames(&self.view())
    }

    /// What is known about the name at byte `cursor` of `code`.
    pub(crate) fn inspect(&self, code: &str, cursor: usize) -> Option<Documentation> {
        let view = self.view();
        let name = lookup::name_at(code, cursor);
        if let Some(variable) = view.variables.get(name) {
            return Some(lookup::describe(name, variable));
        }
        self.analyst.get()?.inspect(&view, code, cursor)
    }

    /// Whether there is a variable called `name`.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.view().variables.contains_key(name)
    }

    /// The type of the variable called `name`.
    pub(crate) fn kind(&self, name: &str) -> Option<String> {
        let view = self.view();
        let variable = view.variables.get(name)?;
        Some(notes::short(&variable.kind))
    }

    /// What there is in the session.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&locked(&self.shared.view))
    }

    /// Stops the cell that is being compiled or run; does nothing when none is.
    pub(crate) fn interrupt(&self) {
        if !self.shared.busy.load(Ordering::SeqCst) {
            return;
        }
        if !self.shared.running.stop()
            && let Some(remote) = locked(&self.shared.remote).as_ref()
        {
            remote.interrupt();
        }
    }

    /// Ends every process that was started, and waits until nothing writes into our directory any more.
    pub(crate) fn shutdown(&self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.running.end();
        if let Some(remote) = locked(&self.shared.remote).as_ref() {
            remote.kill();
        }
        if let Some(analyst) = self.analyst.get() {
            analyst.end();
        }
        let begun = Instant::now();
        while begun.elapsed() < LAST_CELL {
            match self
                .evaluator
                .get()
                .map(|started| started.as_ref().map(Mutex::try_lock))
            {
                Some(Ok(Ok(mut evaluator))) => return evaluator.end(),
                Some(Err(_)) => return,
                Some(Ok(Err(_))) | None => child::pause(),
            }
        }
    }

    /// The processes that belong to cells, for whoever wants to know what they use.
    pub(crate) fn process_id(&self) -> Option<u32> {
        locked(&self.shared.remote).as_ref().map(child::Remote::id)
    }
}

fn prepare(
    dir: &Path,
    work_dir: PathBuf,
    shared: &Arc<Shared>,
) -> std::io::Result<(Evaluator, std::ffi::OsString)> {
    let crates = dir.join("crates");
    std::fs::create_dir_all(&crates)?;
    let prelude = Prelude::find()?;
    let toolchain = Toolchain::find()?;
    let path = toolchain.library_path(prelude.dir());
    let process = Process::start(Prelude::find()?, path.clone(), dir, &work_dir, shared)?;
    let compiler = Compiler {
        rustc: toolchain.rustc,
        prelude,
        dir: crates,
    };
    Ok((
        Evaluator::new(compiler, process, work_dir, Arc::clone(shared)),
        path,
    ))
}

/// Checks what must hold of any text that is taken for a cell.
#[cfg(test)]
pub(crate) fn check_any(text: &str) {
    use source::Source;
    let source = Source::parse(text);
    let places = source.items.iter().map(|item| item.place.clone());
    let places = places
        .chain(source.value.clone())
        .chain(source.attributes.iter().cloned());
    for place in places {
        assert!(text.get(place.clone()).is_some(), "{place:?} of {text:?}");
    }
    let mut notes = notes::Notes::default();
    let (hints, variable) = (
        compose::Hints::default(),
        Variable {
            kind: "i32".to_owned(),
            ..Variable::default()
        },
    );
    notes.variables.insert("a".to_owned(), variable);
    notes.take_items(&source);
    let composed = compose::compose(1, &source, &notes, &hints, false);
    // Every character that was typed is in the crate, at a place that leads back to it.
    let mut found = vec![false; text.len()];
    for at in 0..composed.text.len() {
        if let Some(origin) = composed
            .origin(at)
            .filter(|origin| origin.is_cell && origin.at < text.len())
        {
            found[origin.at] |= origin.text.as_bytes()[origin.at] == composed.text.as_bytes()[at];
        }
    }
    let lost = found.iter().position(|found| !found);
    assert_eq!(lost, None, "of {text:?} in {}", composed.text);
}
