//! `complete_request`: what could stand at the cursor.

use mlk8s_catalog::complete::complete;
use serde_json::{Value, json};

use super::{Cursor, characters};
use crate::cell;
use crate::kernel::{Kernel, failure};
use crate::outbox::object;
use crate::wire::Object;

/// Candidates for bytes `start..end` of the code, each with its kind.
struct Found {
    start: usize,
    end: usize,
    matches: Vec<(String, String)>,
}

/// Completions at the place in `content`.
pub(crate) fn reply(kernel: &Kernel, content: Object) -> Object {
    let cursor: Cursor = match serde_json::from_value(Value::Object(content)) {
        Ok(cursor) => cursor,
        Err(error) => return failure("BadRequest", &error.to_string(), &[]),
    };
    let at = cursor.byte();
    let found = match cell::magic_line(&cursor.code, at) {
        Some((start, line)) => in_magic(kernel, start, line, at),
        None => in_rust(kernel, &cursor.code, at),
    };
    let start = characters(&cursor.code, found.start);
    let end = characters(&cursor.code, found.end);
    let typed: Vec<Value> = found
        .matches
        .iter()
        .map(|(text, kind)| json!({ "start": start, "end": end, "text": text, "type": kind }))
        .collect();
    let matches: Vec<&str> = found
        .matches
        .iter()
        .map(|(text, _)| text.as_str())
        .collect();
    object(json!({
        "status": "ok",
        "matches": matches,
        "cursor_start": start,
        "cursor_end": end,
        "metadata": { "_jupyter_types_experimental": typed },
    }))
}

fn in_magic(kernel: &Kernel, start: usize, line: &str, at: usize) -> Found {
    let found = complete(line, at - start, &kernel.shadow());
    let matches = found.matches.into_iter().map(|text| {
        let kind = match text.as_bytes() {
            [b'%', ..] => "magic",
            [b'-', ..] => "keyword",
            [.., b'/'] => "path",
            _ => "text",
        };
        (text, kind.to_owned())
    });
    Found {
        start: start + found.start,
        end: at,
        matches: matches.collect(),
    }
}

fn in_rust(kernel: &Kernel, code: &str, at: usize) -> Found {
    if code.trim_start().starts_with("%%") {
        // The body of a cell magic is text.
        return Found {
            start: at,
            end: at,
            matches: Vec::new(),
        };
    }
    let found = kernel.language.complete(&cell::without_magics(code), at);
    if found.matches.is_empty() {
        return Found {
            start: at,
            end: at,
            matches: Vec::new(),
        };
    }
    Found {
        start: found.start,
        end: found.end,
        matches: found.matches,
    }
}
