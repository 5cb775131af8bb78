//! `debug_request`: refused in the way of the Debug Adapter Protocol, because there is no debugger.

use serde_json::json;

use crate::outbox::object;
use crate::wire::Object;

/// The answer to the request in `content`.
pub(crate) fn refusal(content: &Object) -> Object {
    object(json!({
        "type": "response",
        "seq": 0,
        "request_seq": content.get("seq"),
        "command": content.get("command"),
        "success": false,
        "message": "this kernel has no debugger",
    }))
}
