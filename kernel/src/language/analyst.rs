//! rust-analyzer in a process of its own: it completes and documents while a cell runs, takes its time to load, and
//! can end without harm.
//!
//! The kernel tells it with each question what there is in the session: items, and variables with their types. One
//! question and one answer are a line of JSON each.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::analysis::{Analyzer, Cell};
use super::{Completions, Documentation, View};
use crate::kernel::locked;

/// Says that this program is to become the analyst; holds its directory.
const ROLE: &str = "MLK8S_ANALYST_DIR";
/// How nice it is to the compiler that runs beside it.
const NICENESS: &str = "10";
/// Bytes of stack; pages that are not used cost nothing.
const STACK: usize = 256 << 20;

/// What the kernel asks.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// Crates that were added.
    dependencies: Vec<String>,
    /// Items of the session.
    items: String,
    /// Variables of the session, as `let` lines.
    variables: String,
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
    /// It has read what it needs, so that answers come soon.
    ready: AtomicBool,
    /// No process is started any more.
    ended: AtomicBool,
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
            ready: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// Starts the process and has it load everything.
    pub(super) fn warm_up(&self, view: &View) {
        // Whatever it says: what was wanted is that it has looked at what is asked for most, and at names.
        for code in ["col(\"a\").al", "DataFrame::empty().la", "Da"] {
            let _ = self.ask(view, code, code.len(), false);
        }
        self.ready.store(true, Ordering::SeqCst);
    }

    /// Whether answers come soon.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// What could stand at byte `cursor` of `code`.
    pub(super) fn complete(&self, view: &View, code: &str, cursor: usize) -> Completions {
        let answer = self.ask(view, code, cursor, false);
        // One that had ended has been started again.
        self.ready.store(answer.is_some(), Ordering::SeqCst);
        answer.map_or_else(Completions::default, |answer| Completions {
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

    /// Ends the process for good, whatever it does; when this returns it writes nothing more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(id) = locked(&self.process).take() {
            super::child::kill_group(id);
        }
        // Whoever waits for an answer hears of the end and gives way.
        if let Some(line) = locked(&self.line).take() {
            line.end();
        }
    }

    fn ask(&self, view: &View, code: &str, cursor: usize, inspect: bool) -> Option<Answer> {
        let question = Question {
            dependencies: view
                .dependencies
                .iter()
                .map(|(name, what)| format!("{name} = {what}"))
                .collect(),
            items: view.items.clone(),
            variables: variables(view),
            code: code.to_owned(),
            cursor,
            inspect,
        };
        let mut line = locked(&self.line);
        if line.is_none() && !self.ended.load(Ordering::SeqCst) {
            *line = start(&self.dir, &self.library_path).ok();
            *locked(&self.process) = line.as_ref().map(|line| line.process.id());
            if self.ended.load(Ordering::SeqCst) {
                line.take()?.end();
            }
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
        let mut answer = String::new();
        if self.from.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }

    fn end(mut self) {
        super::child::kill_group(self.process.id());
        // It was killed.
        let _ = self.process.wait();
    }
}

/// The variables of the session as `let` lines.
fn variables(view: &View) -> String {
    let mut text = String::new();
    for (name, variable) in &view.variables {
        let mutable = if variable.mutable { "mut " } else { "" };
        let kind = variable.kind.trim_start_matches("::");
        text.extend(["let ", mutable, name, ": ", kind, " = panic!();\n"]);
    }
    text
}

fn start(dir: &Path, library_path: &OsString) -> io::Result<Line> {
    std::fs::create_dir_all(dir)?;
    let program = std::env::current_exe()?;
    // `nice` is there on every Unix; without it the analyst is as quick as the compiler.
    let mut command = Command::new("nice");
    command
        .args(["-n", NICENESS])
        .arg(&program)
        .current_dir(dir)
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
    let dir = PathBuf::from(std::env::var_os(ROLE)?);
    // Types of polars are deep, and rust-analyzer follows them by recursion.
    let serving = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || serve(&dir));
    Some(match serving.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn serve(dir: &Path) -> anyhow::Result<()> {
    let questions = questions();
    let mut analysis = Analysis {
        analyzer: Analyzer::load(dir)?,
        dependencies: Vec::new(),
    };
    for line in questions {
        let answer = match serde_json::from_str(&line) {
            Ok(question) => analysis.answer(question),
            Err(_) => Answer::default(),
        };
        let text = serde_json::to_string(&answer)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
    }
    Ok(())
}

/// The lines that the kernel writes. When the kernel is gone, however it went, this process ends in the middle of
/// whatever it does.
fn questions() -> crossbeam_channel::Receiver<String> {
    let (lines, questions) = crossbeam_channel::unbounded();
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
        #[expect(
            clippy::exit,
            reason = "rust-analyzer is not to be asked, and nothing has to be tidied"
        )]
        std::process::exit(0);
    });
    questions
}

/// rust-analyzer, and what it was told last about dependencies.
struct Analysis {
    analyzer: Analyzer,
    dependencies: Vec<String>,
}

impl Analysis {
    fn answer(&mut self, question: Question) -> Answer {
        if question.dependencies != self.dependencies {
            // Without the crates the rest is still known.
            let _ = self.analyzer.depend_on(&question.dependencies);
            self.dependencies = question.dependencies;
        }
        let cell = Cell {
            items: &question.items,
            variables: &question.variables,
            code: &question.code,
            cursor: question.cursor,
        };
        if question.inspect {
            return Answer {
                documentation: self.analyzer.hover(&cell),
                ..Answer::default()
            };
        }
        self.analyzer
            .complete(&cell)
            .map_or_else(Answer::default, |found| Answer {
                start: found.start,
                end: found.end,
                matches: found.matches,
                documentation: None,
            })
    }
}
