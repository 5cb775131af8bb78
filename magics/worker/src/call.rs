//! One request under way: who asks, and what the log and the metrics will say of it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use mlk8s_generate::{Class, Done, FinishReason};

use crate::keys::{Caller, class_name};
use crate::log::Line;
use crate::state::Server;

/// The status of a request whose client went away: nginx's number for it, as HTTP has none.
const CLIENT_GONE: u16 = 499;

/// A request under way. When the last copy goes, it is counted and logged, however it ended.
#[derive(Clone)]
pub(crate) struct Call {
    inner: Arc<Inner>,
}

struct Inner {
    server: Arc<Server>,
    caller: Caller,
    has_key: bool,
    priority: Option<String>,
    begun: Instant,
    at: SystemTime,
    row: Mutex<Row>,
}

/// What becomes known while the request is answered.
struct Row {
    endpoint: &'static str,
    client: String,
    class: Class,
    status: u16,
    /// An answer that is written piece by piece is not over with its status.
    open: bool,
    streamed: bool,
    tokens: Tokens,
    queued: Option<Duration>,
    first: Option<Duration>,
    finish: Option<&'static str>,
}

/// Tokens of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tokens {
    /// Of its prompts.
    pub(crate) prompt: usize,
    /// Of its prompts, those that were known from an earlier one.
    pub(crate) cached: usize,
    /// Of its answers.
    pub(crate) completion: usize,
}

/// Who asks, as the door saw it.
pub(crate) struct Visitor {
    /// The client that the key stands for.
    pub(crate) known: Option<Caller>,
    /// Where the request came from.
    pub(crate) address: Option<IpAddr>,
    /// The `x-priority` header.
    pub(crate) priority: Option<String>,
}

impl Call {
    /// A request at `endpoint` begins.
    pub(crate) fn begin(server: Arc<Server>, endpoint: &'static str, visitor: Visitor) -> Call {
        let has_key = visitor.known.is_some();
        let caller = visitor.known.unwrap_or_else(|| Caller {
            name: visitor
                .address
                .map_or_else(|| "local".to_owned(), |address| address.to_string()),
            class: Class::Interactive,
        });
        server.enter();
        let row = Row {
            endpoint,
            client: caller.name.clone(),
            class: caller.class,
            status: CLIENT_GONE,
            open: false,
            streamed: false,
            tokens: Tokens::default(),
            queued: None,
            first: None,
            finish: None,
        };
        Call {
            inner: Arc::new(Inner {
                server,
                caller,
                has_key,
                priority: visitor.priority,
                begun: Instant::now(),
                at: SystemTime::now(),
                row: Mutex::new(row),
            }),
        }
    }

    /// Where it is answered.
    pub(crate) fn server(&self) -> &Server {
        &self.inner.server
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    /// Whether a key told who asks.
    pub(crate) fn has_key(&self) -> bool {
        self.inner.has_key
    }

    /// The `x-priority` header.
    pub(crate) fn priority(&self) -> Option<&str> {
        self.inner.priority.as_deref()
    }

    /// When the request must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        self.inner.begun + self.inner.server.limits.time
    }

    /// The request is of this class.
    pub(crate) fn set_class(&self, class: Class) {
        self.row().class = class;
    }

    /// The request is counted to this client.
    pub(crate) fn set_client(&self, client: &str) {
        client.clone_into(&mut self.row().client);
    }

    /// The request was answered with this status.
    pub(crate) fn set_status(&self, status: StatusCode) {
        let mut row = self.row();
        if !row.open {
            row.status = status.as_u16();
        }
    }

    /// The answer is written piece by piece from now on; its status is known at its end.
    pub(crate) fn open(&self) {
        let mut row = self.row();
        (row.open, row.streamed) = (true, true);
    }

    /// An answer that was written piece by piece has ended.
    pub(crate) fn close(&self, status: StatusCode) {
        let mut row = self.row();
        row.open = false;
        row.status = status.as_u16();
    }

    /// Tokens that are known to be used.
    pub(crate) fn set_tokens(&self, tokens: Tokens) {
        self.row().tokens = tokens;
    }

    /// One of the answers is complete.
    pub(crate) fn answered(&self, done: &Done) {
        let class = {
            let mut row = self.row();
            row.queued = row.queued.or(Some(done.queued));
            row.first = row.first.or(Some(done.first_token));
            row.finish = Some(finish_name(done.reason));
            row.class
        };
        self.inner.server.meters.answered(class, done);
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.inner
            .row
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let row = self.row.get_mut().unwrap_or_else(PoisonError::into_inner);
        let total = self.begun.elapsed();
        self.server
            .meters
            .ended(row.endpoint, row.status, row.class, row.tokens, total);
        if let Some(log) = &self.server.log {
            let lost = log.write(&Line {
                at: self.at,
                client: &row.client,
                class: class_name(row.class),
                endpoint: row.endpoint,
                status: row.status,
                streamed: row.streamed,
                tokens: row.tokens,
                queued: row.queued,
                first: row.first,
                total,
                finish: row.finish,
            });
            if lost.is_err() {
                self.server.meters.line_lost();
            }
        }
        self.server.leave();
    }
}

/// OpenAI's name of the reason why an answer ended.
pub(crate) fn finish_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Cancelled => "cancelled",
    }
}
