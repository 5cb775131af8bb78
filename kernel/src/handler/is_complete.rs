//! `is_complete_request`: whether what was typed could be run. Prompts ask at each new line, so it must be quick.

use serde_json::{Value, json};

use crate::cell;
use crate::outbox::object;
use crate::syntax::Look;
use crate::wire::Object;

/// Columns of one step to the right.
const INDENT: usize = 4;

/// Whether the code in `content` is whole.
pub(crate) fn reply(content: &Object) -> Object {
    let code = content
        .get("code")
        .and_then(Value::as_str)
        .unwrap_or_default();
    object(match cell::completeness(code) {
        Look::Whole => json!({ "status": "complete" }),
        Look::Wrong => json!({ "status": "invalid" }),
        Look::Unfinished { in_text: true, .. } => json!({ "status": "incomplete", "indent": "" }),
        Look::Unfinished { depth, .. } => {
            json!({ "status": "incomplete", "indent": " ".repeat(depth * INDENT) })
        }
    })
}
