//! The one way out: a bounded queue with one writer. Whatever order messages need comes from this queue.

mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::display;
use crate::wire::{Channel, Headers, Message, Object, Outgoing};
use stream::{Pending, Pieces};

/// Messages that may wait; whoever writes more waits, too.
const ROOM: usize = 256;
/// How long the last messages may take to leave when the kernel ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Who asked: where the answer goes and what it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The channel of the request.
    pub(crate) channel: Channel,
    /// Who sent it.
    pub(crate) identities: Vec<Bytes>,
    /// Its header, the parent of everything that comes of it.
    pub(crate) header: Arc<Object>,
}

/// What the kernel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It has just begun.
    Starting,
    /// It works on a request.
    Busy,
    /// It has finished one.
    Idle,
}

/// A stream of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The writing end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queue: Sender<Item>,
}

enum Item {
    Status {
        parent: Arc<Object>,
        state: State,
    },
    Publish {
        kind: &'static str,
        parent: Arc<Object>,
        content: Object,
    },
    Stream {
        name: StreamName,
        parent: Arc<Object>,
        text: String,
    },
    Reply {
        kind: String,
        to: Origin,
        content: Object,
    },
    Finish {
        done: Sender<()>,
    },
}

impl Outbox {
    /// Starts the writer; it spills endless output into the first of `spill_dirs` that can be written to.
    pub(crate) fn start(out: Outgoing, runtime: Handle, spill_dirs: Vec<PathBuf>) -> Outbox {
        let (queue, items) = bounded(ROOM);
        let pieces = Pieces::new(spill_dirs);
        let mut writer = Writer {
            out,
            runtime,
            headers: Headers::new(),
            pending: None,
            pieces,
            cell: None,
        };
        std::thread::spawn(move || writer.run(&items));
        Outbox { queue }
    }

    /// Says what the kernel is doing because of `parent`.
    pub(crate) fn status(&self, parent: &Arc<Object>, state: State) {
        self.put(Item::Status {
            parent: Arc::clone(parent),
            state,
        });
    }

    /// Shows something to everybody.
    pub(crate) fn publish(&self, kind: &'static str, parent: &Arc<Object>, content: Object) {
        self.put(Item::Publish {
            kind,
            parent: Arc::clone(parent),
            content,
        });
    }

    /// Lets a stream go on.
    pub(crate) fn stream(&self, parent: &Arc<Object>, name: StreamName, text: &str) {
        self.put(Item::Stream {
            name,
            parent: Arc::clone(parent),
            text: text.to_owned(),
        });
    }

    /// Answers `to`.
    pub(crate) fn reply(&self, to: &Origin, content: Object) {
        let asked = to
            .header
            .get("msg_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = asked.strip_suffix("_request").unwrap_or(asked);
        self.put(Item::Reply {
            kind: format!("{kind}_reply"),
            to: to.clone(),
            content,
        });
    }

    /// Asks the user at the frontend that sent `to`.
    pub(crate) fn ask(&self, to: &Origin, prompt: &str, password: bool) {
        let content = object(json!({ "prompt": prompt, "password": password }));
        let to = Origin {
            channel: Channel::Stdin,
            ..to.clone()
        };
        self.put(Item::Reply {
            kind: "input_request".to_owned(),
            to,
            content,
        });
    }

    /// Waits until everything before has left.
    pub(crate) fn finish(&self) {
        let (done, finished) = bounded(1);
        self.put(Item::Finish { done });
        // The writer ends only with the kernel.
        let _ = finished.recv_timeout(LAST_WORDS * 2);
    }

    fn put(&self, item: Item) {
        // The writer ends only with the kernel; then nobody listens any more.
        let _ = self.queue.send(item);
    }
}

/// The JSON object that `value` is.
pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

struct Writer {
    out: Outgoing,
    runtime: Handle,
    headers: Headers,
    /// Text that waits for more.
    pending: Option<Pending>,
    pieces: Pieces,
    /// The header of the cell that runs.
    cell: Option<Arc<Object>>,
}

impl Writer {
    fn run(&mut self, items: &Receiver<Item>) {
        loop {
            let next = match &self.pending {
                Some(pending) => items.recv_deadline(pending.deadline()),
                None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Item::Stream { name, parent, text }) => self.gather(name, parent, &text),
                Ok(item) => {
                    self.send_pending();
                    self.send(item);
                }
                Err(RecvTimeoutError::Timeout) => self.send_pending(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn gather(&mut self, name: StreamName, parent: Arc<Object>, text: &str) {
        if !self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.goes_on(name, &parent))
        {
            self.send_pending();
        }
        let pending = self
            .pending
            .get_or_insert_with(|| Pending::new(name, parent, Instant::now()));
        pending.text.push_str(text);
        if pending.is_full() {
            self.send_pending();
        }
    }

    fn send_pending(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let Some(text) = self.pieces.admit(&pending) else {
            return;
        };
        let wait = self.pieces.wait(text.len(), Instant::now());
        if !wait.is_zero() {
            // The server of a browser drops output that comes faster; whoever writes it waits instead.
            self.runtime.block_on(async {
                tokio::time::timeout(wait, std::future::pending::<()>())
                    .await
                    .ok()
            });
        }
        let content = object(json!({ "name": pending.name, "text": text }));
        let parent = Arc::clone(&pending.parent);
        self.publish("stream", pending.parent, content);
        if let Some(path) = self.pieces.take_begun() {
            let data = display::link::bundle(&path);
            let content = json!({ "data": data, "metadata": {}, "transient": {} });
            self.publish("display_data", parent, object(content));
        }
    }

    /// Shows the end of endless output before its cell ends.
    fn send_tail(&mut self, parent: &Arc<Object>) {
        if let Some(text) = self.pieces.take_tail(parent) {
            let content = object(json!({ "name": StreamName::Stdout, "text": text }));
            self.publish("stream", Arc::clone(parent), content);
        }
    }

    fn send(&mut self, item: Item) {
        match &item {
            Item::Publish {
                kind: "execute_result" | "error",
                parent,
                ..
            } => self.send_tail(parent),
            Item::Reply { to, .. } if to.channel == Channel::Shell => self.send_tail(&to.header),
            _ => {}
        }
        match item {
            Item::Status { parent, state } => self.say(parent, state),
            Item::Publish {
                kind,
                parent,
                content,
            } => self.publish(kind, parent, content),
            Item::Stream { name, parent, text } => self.gather(name, parent, &text),
            Item::Reply { kind, to, content } => {
                let message = Message {
                    identities: to.identities,
                    header: Arc::new(self.headers.next(&kind)),
                    parent_header: to.header,
                    content,
                    ..Message::default()
                };
                self.runtime.block_on(self.out.reply(to.channel, &message));
            }
            Item::Finish { done } => {
                self.runtime.block_on(self.out.iopub.flush(LAST_WORDS));
                // Whoever waited may have gone on.
                let _ = done.send(());
            }
        }
    }

    /// Says what the kernel is doing. Servers and cullers keep the last state that they heard: when a question beside a
    /// cell is answered, they hear again that the cell goes on.
    fn say(&mut self, parent: Arc<Object>, state: State) {
        let content = |state: State| object(json!({ "execution_state": state }));
        self.publish("status", Arc::clone(&parent), content(state));
        let is_cell = parent.get("msg_type").and_then(Value::as_str) == Some("execute_request");
        if state == State::Busy && is_cell {
            self.cell.get_or_insert(parent);
        } else if self.cell.as_ref() == Some(&parent) {
            self.cell = None;
        } else if state == State::Idle
            && let Some(cell) = self.cell.clone()
        {
            self.publish("status", cell, content(State::Busy));
        }
    }

    fn publish(&mut self, kind: &'static str, parent_header: Arc<Object>, content: Object) {
        let header = Arc::new(self.headers.next(kind));
        let message = Message {
            header,
            parent_header,
            content,
            ..Message::default()
        };
        self.runtime.block_on(self.out.publish(kind, &message));
    }
}
