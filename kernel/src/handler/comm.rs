//! `comm_*`: conversations that a frontend opens. None is known yet, so each is closed as the protocol asks.

use serde_json::json;

use crate::kernel::Kernel;
use crate::outbox::{Origin, object};
use crate::wire::Object;

/// The open conversations.
pub(crate) fn info() -> Object {
    object(json!({ "status": "ok", "comms": {} }))
}

/// Closes what the frontend has just opened.
pub(crate) fn open(kernel: &Kernel, origin: &Origin, content: &Object) {
    if let Some(id) = content.get("comm_id") {
        let content = object(json!({ "comm_id": id, "data": {} }));
        kernel.outbox.publish("comm_close", &origin.header, content);
    }
}
