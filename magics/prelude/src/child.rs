//! The process that runs cells: takes commands of the kernel, loads compiled cells and calls them.
//!
//! Commands come as JSON, one a line, over a socket; [`crate::channel`] carries the events back. The thread that
//! reads commands never runs code of the user, so that an interrupt is always heard. Cells run one after the other on
//! one thread with a large stack, and what a thread keeps for itself is kept from cell to cell.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cells::{self, Ending};
use crate::{ask, channel as line, known};

/// Stack of the thread that runs cells, in bytes; the system gives memory only to what is used of it.
const STACK: usize = 256 << 20;
/// How long text without a newline waits until it is shown.
const FLUSH: Duration = Duration::from_millis(30);
/// How much likelier than the kernel this process is to be ended when memory runs out, from 0 to 1000; see proc(5).
const OOM_SCORE: &str = "600";
/// Bytes of all values that are kept against a crash.
const KEPT: usize = 256 << 20;

/// What the kernel wants.
#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
enum Command {
    /// Run the cell in a shared library.
    Run {
        library: PathBuf,
        symbol: String,
        /// Drop these variables first.
        forget: Vec<String>,
        /// Keep values here against a crash.
        snapshots: PathBuf,
    },
    /// Make variables of files.
    Load { values: Vec<Stored> },
    /// Stop the cell that is running.
    Interrupt,
    /// What the user typed; nothing when nobody can be asked.
    Answer { text: Option<String> },
}

/// A value in a file.
#[derive(Debug, Deserialize)]
struct Stored {
    name: String,
    key: String,
    path: PathBuf,
}

/// Runs cells until the kernel hangs up; `socket` is where it listens. The first line it sends is the token of marks.
pub(crate) fn run(socket: &Path) -> io::Result<()> {
    // A system without this file has no such score.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let stream = UnixStream::connect(socket)?;
    let mut commands = BufReader::new(stream.try_clone()?);
    let mut token = String::new();
    commands.read_line(&mut token)?;
    line::open(stream, token.trim_end().to_owned());
    let (work, works) = channel();
    std::thread::Builder::new()
        .name("cell".to_owned())
        .stack_size(STACK)
        .spawn(move || run_cells(&works))?;
    std::thread::spawn(|| {
        loop {
            std::thread::park_timeout(FLUSH);
            // A cell that holds the stream for itself flushes it itself.
            let _ = io::Write::flush(&mut io::stdout());
        }
    });
    for text in commands.lines() {
        match serde_json::from_str(&text?).map_err(io::Error::other)? {
            Command::Interrupt => cells::set_interrupted(true),
            Command::Answer { text } => ask::answer(text),
            command => {
                cells::set_interrupted(false);
                // The other thread ends only with the process.
                let _ = work.send(command);
            }
        }
    }
    Ok(())
}

fn run_cells(works: &Receiver<Command>) {
    cells::hear_panics(std::thread::current().id());
    line::send_aside(&json!({ "event": "ready" }));
    let mut kept = Kept::default();
    for work in works {
        match work {
            Command::Run {
                library,
                symbol,
                forget,
                snapshots,
            } => {
                cells::forget(&forget);
                let outcome = call(&library, &symbol);
                report(outcome);
                kept.renew(&snapshots);
            }
            Command::Load { values } => load(&values),
            Command::Interrupt | Command::Answer { .. } => {}
        }
    }
}

/// Loads a compiled cell, for good, and calls it.
fn call(library: &Path, symbol: &str) -> Result<(), String> {
    #[expect(
        unsafe_code,
        reason = "running compiled cells is what this process is for: the kernel compiled the library against this \
                  very prelude, and the symbol is a function of this signature"
    )]
    let function = unsafe {
        let library =
            libloading::os::unix::Library::new(library).map_err(|error| error.to_string())?;
        let function = library
            .get::<extern "C-unwind" fn()>(symbol.as_bytes())
            .map_err(|error| error.to_string())?;
        let function = *function;
        // Values of the cell's types live on: its code must stay.
        std::mem::forget(library);
        function
    };
    std::panic::catch_unwind(|| function()).map_err(|payload| {
        std::mem::forget(payload);
        "a variable could not be taken or kept".to_owned()
    })
}

fn report(outcome: Result<(), String>) {
    let (ending, shown) = cells::outcome();
    let mut variables = Vec::new();
    cells::for_touched(false, |name, value| {
        variables.push(json!({ "name": name, "about": known::describe(value) }));
    });
    let (how, message) = match (outcome, ending) {
        (Err(message), _) => (
            "panicked",
            cells::last_panic().map_or(message, |(said, _)| said),
        ),
        (_, Ending::Done) => ("done", String::new()),
        (_, Ending::Left(message)) => ("left", message),
        (_, Ending::Interrupted) => ("interrupted", String::new()),
        (_, Ending::Refused) => ("refused", String::new()),
        (_, Ending::Panicked) => {
            let (message, place) = cells::last_panic().unwrap_or_default();
            return line::send(ended("panicked", &message, &place, None, &variables));
        }
    };
    line::send(ended(
        how,
        &message,
        "",
        shown.map(|bundle| Value::Object(bundle.0)).as_ref(),
        &variables,
    ));
}

fn ended(
    how: &str,
    message: &str,
    place: &str,
    shown: Option<&Value>,
    variables: &[Value],
) -> Value {
    json!({
        "event": "ended", "how": how, "message": message, "place": place, "shown": shown,
        "variables": variables, "all": cells::names(),
    })
}

fn load(values: &[Stored]) {
    let mut loaded = Vec::new();
    let mut failed = Vec::new();
    for stored in values {
        let value = known::by_key(&stored.key)
            .ok_or_else(|| io::Error::other(format!("values of `{}` cannot be read", stored.key)))
            .and_then(|known| (known.load)(&stored.path));
        match value {
            Ok(value) => {
                loaded
                    .push(json!({ "name": stored.name, "about": known::describe(value.as_ref()) }));
                cells::put_boxed(&stored.name, value);
            }
            Err(error) => failed.push(json!({ "name": stored.name, "why": error.to_string() })),
        }
    }
    cells::for_touched(true, |_, _| {});
    line::send(json!({ "event": "loaded", "variables": loaded, "failed": failed }));
}

/// What is kept against a crash: sizes by variable.
#[derive(Default)]
struct Kept {
    sizes: std::collections::BTreeMap<String, usize>,
}

impl Kept {
    /// Writes the variables that the cell touched, those of known types and of moderate size.
    fn renew(&mut self, dir: &Path) {
        let mut events = Vec::new();
        cells::for_touched(true, |name, value| {
            self.sizes.remove(name);
            match self.keep(dir, name, value) {
                Ok(key) => events.push(json!({ "name": name, "key": key })),
                Err(why) => events.push(json!({ "name": name, "why": why })),
            }
        });
        if !events.is_empty() {
            line::send_aside(&json!({ "event": "kept", "variables": events }));
        }
    }

    fn keep(
        &mut self,
        dir: &Path,
        name: &str,
        value: &dyn std::any::Any,
    ) -> Result<&'static str, String> {
        let known = known::of(value).ok_or("values of its type cannot be written")?;
        let size = (known.size)(value).unwrap_or(usize::MAX);
        let others: usize = self.sizes.values().sum();
        if size > known::LARGEST || others + size > KEPT {
            return Err("it is too large".to_owned());
        }
        let (fresh, path) = (dir.join(format!("{name}.new")), dir.join(name));
        let written = (known.save)(value, &fresh).and_then(|()| {
            if path.is_dir() {
                std::fs::remove_dir_all(&path)?;
            }
            std::fs::rename(&fresh, &path)
        });
        written.map_err(|error| error.to_string())?;
        self.sizes.insert(name.to_owned(), size);
        Ok(known.key)
    }
}
