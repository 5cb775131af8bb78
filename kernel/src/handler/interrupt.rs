//! `interrupt_request`: stops the cell that is running; does nothing when none is.

use serde_json::json;

use crate::kernel::Kernel;
use crate::outbox::{Origin, object};

/// Stops first and answers then: what waits to be shown must not hold up the stop.
pub(crate) fn interrupt(kernel: &Kernel, origin: &Origin) {
    kernel.interrupt();
    kernel.answer(origin, || object(json!({ "status": "ok" })));
}
