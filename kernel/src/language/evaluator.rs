//! Runs Rust cells: compiles each once, has the process run it, and keeps the books on what is left behind.

mod learn;
mod restore;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use mlk8s_catalog::session::Import;
use serde_json::{Map, Value};

use super::compile::{self, Compiled, Compiler};
use super::compose::{self, Composed, Hints};
use super::dependencies::Dependencies;
use super::failure::Failure;
use super::notes::{Kept, Notes, Variable};
use super::process::{Ended, Process};
use super::report::{self, Reporter};
use super::source::Source;
use super::{Evaluation, Shared, Sink, View};

/// How often a cell is compiled at most: each time the compiler taught us which of its variables cannot be kept.
const TRIES: usize = 8;

/// The session of Rust cells.
pub(super) struct Evaluator {
    pub(super) compiler: Compiler,
    pub(super) process: Process,
    pub(super) notes: Notes,
    pub(super) dependencies: Dependencies,
    /// Optimisation that the user wants; by itself it follows from the cell.
    pub(super) level: Option<String>,
    pub(super) offline: bool,
    pub(super) timing: bool,
    pub(super) work_dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    /// Variables that are no longer there, and why.
    gone: BTreeMap<String, String>,
    /// The latest errors of the compiler, as data.
    pub(super) last_errors: Vec<Value>,
    /// The text of the crate that was compiled last.
    pub(super) last_crate: String,
    /// Variables to be dropped before the next cell runs.
    forget: Vec<String>,
    number: usize,
}

/// A cell that is ready to run.
struct Ready {
    compiled: Compiled,
    composed: Composed,
    hints: Hints,
    used_up: BTreeSet<String>,
}

impl Evaluator {
    /// A session that compiles with `compiler` and runs in `process`.
    pub(super) fn new(
        compiler: Compiler,
        process: Process,
        work_dir: PathBuf,
        shared: Arc<Shared>,
    ) -> Evaluator {
        Evaluator {
            compiler,
            process,
            notes: Notes::default(),
            dependencies: Dependencies::default(),
            level: None,
            offline: false,
            timing: false,
            work_dir,
            shared,
            gone: BTreeMap::new(),
            last_errors: Vec::new(),
            last_crate: String::new(),
            forget: Vec::new(),
            number: 0,
        }
    }

    /// Runs `code` after giving it `imports`.
    pub(super) fn evaluate(
        &mut self,
        code: &str,
        imports: &[Import],
        sink: &dyn Sink,
    ) -> Result<Evaluation, Failure> {
        self.hear_late();
        self.import(imports, sink)?;
        let (code, shown) = self.commands(code, sink)?;
        let source = Source::parse(&code);
        let outcome = if source.is_empty() {
            Ok(Evaluation { bundle: shown })
        } else {
            if let Some(text) = shown
                .as_ref()
                .and_then(|bundle| bundle["text/plain"].as_str())
            {
                sink.stdout(&format!("{text}\n"));
            }
            self.run(&source, sink)
        };
        if let Err(failure) = &outcome
            && !failure.errors.is_empty()
        {
            self.last_errors.clone_from(&failure.errors);
        }
        self.publish();
        outcome
    }

    fn run(&mut self, source: &Source, sink: &dyn Sink) -> Result<Evaluation, Failure> {
        let begun = Instant::now();
        self.number += 1;
        let ready = self.compile(source)?;
        let compiled_in = begun.elapsed();
        self.warn(&ready, sink);
        let mut lost = self.notes.take_items(source);
        lost.retain(|name| !ready.composed.taken.contains(name));
        for name in &lost {
            self.gone.insert(
                name.clone(),
                format!("`{name}` is gone: its type was defined anew"),
            );
        }
        self.forget.extend(lost);
        let forget = std::mem::take(&mut self.forget);
        let library = ready.compiled.library.clone().unwrap_or_default();
        let shows_blocks = self.shows_blocks(source);
        let ended = self.process.run(
            &library,
            &compose::symbol(self.number),
            &forget,
            shows_blocks,
            &self.shared,
            sink,
        );
        // The process has it in memory, or will never have.
        let _ = std::fs::remove_file(&library);
        let outcome = match ended {
            Ok(ended) => {
                self.settle(source, &ready, &ended);
                self.judge(&ready, ended)
            }
            Err(failure) => Err(self.bring_back(failure)),
        };
        if self.timing {
            let ran_in = begun.elapsed().saturating_sub(compiled_in);
            sink.stderr(&format!(
                "compiled in {} ms, ran in {} ms\n",
                compiled_in.as_millis(),
                ran_in.as_millis()
            ));
        }
        outcome
    }

    /// Ends the process for good.
    pub(super) fn end(&mut self) {
        self.process.end_child();
    }

    /// Whether text of the cell may hold blocks of content that its own code writes in evcxr's way.
    fn shows_blocks(&self, source: &Source) -> bool {
        let marks =
            |text: &str| text.contains("evcxr_display") || text.contains("EVCXR_BEGIN_CONTENT");
        marks(&source.text) || self.notes.items.iter().any(|item| marks(&item.text))
    }

    fn compile(&mut self, source: &Source) -> Result<Ready, Failure> {
        let mut hints = Hints::default();
        let mut used_up = BTreeSet::new();
        let has_tokio = self.dependencies.contains("tokio");
        let level = self
            .level
            .clone()
            .unwrap_or_else(|| if source.is_heavy { "1" } else { "0" }.to_owned());
        for _ in 0..TRIES {
            let composed = compose::compose(self.number, source, &self.notes, &hints, has_tokio);
            let compiled = self
                .compiler
                .compile(
                    self.number,
                    &composed.text,
                    &level,
                    &self.dependencies,
                    &self.shared.running,
                )
                .map_err(|error| Failure::start(&error.to_string()))?;
            if self.shared.running.is_stopped() {
                return Err(Failure::interrupted(
                    "it was still being compiled: all variables are kept",
                ));
            }
            self.last_crate.clone_from(&composed.text);
            if compiled.library.is_some() {
                return Ok(Ready {
                    compiled,
                    composed,
                    hints,
                    used_up,
                });
            }
            if !learn::learn(
                &compiled,
                &composed,
                &file(self.number),
                &mut hints,
                &mut used_up,
            ) {
                return Err(self.report(&compiled, &composed));
            }
        }
        Err(Failure::new(
            "CompileError",
            "the compiler does not agree on what this cell leaves behind",
            "",
        ))
    }

    fn report(&self, compiled: &Compiled, composed: &Composed) -> Failure {
        if !compiled
            .diagnostics
            .iter()
            .any(super::diagnostic::Diagnostic::is_error)
        {
            let words = compiled.words.trim();
            return Failure::new(
                "CompileError",
                words.lines().next().unwrap_or("the compiler failed"),
                words,
            );
        }
        let gone = |name: &str| self.gone.get(name).cloned();
        let file = file(self.number);
        let reporter = Reporter {
            composed,
            file: &file,
            gone: &gone,
        };
        reporter.failure(&compiled.diagnostics)
    }

    fn warn(&self, ready: &Ready, sink: &dyn Sink) {
        let file = file(self.number);
        let reporter = Reporter {
            composed: &ready.composed,
            file: &file,
            gone: &|_| None,
        };
        let (mut n, mut text) = reporter
            .warnings(&ready.compiled.diagnostics)
            .unwrap_or_default();
        let mut names: Vec<(String, Option<String>)> = ready
            .hints
            .unkept
            .difference(&ready.used_up)
            .map(|name| (name.clone(), None))
            .collect();
        let nameless = ready
            .compiled
            .kinds
            .iter()
            .filter(|(_, kind)| !compile::has_name(kind));
        names.extend(nameless.map(|(name, kind)| (name.clone(), Some(kind.clone()))));
        n += names.len();
        text.push_str(&report::unkept(&names));
        if n > 0 {
            sink.warn(n, &text);
        }
    }

    /// Shows others what there is now.
    fn publish(&self) {
        let variables = self.notes.variables.clone();
        let items = self
            .notes
            .items
            .iter()
            .map(|item| &*item.text)
            .collect::<Vec<_>>()
            .join("\n");
        let dependencies = self
            .dependencies
            .iter()
            .map(|(name, what)| (name.to_owned(), what.to_owned()))
            .collect();
        *crate::kernel::locked(&self.shared.view) = Arc::new(View {
            variables,
            items,
            dependencies,
        });
    }
}

fn file(number: usize) -> String {
    compile::file_name(number)
}

/// A text as the only form of a result.
pub(super) fn plain(text: String) -> Map<String, Value> {
    let mut bundle = Map::new();
    bundle.insert("text/plain".to_owned(), text.into());
    bundle
}
