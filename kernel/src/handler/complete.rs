//! `complete_request`: what could stand at the cursor.

use mlk8s_catalog::complete::complete;
use serde_json::{Value, json};

use super::{Cursor, characters};
use crate::cell;
use crate::kernel::{Kernel, failure};
use crate::language::lookup;
use crate::outbox::object;
use crate::wire::Object;

/// Candidates for bytes `start..end` of the code, each with its kind.
struct Found {
    start: usize,
    end: usize,
    matches: Vec<(String, String)>,
}

/// Whether rust-analyzer, which can take its time, is not needed for the answer.
pub(crate) fn is_quick(kernel: &Kernel, content: &Object) -> bool {
    let Ok(cursor) = serde_json::from_value::<Cursor>(Value::Object(content.clone())) else {
        return true;
    };
    let at = cursor.byte();
    cell::magic_line(&cursor.code, at).is_some()
        || kernel
            .language
            .knows_at_once(&cell::without_magics(&cursor.code), at)
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
    let frames = kernel.language.frames();
    let found = complete(line, at - start, &kernel.shadow(), &frames);
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
    let code = cell::without_magics(code);
    let found = kernel.language.complete(&code, at);
    let mut matches = found.matches;
    let (start, end) = if matches.is_empty() {
        (at, at)
    } else {
        (found.start, found.end)
    };
    // What magics have made is a variable from the next cell on, and rust-analyzer has not heard of it yet.
    if let Some(begun) = lookup::begun(&code, at) {
        let made = kernel.values_like(begun);
        let made = made
            .into_iter()
            .filter(|name| !matches.iter().any(|(known, _)| known == name));
        let made: Vec<_> = made.map(|name| (name, "instance".to_owned())).collect();
        if matches.is_empty() && !made.is_empty() {
            return Found {
                start: at - begun.len(),
                end: at,
                matches: made,
            };
        }
        if start == at - begun.len() {
            matches.splice(0..0, made);
        }
    }
    Found {
        start,
        end,
        matches,
    }
}
