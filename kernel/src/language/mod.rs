//! Rust cells: evcxr on a thread of its own, its child process, and the handle that the rest of the kernel uses.

mod child;
mod evaluator;
mod failure;
mod interrupt;
mod prelude;
mod stand_in;
mod toolchain;

use std::process::{Child, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mlk8s_catalog::session::Import;
use serde_json::{Map, Value};

use child::Ending;
use evaluator::{Asked, Evaluated, Request};
pub(crate) use failure::Failure;
pub(crate) use interrupt::Interrupted;

/// Begins a line with which the prelude tells of a panic; its message follows as a JSON string.
const PANIC: &str = "\u{1}mlk8s-panic ";
/// How long the last words of a cell may take from its stderr to us once the cell itself is done.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Becomes one of the other programs that this binary also is; returns the exit code when it was one.
pub(crate) fn hook() -> Option<ExitCode> {
    let done = stand_in::hook();
    if done.is_none() {
        child::hook();
    }
    done
}

/// Starts this program again in the environment that evcxr needs; returns when it is there.
pub(crate) fn enter() -> std::io::Result<()> {
    toolchain::enter()
}

/// Where a cell's output goes while it runs, and where its questions are answered.
pub(crate) trait Sink: Sync {
    /// Text for standard output.
    fn stdout(&self, text: &str);
    /// Text for standard error.
    fn stderr(&self, text: &str);
    /// Asks the user; `None` when the frontend does not allow it.
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

/// The handle to Rust cells; everything runs on one thread, in order.
pub(crate) struct Language {
    requests: Sender<Request>,
    shared: Arc<Shared>,
}

/// What the handle and the thread both see.
struct Shared {
    /// Set once evcxr is ready, or could not be started.
    ready: OnceLock<Result<Outputs, Failure>>,
    /// The process that runs cells; evcxr puts a new one in after a crash.
    process: Mutex<Option<Arc<Mutex<Child>>>>,
    /// Somebody waits for a cell.
    asked: AtomicBool,
    /// A cell is being compiled or run.
    busy: AtomicBool,
    /// The user wants the current cell to stop.
    stopping: AtomicBool,
}

/// What is heard on a cell's standard error besides text.
#[derive(Default)]
struct Heard {
    ending: Ending,
    /// How many times compiled code has ended.
    n_ended: usize,
    /// Messages of panics.
    panics: Vec<String>,
}

/// Lines that cells write.
#[derive(Clone, Debug)]
struct Outputs {
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Language {
    /// Starts evcxr and warms it up; returns at once, cells wait their turn.
    pub(crate) fn start() -> Language {
        let (requests, queue) = unbounded();
        let shared = Arc::new(Shared {
            ready: OnceLock::new(),
            process: Mutex::new(None),
            asked: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || evaluator::run(&queue, &theirs));
        Language { requests, shared }
    }

    /// Runs `code` after giving it `imports`; blocks until it is done, its output goes to `sink` meanwhile.
    pub(crate) fn evaluate(
        &self,
        code: &str,
        imports: &[Import],
        sink: &dyn Sink,
    ) -> Result<Evaluation, Failure> {
        self.shared.stopping.store(false, Ordering::SeqCst);
        self.shared.asked.store(true, Ordering::SeqCst);
        let evaluation = self.evaluate_to_the_end(code, imports, sink);
        self.shared.asked.store(false, Ordering::SeqCst);
        evaluation
    }

    fn evaluate_to_the_end(
        &self,
        code: &str,
        imports: &[Import],
        sink: &dyn Sink,
    ) -> Result<Evaluation, Failure> {
        let (reply, replies) = bounded(1);
        let (question, questions) = bounded(0);
        self.send(Request::Evaluate {
            code: code.to_owned(),
            imports: imports.to_vec(),
            question,
            reply,
        })?;
        let outputs = self.shared.ready.wait().clone()?;
        let mut heard = Heard::default();
        let evaluated = loop {
            crossbeam_channel::select! {
                recv(outputs.stdout) -> line => sink.stdout(&with_newline(line)),
                recv(outputs.stderr) -> line => hear(&with_newline(line), sink, &mut heard),
                recv(questions) -> asked => answer(asked, sink),
                recv(replies) -> done => break done.map_err(|_| Failure::gone())?,
            }
        };
        while let Ok(line) = outputs.stdout.try_recv() {
            sink.stdout(&format!("{line}\n"));
        }
        while heard.n_ended < evaluated.n_runs {
            let Ok(line) = outputs.stderr.recv_timeout(LAST_WORDS) else {
                break;
            };
            hear(&format!("{line}\n"), sink, &mut heard);
        }
        while let Ok(line) = outputs.stderr.try_recv() {
            hear(&format!("{line}\n"), sink, &mut heard);
        }
        self.conclude(evaluated, &heard, sink)
    }

    fn conclude(
        &self,
        evaluated: Evaluated,
        heard: &Heard,
        sink: &dyn Sink,
    ) -> Result<Evaluation, Failure> {
        if self.shared.stopping.swap(false, Ordering::SeqCst) {
            return Err(Failure::interrupted(evaluated.outcome.as_ref().err()));
        }
        let mut panics = heard.panics.iter();
        let fatal = if heard.ending.panicked {
            panics.next_back()
        } else {
            None
        };
        for message in panics {
            sink.stderr(&format!("a thread panicked: {message}\n"));
        }
        let bundle = evaluated.outcome?;
        if heard.ending.panicked {
            return Err(Failure::panicked(
                fatal.map_or("no message", String::as_str),
            ));
        }
        if heard.ending.left {
            return Err(Failure::left());
        }
        Ok(Evaluation { bundle })
    }

    /// What could stand at byte `cursor` of `code`; nothing while a cell runs, so that nobody waits for it.
    pub(crate) fn complete(&self, code: &str, cursor: usize) -> Completions {
        let (reply, replies) = bounded(1);
        let asked = Request::Complete {
            code: code.to_owned(),
            cursor,
            reply,
        };
        if self.is_occupied() || self.send(asked).is_err() {
            return Completions::default();
        }
        replies.recv().unwrap_or_default()
    }

    /// What is known about the name at byte `cursor` of `code`.
    pub(crate) fn inspect(&self, code: &str, cursor: usize) -> Option<Documentation> {
        let (reply, replies) = bounded(1);
        let asked = Request::Inspect {
            code: code.to_owned(),
            cursor,
            reply,
        };
        if self.is_occupied() || self.send(asked).is_err() {
            return None;
        }
        replies.recv().ok().flatten()
    }

    /// Stops the cell that is being compiled or run; does nothing when none is.
    pub(crate) fn interrupt(&self) -> Interrupted {
        interrupt::interrupt(&self.shared)
    }

    /// Ends the child and removes what was compiled.
    pub(crate) fn shutdown(&self) {
        interrupt::end_child(&self.shared);
        toolchain::leave();
    }

    fn is_occupied(&self) -> bool {
        self.shared.busy.load(Ordering::SeqCst) || self.shared.ready.get().is_none()
    }

    fn send(&self, request: Request) -> Result<(), Failure> {
        self.requests.send(request).map_err(|_| Failure::gone())
    }
}

fn with_newline(line: Result<String, crossbeam_channel::RecvError>) -> String {
    line.map(|line| format!("{line}\n")).unwrap_or_default()
}

/// Takes a line of stderr: a report of the relay or of the prelude, or text for the user.
fn hear(line: &str, sink: &dyn Sink, heard: &mut Heard) {
    if let Some(ending) = Ending::read(line) {
        heard.n_ended += 1;
        heard.ending = ending;
    } else if let Some(message) = line.strip_prefix(PANIC) {
        let message = serde_json::from_str(message).unwrap_or_else(|_| message.to_owned());
        heard.panics.push(message);
    } else if !line.is_empty() {
        sink.stderr(line);
    }
}

fn answer(asked: Result<Asked, crossbeam_channel::RecvError>, sink: &dyn Sink) {
    if let Ok(asked) = asked {
        let text = sink
            .input(&asked.prompt, asked.password)
            .unwrap_or_default();
        // The asker only goes away with the whole thread.
        let _ = asked.answer.send(text);
    }
}
