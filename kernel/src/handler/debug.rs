//! `debug_request`: answers what frontends ask to show variables, and refuses the rest in the way of the Debug Adapter
//! Protocol, because there is no debugger.

use serde_json::{Value, json};

use crate::kernel::Kernel;
use crate::language::command;
use crate::outbox::object;
use crate::wire::Object;

/// The answer to the request in `content`.
pub(crate) fn reply(kernel: &Kernel, content: &Object) -> Object {
    let command = content
        .get("command")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let body = match command {
        "debugInfo" => Some(info()),
        "inspectVariables" => Some(command::inspected(&kernel.language.view())),
        "richInspectVariables" => rich(kernel, content),
        _ => None,
    };
    let mut answer = object(json!({
        "type": "response",
        "seq": 0,
        "request_seq": content.get("seq"),
        "command": command,
        "success": body.is_some(),
    }));
    match body {
        Some(body) => answer.insert("body".to_owned(), body),
        None => answer.insert("message".to_owned(), "this kernel has no debugger".into()),
    };
    answer
}

/// The state of a debugger that is not there; see the Jupyter protocol, "debugInfo".
fn info() -> Value {
    json!({
        "isStarted": false, "hashMethod": "Murmur2", "hashSeed": 0, "tmpFilePrefix": "", "tmpFileSuffix": ".rs",
        "breakpoints": [], "stoppedThreads": [], "richRendering": false, "exceptionPaths": [], "copyToGlobals": false,
    })
}

fn rich(kernel: &Kernel, content: &Object) -> Option<Value> {
    let name = content.get("arguments")?.get("variableName")?.as_str()?;
    let about = kernel.language.inspect(name, name.len())?;
    Some(json!({ "data": { "text/plain": about.plain, "text/html": about.html }, "metadata": {} }))
}
