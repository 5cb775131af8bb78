//! What a running cell tells its user meanwhile: how far a magic is, what Rust writes, what it asks.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use mlk8s_catalog::call::Progress;
use mlk8s_catalog::view::View;
use serde_json::json;
use uuid::Uuid;

use crate::display;
use crate::display::progress::Step;
use crate::handler::execute::ExecuteRequest;
use crate::kernel::{Kernel, locked};
use crate::language::Sink;
use crate::outbox::{Origin, Outbox, StreamName, object};
use crate::pace::Pace;
use crate::wire::Object;

/// A work that takes less than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(400);
/// The display is renewed at most this often.
const RENEWAL: Duration = Duration::from_millis(200);

/// Shows how far a magic is, in one display that is renewed in place.
pub(crate) struct Reporter<'a> {
    outbox: &'a Outbox,
    parent: &'a Arc<Object>,
    silent: bool,
    begun: Instant,
    state: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    done: usize,
    total: usize,
    /// Name of the display, and when it was renewed; none before it is there.
    display: Option<(Uuid, Instant)>,
    /// Name of the display of what is being made.
    live: Option<Uuid>,
}

impl<'a> Reporter<'a> {
    /// A reporter for the request with the header `parent`; it says nothing when `silent`.
    pub(crate) fn new(outbox: &'a Outbox, parent: &'a Arc<Object>, silent: bool) -> Reporter<'a> {
        Reporter {
            outbox,
            parent,
            silent,
            begun: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// Leaves one line of the display, if there was one; of a work that failed it says how far it came.
    pub(crate) fn finish(&self, succeeded: bool) {
        let mut shown = locked(&self.state);
        // The result takes its place; of a work that failed, what there is stays.
        if shown.live.take().is_some() && succeeded {
            let content = json!({ "wait": true });
            self.outbox
                .publish("clear_output", self.parent, object(content));
        }
        if let Some((id, _)) = shown.display {
            let step = Step {
                done: shown.done,
                total: shown.total,
                what: "",
                elapsed: self.begun.elapsed(),
            };
            let bundle = if succeeded {
                step.finished()
            } else {
                step.bundle()
            };
            self.publish("update_display_data", id, &bundle);
        }
    }

    fn publish(&self, kind: &'static str, id: Uuid, data: &Object) {
        let content =
            json!({ "data": data, "metadata": {}, "transient": { "display_id": id.to_string() } });
        self.outbox.publish(kind, self.parent, object(content));
    }
}

impl Progress for Reporter<'_> {
    fn live(&self, view: &View) {
        if self.silent {
            return;
        }
        let mut shown = locked(&self.state);
        let kind = if shown.live.is_some() {
            "update_display_data"
        } else {
            "display_data"
        };
        let id = *shown.live.get_or_insert_with(Uuid::new_v4);
        self.publish(kind, id, &display::bundle(view));
    }

    fn report(&self, done: usize, total: usize, what: &str) {
        if self.silent {
            return;
        }
        let mut shown = locked(&self.state);
        (shown.done, shown.total) = (done, total);
        let now = Instant::now();
        let elapsed = now.duration_since(self.begun);
        let step = Step {
            done,
            total,
            what,
            elapsed,
        };
        match shown.display {
            Some((id, renewed)) if now.duration_since(renewed) >= RENEWAL => {
                shown.display = Some((id, now));
                self.publish("update_display_data", id, &step.bundle());
            }
            None if elapsed >= PATIENCE => {
                let id = Uuid::new_v4();
                shown.display = Some((id, now));
                self.publish("display_data", id, &step.bundle());
            }
            _ => {}
        }
    }
}

/// Takes what a Rust cell writes and asks.
pub(crate) struct CellOutput<'a> {
    kernel: &'a Kernel,
    origin: &'a Origin,
    may_ask: bool,
    silent: bool,
    pace: RefCell<Pace>,
    /// The stream of the last message, if it was one of text: more of the same is gathered by the outbox.
    last: Cell<Option<StreamName>>,
}

impl<'a> CellOutput<'a> {
    /// The output of the cell that `origin` asked for in `request`.
    pub(crate) fn new(
        kernel: &'a Kernel,
        origin: &'a Origin,
        request: &ExecuteRequest,
    ) -> CellOutput<'a> {
        CellOutput {
            kernel,
            origin,
            may_ask: request.allow_stdin,
            silent: request.silent,
            pace: RefCell::default(),
            last: Cell::new(None),
        }
    }

    fn stream(&self, name: StreamName, text: &str) {
        if !self.silent {
            if self.last.replace(Some(name)) != Some(name) {
                self.pace.borrow_mut().wait();
            }
            self.kernel.outbox.stream(&self.origin.header, name, text);
        }
    }

    fn publish(&self, kind: &'static str, content: serde_json::Value) {
        if !self.silent {
            self.last.set(None);
            self.pace.borrow_mut().wait();
            self.kernel
                .outbox
                .publish(kind, &self.origin.header, object(content));
        }
    }
}

impl Sink for CellOutput<'_> {
    fn stdout(&self, text: &str) {
        self.stream(StreamName::Stdout, text);
    }

    fn stderr(&self, text: &str) {
        self.stream(StreamName::Stderr, text);
    }

    fn display(&self, update: bool, id: &str, data: Object) {
        let transient = if id.is_empty() {
            json!({})
        } else {
            json!({ "display_id": id })
        };
        let kind = if update {
            "update_display_data"
        } else {
            "display_data"
        };
        self.publish(
            kind,
            json!({ "data": data, "metadata": {}, "transient": transient }),
        );
    }

    fn clear(&self, wait: bool) {
        self.publish("clear_output", json!({ "wait": wait }));
    }

    fn warn(&self, n: usize, text: &str) {
        let data = display::warnings::bundle(n, text);
        self.publish(
            "display_data",
            json!({ "data": data, "metadata": {}, "transient": {} }),
        );
    }

    fn input(&self, prompt: &str, password: bool) -> Option<String> {
        if !self.may_ask {
            return None;
        }
        let (asking, answered) = bounded(1);
        *locked(&self.kernel.asking) = Some(asking);
        self.kernel.outbox.ask(self.origin, prompt, password);
        answered.recv().ok()
    }
}
