//! The thread that owns evcxr: starts it, gives cells their values, runs them, completes and inspects.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, bounded};
use evcxr::{CommandContext, EvalCallbacks, EvalContext, EvalOutputs};
use mlk8s_catalog::session::{Import, ImportKind};
use serde_json::{Map, Value};

use super::prelude::{self, Prelude};
use super::{Completions, Documentation, Failure, Outputs, Shared, toolchain};

/// A task for the thread.
pub(super) enum Request {
    /// Compile and run a cell.
    Evaluate {
        code: String,
        imports: Vec<Import>,
        question: Sender<Asked>,
        reply: Sender<Evaluated>,
    },
    /// What could stand at the cursor.
    Complete {
        code: String,
        cursor: usize,
        reply: Sender<Completions>,
    },
    /// What is known about the name at the cursor.
    Inspect {
        code: String,
        cursor: usize,
        reply: Sender<Option<Documentation>>,
    },
}

/// A question of a cell to the user.
pub(super) struct Asked {
    pub(super) prompt: String,
    pub(super) password: bool,
    pub(super) answer: Sender<String>,
}

/// What came of a cell.
pub(super) struct Evaluated {
    /// How many times compiled code was run; each run ends with one report of the relay.
    pub(super) n_runs: usize,
    /// The value to show, or why there is none.
    pub(super) outcome: Result<Option<Map<String, Value>>, Failure>,
}

impl Evaluated {
    /// Of a cell that was stopped before its turn came.
    fn stopped() -> Evaluated {
        Evaluated {
            n_runs: 0,
            outcome: Err(Failure::interrupted(None)),
        }
    }
}

/// Works on requests until the handle is gone.
pub(super) fn run(requests: &Receiver<Request>, shared: &Arc<Shared>) {
    let started = start(shared);
    let mut evaluator = match started {
        Ok((evaluator, outputs)) => {
            // A failure here means that somebody else set it, which nobody does.
            let _ = shared.ready.set(Ok(outputs));
            evaluator
        }
        Err(failure) => {
            let _ = shared.ready.set(Err(failure));
            return;
        }
    };
    for request in requests {
        match request {
            Request::Evaluate {
                code,
                imports,
                question,
                reply,
            } => {
                if shared.stopping.load(Ordering::SeqCst) {
                    let _ = reply.send(Evaluated::stopped());
                    continue;
                }
                shared.busy.store(true, Ordering::SeqCst);
                let evaluated = evaluator.evaluate(&code, imports, &question);
                shared.busy.store(false, Ordering::SeqCst);
                let _ = reply.send(evaluated);
            }
            Request::Complete {
                code,
                cursor,
                reply,
            } => {
                let _ = reply.send(evaluator.complete(&code, cursor));
            }
            Request::Inspect {
                code,
                cursor,
                reply,
            } => {
                let _ = reply.send(evaluator.inspect(&code, cursor));
            }
        }
    }
}

/// evcxr and what it has been given.
struct Evaluator {
    context: CommandContext,
    /// What was imported, to be imported again when the child had to be restarted.
    imported: Vec<Import>,
    has_prelude: bool,
}

fn start(shared: &Arc<Shared>) -> Result<(Evaluator, Outputs), Failure> {
    let prelude = Prelude::find();
    if let Some(project) = toolchain::project_dir() {
        lock_versions(&project);
    }
    let mut child =
        Command::new(std::env::current_exe().map_err(|e| Failure::start(&e.to_string()))?);
    if let Ok(dir) = prelude.as_ref().map(Prelude::library_dir)
        && let Some(path) = library_path(dir)
    {
        child.env("LD_LIBRARY_PATH", path);
    }
    let (context, outputs) = EvalContext::with_subprocess_command(child)
        .map_err(|error| Failure::start(&error.to_string()))?;
    let context = CommandContext::with_eval_context(context);
    if let Ok(mut process) = shared.process.lock() {
        *process = Some(context.process_handle());
    }
    let mut evaluator = Evaluator {
        context,
        imported: Vec::new(),
        has_prelude: false,
    };
    evaluator.has_prelude = prelude.is_ok() && evaluator.take_prelude().is_ok();
    while outputs.stdout.try_recv().is_ok() || outputs.stderr.try_recv().is_ok() {}
    let outputs = Outputs {
        stdout: outputs.stdout,
        stderr: outputs.stderr,
    };
    Ok((evaluator, outputs))
}

impl Evaluator {
    fn take_prelude(&mut self) -> Result<(), evcxr::Error> {
        let source = prelude::source_dir();
        let code = format!(
            ":opt 1\n:dep {} = {{ path = \"{}\" }}\nuse {}::cell::*;",
            prelude::PRELUDE_PACKAGE,
            source.display(),
            prelude::PRELUDE_CRATE
        );
        self.context.execute(&code)?;
        // evcxr learns that a cell may use `?` by failing to compile one, and then shows its value as plain text.
        self.context.execute("Ok::<(), std::io::Error>(())?;")?;
        self.report_panics()
    }

    /// Has the child tell us of panics; anew after each start of it.
    fn report_panics(&mut self) -> Result<(), evcxr::Error> {
        let call = format!("{}::report_panics();", prelude::PRELUDE_CRATE);
        self.context.execute(&call).map(drop)
    }

    fn evaluate(
        &mut self,
        code: &str,
        imports: Vec<Import>,
        question: &Sender<Asked>,
    ) -> Evaluated {
        let mut n_runs = 0;
        if !imports.is_empty() && self.has_prelude {
            if let Err(failure) = self.import(&imports, &mut n_runs) {
                return Evaluated {
                    n_runs,
                    outcome: Err(failure),
                };
            }
            self.imported
                .retain(|old| !imports.iter().any(|new| new.name == old.name));
            self.imported.extend(imports);
        }
        let outcome = self.execute(&without_held(code), question, &mut n_runs);
        if matches!(&outcome, Err(evcxr::Error::SubprocessTerminated(_))) {
            let mut again = usize::from(self.has_prelude && self.report_panics().is_ok());
            let back = self.imported.clone();
            let restored = self.import(&back, &mut again).is_ok();
            let outcome =
                outcome.map_err(|error| Failure::of(&error, code).after_crash(&back, restored));
            return Evaluated {
                n_runs: again,
                outcome: outcome.map(|_| None),
            };
        }
        let outcome = outcome
            .map(|outputs| bundle(&outputs))
            .map_err(|error| Failure::of(&error, code));
        Evaluated { n_runs, outcome }
    }

    /// Declares each value with its type written out, so that nothing has to be inferred.
    fn import(&mut self, imports: &[Import], n_runs: &mut usize) -> Result<(), Failure> {
        let mut code = String::new();
        for import in imports {
            let (kind, reader) = match import.kind {
                ImportKind::Frame => ("DataFrame", "import_frame"),
                ImportKind::Graph => ("KnowledgeGraph", "import_graph"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                code,
                "let {}: {kind} = {}::{reader}({:?}).unwrap();",
                import.name,
                prelude::PRELUDE_CRATE,
                import.path.to_string_lossy()
            );
        }
        if code.is_empty() {
            return Ok(());
        }
        let outputs = self
            .context
            .execute(&code)
            .map_err(|error| Failure::of(&error, &code))?;
        *n_runs += usize::from(!outputs.phases.is_empty());
        Ok(())
    }

    fn execute(
        &mut self,
        code: &str,
        question: &Sender<Asked>,
        n_runs: &mut usize,
    ) -> Result<EvalOutputs, evcxr::Error> {
        let mut callbacks = EvalCallbacks {
            input_reader: &|asked| {
                let (answer, answers) = bounded(1);
                let asked = Asked {
                    prompt: asked.prompt,
                    password: asked.is_password,
                    answer,
                };
                match question.send(asked) {
                    Ok(()) => answers.recv().unwrap_or_default(),
                    Err(_) => String::new(),
                }
            },
        };
        let outputs = self.context.execute_with_callbacks(code, &mut callbacks)?;
        *n_runs += usize::from(!outputs.phases.is_empty());
        Ok(outputs)
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let Ok(found) = self.context.completions(code, cursor) else {
            return Completions::default();
        };
        Completions {
            start: found.start_offset,
            end: found.end_offset,
            matches: found
                .completions
                .into_iter()
                .map(|completion| (completion.code, completion.kind.to_owned()))
                .collect(),
        }
    }

    fn inspect(&mut self, code: &str, cursor: usize) -> Option<Documentation> {
        let (plain, html) = self.context.hover_at(code, cursor).ok()?;
        let known = !plain.is_empty() && plain != "No documentation found";
        known.then_some(Documentation { plain, html })
    }
}

/// Comments out `:dep` lines of crates that the prelude holds.
fn without_held(code: &str) -> String {
    let lines = code.lines().map(|line| {
        let wanted = line
            .strip_prefix(":dep ")
            .and_then(|rest| rest.split(['=', ' ']).next());
        match wanted {
            Some(name) if prelude::HELD.contains(&name.trim()) => format!("// {line}"),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// evcxr's contents as a MIME bundle; `None` when there is nothing.
fn bundle(outputs: &EvalOutputs) -> Option<Map<String, Value>> {
    let mut bundle = Map::new();
    for (mime, content) in &outputs.content_by_mime_type {
        let is_json = mime.ends_with("json");
        let value = serde_json::from_str(content).ok().filter(|_| is_json);
        bundle.insert(
            mime.clone(),
            value.unwrap_or_else(|| Value::from(content.clone())),
        );
    }
    crate::display::chart::enrich(&mut bundle);
    if !bundle.is_empty() && !bundle.contains_key("text/plain") {
        bundle.insert(
            "text/plain".to_owned(),
            Value::from("(shown in a notebook only)"),
        );
    }
    (!bundle.is_empty()).then_some(bundle)
}

/// Gives rust-analyzer's copy of the dependency graph the versions that the prelude was built with.
fn lock_versions(project: &Path) {
    let lock = prelude::source_dir().join("../../Cargo.lock");
    // Without it cargo resolves anew, which only takes longer.
    let _ = std::fs::copy(lock, project.join("Cargo.lock"));
}

/// The loader's path with the prelude and the standard library of the compiler first.
fn library_path(prelude: Option<&Path>) -> Option<std::ffi::OsString> {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()
        .ok()?;
    let libraries = String::from_utf8(asked.stdout).ok()?;
    let old = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let all = prelude
        .into_iter()
        .map(Path::to_owned)
        .chain([std::path::PathBuf::from(libraries.trim())])
        .chain(std::env::split_paths(&old));
    std::env::join_paths(all).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dep_that_the_prelude_holds_is_not_added_again() {
        let code = ":dep polars = \"0.55\"\n:dep regex\nlet x = 1;";
        assert_eq!(
            without_held(code),
            "// :dep polars = \"0.55\"\n:dep regex\nlet x = 1;"
        );
    }
}
