//! `shutdown_request`: ends the kernel after the answer has left.

use serde_json::json;

use crate::kernel::Kernel;
use crate::outbox::{Origin, object};
use crate::wire::Object;

/// Answers, and ends the kernel.
pub(crate) fn shutdown(kernel: &Kernel, origin: &Origin, content: &Object) {
    kernel.interrupt();
    let restart = content
        .get("restart")
        .is_some_and(|restart| restart == true);
    kernel.answer(origin, || {
        object(json!({ "status": "ok", "restart": restart }))
    });
    kernel.end();
}
