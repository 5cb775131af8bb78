//! rust-analyzer, through evcxr, in a process of its own: it completes and documents while a cell runs, takes its
//! time to load, and can end without harm.
//!
//! The kernel tells it with each question what there is in the session: items, and variables with their types. One
//! question and one answer are a line of JSON each.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use evcxr::{CommandContext, EvalContext};
use serde::{Deserialize, Serialize};

use super::{Completions, Documentation, View, prelude, stand_in};
use crate::kernel::locked;

/// Says that this program is to become the analyst; holds its directory.
const ROLE: &str = "MLK8S_ANALYST_DIR";
/// How nice it is to the compiler that runs beside it.
const NICENESS: &str = "10";

/// What the kernel asks.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// Crates that were added.
    dependencies: Vec<String>,
    /// What comes before the code.
    before: String,
    code: String,
    /// The place in the code, in bytes.
    cursor: usize,
    /// Documentation is wanted, not completions.
    inspect: bool,
}

/// What it answers.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    start: usize,
    end: usize,
    matches: Vec<(String, String)>,
    documentation: Option<(String, String)>,
}

/// The handle of the kernel.
pub(super) struct Analyst {
    dir: PathBuf,
    /// The loader's path.
    library_path: OsString,
    line: Mutex<Option<Line>>,
    /// The process, for whoever ends it while it is busy.
    process: Mutex<Option<u32>>,
}

struct Line {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Analyst {
    /// A handle that starts the process in `dir` when it is needed.
    pub(super) fn new(dir: PathBuf, library_path: OsString) -> Arc<Analyst> {
        Arc::new(Analyst {
            dir,
            library_path,
            line: Mutex::new(None),
            process: Mutex::new(None),
        })
    }

    /// Starts the process and has it load everything.
    pub(super) fn warm_up(&self, view: &View) {
        // Whatever it says: what was wanted is that it has looked.
        let _ = self.ask(view, "col(\"a\").al", 11, false);
    }

    /// What could stand at byte `cursor` of `code`.
    pub(super) fn complete(&self, view: &View, code: &str, cursor: usize) -> Completions {
        self.ask(view, code, cursor, false)
            .map_or_else(Completions::default, |answer| Completions {
                start: answer.start,
                end: answer.end,
                matches: answer.matches,
            })
    }

    /// What is known about the name at byte `cursor` of `code`.
    pub(super) fn inspect(&self, view: &View, code: &str, cursor: usize) -> Option<Documentation> {
        let (plain, html) = self.ask(view, code, cursor, true)?.documentation?;
        Some(Documentation { plain, html })
    }

    /// Ends the process, whatever it does.
    pub(super) fn end(&self) {
        if let Some(id) = locked(&self.process).take() {
            super::child::kill_group(id);
        }
    }

    fn ask(&self, view: &View, code: &str, cursor: usize, inspect: bool) -> Option<Answer> {
        let question = Question {
            dependencies: view
                .dependencies
                .iter()
                .map(|(name, what)| format!("{name} = {what}"))
                .collect(),
            before: before(view),
            code: code.to_owned(),
            cursor,
            inspect,
        };
        let mut line = locked(&self.line);
        if line.is_none() {
            *line = start(&self.dir, &self.library_path).ok();
            *locked(&self.process) = line.as_ref().map(|line| line.process.id());
        }
        let answer = line.as_mut()?.ask(&question);
        if answer.is_err() {
            // It has ended; the next question starts another.
            if let Some(line) = line.take() {
                line.end();
            }
        }
        answer.ok()
    }
}

impl Line {
    fn ask(&mut self, question: &Question) -> io::Result<Answer> {
        let text = serde_json::to_string(question)?;
        writeln!(self.to, "{text}")?;
        self.to.flush()?;
        loop {
            let mut answer = String::new();
            if self.from.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // evcxr writes there, too.
            if let Some(json) = answer.strip_prefix(ANSWER) {
                return Ok(serde_json::from_str(json)?);
            }
        }
    }

    fn end(mut self) {
        super::child::kill_group(self.process.id());
        // It was killed.
        let _ = self.process.wait();
    }
}

/// Begins a line that is an answer.
const ANSWER: &str = "\u{1}";

/// The items and variables of the session, on one line each way so that the code begins on a line of its own.
fn before(view: &View) -> String {
    let mut text = format!("{}\n", view.items);
    for (name, variable) in &view.variables {
        let mutable = if variable.mutable { "mut " } else { "" };
        let kind = variable.kind.trim_start_matches("::");
        text.extend(["let ", mutable, name, ": ", kind, " = panic!();\n"]);
    }
    text
}

fn start(dir: &Path, library_path: &OsString) -> io::Result<Line> {
    let bin = dir.join("bin");
    let project = dir.join("project");
    std::fs::create_dir_all(&bin)?;
    std::fs::create_dir_all(&project)?;
    let program = std::env::current_exe()?;
    for name in stand_in::NAMES {
        // One that is there already is ours.
        let _ = symlink(&program, bin.join(name));
    }
    let old = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(bin.clone()).chain(std::env::split_paths(&old)))
            .map_err(io::Error::other)?;
    // `nice` is there on every Unix; without it the analyst is as quick as the compiler.
    let mut command = Command::new("nice");
    command
        .args(["-n", NICENESS])
        .arg(&program)
        .current_dir(&project)
        .env("PATH", path)
        .env("EVCXR_TMPDIR", &project)
        // An `evcxr.toml` or `init.evcxr` elsewhere is not obeyed.
        .env("EVCXR_CONFIG_DIR", dir)
        .env("LD_LIBRARY_PATH", library_path)
        // What rust-analyzer leaves behind goes with the directory.
        .env("TMPDIR", dir)
        .env(ROLE, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut process = command.spawn()?;
    match (process.stdin.take(), process.stdout.take()) {
        (Some(to), Some(from)) => Ok(Line {
            process,
            to,
            from: BufReader::new(from),
        }),
        _ => Err(io::Error::other("the analyst has no pipes")),
    }
}

/// Becomes the analyst when the kernel started this program as one.
pub(super) fn hook() -> Option<ExitCode> {
    std::env::var_os(ROLE)?;
    // evcxr starts this program again to run what it compiles itself.
    evcxr::runtime_hook();
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve() -> io::Result<()> {
    let mut analysis = Analysis::start().map_err(io::Error::other)?;
    for line in io::stdin().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(question) => analysis.answer(&question),
            Err(_) => Answer::default(),
        };
        let text = serde_json::to_string(&answer)?;
        let mut out = io::stdout().lock();
        writeln!(out, "\n{ANSWER}{text}")?;
        out.flush()?;
    }
    Ok(())
}

/// evcxr, for what it knows and not for what it runs.
struct Analysis {
    context: CommandContext,
    dependencies: Vec<String>,
}

impl Analysis {
    fn start() -> Result<Analysis, evcxr::Error> {
        if let Some(project) = std::env::var_os("EVCXR_TMPDIR") {
            lock_versions(Path::new(&project));
        }
        let child = Command::new(
            std::env::current_exe().map_err(|error| evcxr::Error::Message(error.to_string()))?,
        );
        let (context, _outputs) = EvalContext::with_subprocess_command(child)?;
        let mut context = CommandContext::with_eval_context(context);
        let source = prelude::source_dir();
        let code = format!(
            ":dep {} = {{ path = \"{}\" }}\nuse {}::cell::*;",
            prelude::PRELUDE_PACKAGE,
            source.display(),
            prelude::PRELUDE_CRATE
        );
        context.execute(&code)?;
        Ok(Analysis {
            context,
            dependencies: Vec::new(),
        })
    }

    fn answer(&mut self, question: &Question) -> Answer {
        for line in &question.dependencies {
            if !self.dependencies.contains(line) {
                // Without the crate the rest is still known.
                let _ = self.context.execute(&format!(":dep {line}"));
                self.dependencies.push(line.clone());
            }
        }
        let text = format!("{}{}", question.before, question.code);
        let shift = question.before.len();
        if question.inspect {
            let found = self.context.hover_at(&text, shift + question.cursor).ok();
            let documentation =
                found.filter(|(plain, _)| !plain.is_empty() && plain != "No documentation found");
            return Answer {
                documentation,
                ..Answer::default()
            };
        }
        let Ok(found) = self.context.completions(&text, shift + question.cursor) else {
            return Answer::default();
        };
        Answer {
            start: found.start_offset.saturating_sub(shift),
            end: found.end_offset.saturating_sub(shift),
            matches: found
                .completions
                .into_iter()
                .map(|one| (one.code, one.kind.to_owned()))
                .collect(),
            documentation: None,
        }
    }
}
/// Gives rust-analyzer's copy of the dependency graph the versions that the prelude was built with.
fn lock_versions(project: &Path) {
    let lock = prelude::source_dir().join("../../Cargo.lock");
    // Without it cargo resolves anew, which only takes longer.
    let _ = std::fs::copy(lock, project.join("Cargo.lock"));
}
