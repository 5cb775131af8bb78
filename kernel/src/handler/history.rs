//! `history_request`: what was typed before.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::history::Wanted;
use crate::kernel::{Kernel, failure, locked};
use crate::outbox::object;
use crate::wire::Object;

/// Lines of a tail whose length the frontend does not say.
const TAIL: i64 = 10;

#[derive(Debug, Deserialize)]
struct HistoryRequest {
    #[serde(default)]
    output: bool,
    hist_access_type: Access,
    #[serde(default)]
    session: Option<i64>,
    #[serde(default)]
    start: Option<i64>,
    #[serde(default)]
    stop: Option<i64>,
    #[serde(default)]
    n: Option<i64>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    unique: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Range,
    Tail,
    Search,
}

/// The lines that `content` asks for: session, number and text, or text and result.
pub(crate) fn reply(kernel: &Kernel, content: Object) -> Object {
    let request: HistoryRequest = match serde_json::from_value(Value::Object(content)) {
        Ok(request) => request,
        Err(error) => return failure("BadRequest", &error.to_string(), &[]),
    };
    let with_output = request.output;
    let found = locked(&kernel.history).find(&wanted(request));
    let lines: Vec<Value> = found
        .into_iter()
        .map(|line| {
            if with_output {
                json!([line.session, line.number, [line.source, line.output]])
            } else {
                json!([line.session, line.number, line.source])
            }
        })
        .collect();
    object(json!({ "status": "ok", "history": lines }))
}

fn wanted(request: HistoryRequest) -> Wanted {
    match request.hist_access_type {
        Access::Tail => Wanted::Tail {
            n: request.n.unwrap_or(TAIL),
        },
        Access::Range => Wanted::Range {
            session: request.session.unwrap_or(0),
            start: request.start.unwrap_or(1),
            stop: request.stop,
        },
        Access::Search => Wanted::Search {
            pattern: request.pattern.unwrap_or_else(|| "*".to_owned()),
            n: request.n,
            unique: request.unique,
        },
    }
}
