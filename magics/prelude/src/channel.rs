//! The line to the kernel: events as JSON, one a line, each after everything that was printed before it.
//!
//! Text goes through the ordinary pipes of standard output and error. So that an event keeps its place among it, a
//! mark with a number and a secret token is written into both pipes first; the kernel waits until it has seen both.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

static CHANNEL: OnceLock<Channel> = OnceLock::new();

struct Channel {
    token: String,
    state: Mutex<State>,
}

struct State {
    stream: UnixStream,
    /// Number of the latest mark.
    mark: u64,
}

/// Makes `stream` the line to the kernel; marks carry `token`.
pub(crate) fn open(stream: UnixStream, token: String) {
    let state = Mutex::new(State { stream, mark: 0 });
    // Opened once, at the start of the process.
    let _ = CHANNEL.set(Channel { token, state });
}

/// Sends `event` after everything that this process has printed.
pub(crate) fn send(mut event: Value) {
    let Some(channel) = CHANNEL.get() else {
        return; // Not below a kernel: nobody listens.
    };
    let mut state = channel.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.mark += 1;
    let mark = format!("\u{1b}]mlk8s;{};{}\u{7}", channel.token, state.mark);
    // A pipe that the cell has closed has no text before the event either.
    let _ = write_flushed(&mut io::stdout().lock(), &mark);
    let _ = write_flushed(&mut io::stderr().lock(), &mark);
    event["mark"] = json!(state.mark);
    write_line(&mut state.stream, &event);
}

/// Sends `event` at once, wherever what was printed may be.
pub(crate) fn send_aside(event: &Value) {
    if let Some(channel) = CHANNEL.get() {
        let mut state = channel.state.lock().unwrap_or_else(PoisonError::into_inner);
        write_line(&mut state.stream, event);
    }
}

fn write_line(stream: &mut UnixStream, event: &Value) {
    // Without a kernel the process is about to end.
    let _ = stream.write_all(format!("{event}\n").as_bytes());
}

fn write_flushed(out: &mut impl io::Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}
