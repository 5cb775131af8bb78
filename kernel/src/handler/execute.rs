//! `execute_request`: puts a cell into the queue of the worker.

use crossbeam_channel::TrySendError;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kernel::{Kernel, failure};
use crate::outbox::Origin;
use crate::wire::Object;
use crate::worker::Execution;

/// A cell and how it is to be run. Minimal frontends send the code only.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has them")]
pub(crate) struct ExecuteRequest {
    /// The cell.
    pub(crate) code: String,
    /// Nothing is shown and nothing counted.
    #[serde(default)]
    pub(crate) silent: bool,
    #[serde(default = "yes")]
    store_history: bool,
    /// What to evaluate after it, by name.
    #[serde(default)]
    pub(crate) user_expressions: Map<String, Value>,
    /// The user can be asked.
    #[serde(default = "yes")]
    pub(crate) allow_stdin: bool,
    /// Cells that wait behind it are refused when it fails.
    #[serde(default = "yes")]
    pub(crate) stop_on_error: bool,
}

impl ExecuteRequest {
    /// Whether it has a number and a place in the history.
    pub(crate) fn counts(&self) -> bool {
        self.store_history && !self.silent
    }
}

fn yes() -> bool {
    true
}

/// Queues the cell in `content`.
pub(crate) fn queue(kernel: &Kernel, origin: Origin, content: Object) {
    let request = match serde_json::from_value(Value::Object(content)) {
        Ok(request) => request,
        Err(error) => {
            let reason = error.to_string();
            return kernel.answer(&origin, || failure("BadRequest", &reason, &[]));
        }
    };
    if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) =
        kernel.cells.try_send(Execution { origin, request })
    {
        kernel.answer(&refused.origin, || {
            failure("Busy", "too many cells wait", &[])
        });
    }
}
