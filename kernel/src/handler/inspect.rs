//! `inspect_request`: what is known about the name at the cursor.

use mlk8s_catalog::view::View;
use serde_json::{Value, json};

use super::Cursor;
use crate::kernel::{Kernel, failure};
use crate::outbox::object;
use crate::wire::Object;
use crate::{cell, display, worker};

/// Documentation for the place in `content`.
pub(crate) fn reply(kernel: &Kernel, content: Object) -> Object {
    let cursor: Cursor = match serde_json::from_value(Value::Object(content)) {
        Ok(cursor) => cursor,
        Err(error) => return failure("BadRequest", &error.to_string(), &[]),
    };
    let found = find(kernel, &cursor.code, cursor.byte());
    let is_found = found.is_some();
    object(
        json!({ "status": "ok", "found": is_found, "data": found.unwrap_or_default(), "metadata": {} }),
    )
}

/// The documentation of what stands at byte `at` of `code`.
pub(crate) fn find(kernel: &Kernel, code: &str, at: usize) -> Option<Object> {
    if let Some((_, line)) = cell::magic_line(code, at) {
        return magic(line);
    }
    if let Ok(entry) = worker::named(code.trim()) {
        return Some(display::bundle(&View::Text(entry.help(&[]))));
    }
    let rust = cell::without_magics(code);
    let known = kernel.language.inspect(&rust, at)?;
    Some(object(
        json!({ "text/plain": known.plain, "text/html": known.html }),
    ))
}

fn magic(line: &str) -> Option<Object> {
    let mut words = line.trim_start_matches('%').split_whitespace();
    let entry = worker::named(words.next()?.trim_end_matches('?')).ok()?;
    let rest: Vec<String> = words.map(str::to_owned).collect();
    Some(display::bundle(&View::Text(entry.help(&rest))))
}
