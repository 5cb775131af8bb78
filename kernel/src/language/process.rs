//! Has the process run cells, and hears what comes of them.

mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use serde_json::{Map, Value, json};

use super::blocks::Blocks;
use super::child::{self, Child};
use super::failure::Failure;
use super::hearing::{Heard, Next, Order, Source};
use super::notes::Kept;
use super::prelude::Prelude;
use super::{Shared, Sink};
use watch::Watch;

/// How often the kernel looks after a running cell.
const GLANCE: Duration = Duration::from_millis(40);
/// How long a cell may take to stop by itself.
const GRACE: Duration = Duration::from_millis(350);
/// How long loading values may take.
const LOAD: Duration = Duration::from_mins(2);
/// What is said of a cell whose process was ended.
const ENDED: &str = "it did not stop by itself, so its process was ended";
/// Bytes of what it said last that are kept to tell why it ended.
const LAST_WORDS: usize = 4096;

/// The process that runs cells, and how it is started again.
pub(super) struct Process {
    child: Option<Child>,
    order: Order,
    prelude: Prelude,
    library_path: OsString,
    /// Its socket and its standard input are here.
    dir: PathBuf,
    /// Values are kept here against a crash.
    snapshots: PathBuf,
    work_dir: PathBuf,
    /// What it said of values that it has kept.
    kept: Vec<(String, Option<Kept>)>,
}

/// How a cell ended, as the process tells it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// `done`, `left`, `panicked`, `interrupted` or `refused`.
    pub(super) how: String,
    pub(super) message: String,
    /// File, line and column of a panic.
    pub(super) place: String,
    /// The value of the last expression.
    pub(super) shown: Option<Map<String, Value>>,
    /// Variables that were put, with a description of each.
    pub(super) touched: Vec<(String, Value)>,
    /// Names of all variables.
    pub(super) all: Vec<String>,
}

/// Values by name: what each is, or why it could not be read.
pub(super) type Loaded = BTreeMap<String, Result<Value, String>>;

impl Process {
    /// Starts the process.
    pub(super) fn start(
        prelude: Prelude,
        library_path: OsString,
        dir: &Path,
        work_dir: &Path,
        shared: &Shared,
    ) -> io::Result<Process> {
        let mut process = Process {
            child: None,
            order: Order::default(),
            prelude,
            library_path,
            dir: dir.join("child"),
            snapshots: dir.join("snapshots"),
            work_dir: work_dir.to_owned(),
            kept: Vec::new(),
        };
        std::fs::create_dir_all(&process.snapshots)?;
        process.spawn(shared)?;
        Ok(process)
    }

    fn spawn(&mut self, shared: &Shared) -> io::Result<()> {
        self.order = Order::default();
        let child = Child::start(&self.prelude, &self.library_path, &self.dir, &self.work_dir)?;
        *crate::kernel::locked(&shared.remote) = Some(child.remote()?);
        if shared.ended.load(Ordering::SeqCst) {
            child.end();
            return Err(io::Error::other("the kernel is ending"));
        }
        self.child = Some(child);
        Ok(())
    }

    fn child(&mut self) -> io::Result<&mut Child> {
        self.child
            .as_mut()
            .ok_or_else(|| io::Error::other("the process for Rust cells is not there"))
    }

    /// Runs the function `symbol` of `library` to its end.
    pub(super) fn run(
        &mut self,
        library: &Path,
        symbol: &str,
        forget: &[String],
        shows_blocks: bool,
        shared: &Shared,
        sink: &dyn Sink,
    ) -> Result<Ended, Failure> {
        let command = json!({
            "command": "run", "library": library, "symbol": symbol, "forget": forget, "snapshots": self.snapshots,
        });
        let oom_before = oom_kills();
        let gone = |error: io::Error| Failure::crashed(&error.to_string());
        let child = self.child().map_err(gone)?;
        child.open_input();
        let told = child.tell(&command);
        let mut watch = Watch {
            shared,
            sink,
            blocks: Blocks::new(shows_blocks),
            last_words: String::new(),
            asked: None,
            refused: false,
            killed: false,
            prompt: None,
        };
        let ended = match told {
            Ok(()) => self.watch(&mut watch),
            // It ended since the last cell.
            Err(_) => None,
        };
        watch.blocks.finish(sink);
        match ended {
            // It ended by itself just as the process was ended.
            Some(_) if watch.killed => {
                self.end_child();
                Err(Failure::interrupted(ENDED))
            }
            Some(ended) if watch.refused => Ok(Ended {
                how: "refused".to_owned(),
                ..ended
            }),
            Some(ended) => Ok(ended),
            None => {
                let status = self.end_child();
                if watch.killed {
                    return Err(Failure::interrupted(ENDED));
                }
                let out_of_memory = oom_kills() > oom_before;
                Err(Failure::crashed(&child::cause(
                    status,
                    &watch.last_words,
                    out_of_memory,
                )))
            }
        }
    }

    /// Ends the process with all that it has started, and says how it ended.
    pub(super) fn end_child(&mut self) -> Option<std::process::ExitStatus> {
        self.child.take().and_then(Child::end)
    }

    /// Hears the process until the cell has ended; `None` when the process has.
    fn watch(&mut self, watch: &mut Watch<'_>) -> Option<Ended> {
        loop {
            while let Some(next) = self.order.next() {
                match next {
                    Next::Text(source, text) => watch.text(source, text),
                    Next::Event(event) => {
                        if let Some(ended) = self.event(&event, watch) {
                            return Some(ended);
                        }
                    }
                }
            }
            if self.order.closed && self.drain_last(watch) {
                return None;
            }
            let child = self.child.as_mut()?;
            match child.heard.recv_timeout(GLANCE) {
                Ok((source, heard)) => self.order.add(source, heard),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => watch.look_after(child),
            }
            watch.look_at_the_clock(child);
        }
    }

    /// Takes what the process said before it ended; says whether that is all.
    fn drain_last(&mut self, watch: &mut Watch<'_>) -> bool {
        let Some(child) = self.child.as_mut() else {
            return true;
        };
        let last = Instant::now() + GRACE;
        while let Ok((source, heard)) = child.heard.recv_deadline(last) {
            self.order.add(source, heard);
        }
        while let Some(Next::Text(source, text)) = self.order.next() {
            watch.text(source, text);
        }
        true
    }

    fn event(&mut self, event: &Value, watch: &mut Watch<'_>) -> Option<Ended> {
        let word = |name: &str| event[name].as_str().unwrap_or_default();
        match word("event") {
            "display" | "update" => {
                let mut data = event["data"].as_object().cloned().unwrap_or_default();
                crate::display::enrich(&mut data);
                data.entry("text/plain").or_insert_with(|| "".into());
                watch
                    .sink
                    .display(word("event") == "update", word("id"), data);
            }
            "clear" => watch.sink.clear(event["wait"] == true),
            "ask" => {
                let answer = watch.ask(word("prompt"), event["password"] == true);
                // A cell that is being stopped ends by that, not by the answer.
                if !watch.stopping()
                    && let Ok(child) = self.child()
                {
                    // A process that has just ended needs no answer.
                    let _ = child.tell(&json!({ "command": "answer", "text": answer }));
                }
            }
            "kept" => self.note_kept(event),
            "ended" => return Some(ended(event)),
            _ => {}
        }
        None
    }

    fn note_kept(&mut self, event: &Value) {
        for one in event["variables"].as_array().into_iter().flatten() {
            let name = one["name"].as_str().unwrap_or_default();
            let kept = one["key"].as_str().map(|key| Kept {
                key: key.to_owned(),
                path: self.snapshots.join(name),
            });
            self.kept.push((name.to_owned(), kept));
        }
    }

    /// What the process said of kept values since it was asked last.
    pub(super) fn kept_lately(&mut self) -> Vec<(String, Option<Kept>)> {
        let heard: Vec<_> = self
            .child
            .iter()
            .flat_map(|child| child.heard.try_iter())
            .collect();
        for (source, heard) in heard {
            match heard {
                Heard::Event(event) if event["event"] == "kept" => self.note_kept(&event),
                other => self.order.add(source, other),
            }
        }
        std::mem::take(&mut self.kept)
    }

    /// Makes variables of files.
    pub(super) fn load(
        &mut self,
        values: &[(String, Kept)],
        shared: &Shared,
    ) -> io::Result<Loaded> {
        if self.child.is_none() {
            self.spawn(shared)?;
        }
        let values: Vec<Value> = values
            .iter()
            .map(|(name, kept)| json!({ "name": name, "key": kept.key, "path": kept.path }))
            .collect();
        self.child()?
            .tell(&json!({ "command": "load", "values": values }))?;
        let deadline = Instant::now() + LOAD;
        let mut later = Vec::new();
        let loaded = loop {
            let child = self.child()?;
            match child.heard.recv_deadline(deadline) {
                Ok((_, Heard::Event(event))) if event["event"] == "loaded" => {
                    break event;
                }
                Ok((_, Heard::Event(event))) if event["event"] == "kept" => self.note_kept(&event),
                Ok((Source::Events, Heard::Closed)) => {
                    return Err(io::Error::other("it ended while values were loaded"));
                }
                Ok(heard) => later.push(heard),
                Err(error) => return Err(io::Error::other(error)),
            }
        };
        self.order.pass(&loaded);
        for (source, heard) in later {
            self.order.add(source, heard);
        }
        Ok(read_loaded(&loaded))
    }

    /// Starts a new process in place of the old one and gives it `values`; yields those that are there again.
    pub(super) fn restart(
        &mut self,
        values: &[(String, Kept)],
        shared: &Shared,
    ) -> io::Result<BTreeMap<String, Value>> {
        if let Some(child) = self.child.take() {
            child.end();
        }
        self.spawn(shared)?;
        if values.is_empty() {
            return Ok(BTreeMap::new());
        }
        let loaded = self.load(values, shared)?;
        Ok(loaded
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.ok()?)))
            .collect())
    }
}

fn ended(event: &Value) -> Ended {
    let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| event[name].as_array().cloned().unwrap_or_default();
    Ended {
        how: word("how"),
        message: word("message"),
        place: word("place"),
        shown: event["shown"]
            .as_object()
            .filter(|bundle| !bundle.is_empty())
            .cloned(),
        touched: list("variables")
            .into_iter()
            .map(|one| {
                (
                    one["name"].as_str().unwrap_or_default().to_owned(),
                    one["about"].clone(),
                )
            })
            .collect(),
        all: list("all")
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    }
}

fn read_loaded(event: &Value) -> Loaded {
    let list = |name: &str| event[name].as_array().cloned().unwrap_or_default();
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let good = list("variables")
        .into_iter()
        .map(|one| (name(&one), Ok(one["about"].clone())));
    let bad = list("failed").into_iter().map(|one| {
        let why = one["why"].as_str().unwrap_or_default().to_owned();
        (name(&one), Err(why))
    });
    good.chain(bad).collect()
}

/// How often the system has ended a process of our group for want of memory; see cgroups(7), `memory.events`, and for
/// the older sort `memory.oom_control`.
fn oom_kills() -> u64 {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = |part: &str| {
        let found = groups.lines().find_map(|line| line.split_once(part));
        found.map_or("/", |(_, path)| path).trim_end_matches('/')
    };
    let files = [
        format!("/sys/fs/cgroup{}/memory.events", group("0::")),
        "/sys/fs/cgroup/memory.events".to_owned(),
        format!(
            "/sys/fs/cgroup/memory{}/memory.oom_control",
            group(":memory:")
        ),
        "/sys/fs/cgroup/memory/memory.oom_control".to_owned(),
    ];
    let counts = files.iter().filter_map(|file| {
        let events = std::fs::read_to_string(file).ok()?;
        let count = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse().ok()
    });
    counts.max().unwrap_or(0)
}
