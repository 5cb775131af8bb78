//! Questions of a cell to the user.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::{cells, channel as line};

/// How often a question looks for an interrupt.
const GLANCE: Duration = Duration::from_millis(50);

static WAITING: Mutex<Option<Sender<String>>> = Mutex::new(None);

/// Asks the user for a line of text. The cell ends here when the frontend does not allow questions, as under
/// nbconvert.
pub fn input(prompt: &str) -> String {
    ask(prompt, false)
}

/// Asks the user for a text that is not shown while it is typed; like [`input`] otherwise.
pub fn password(prompt: &str) -> String {
    ask(prompt, true)
}

fn ask(prompt: &str, is_password: bool) -> String {
    let (answer, answers) = channel();
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    line::send(json!({ "event": "ask", "prompt": prompt, "password": is_password }));
    wait(&answers).unwrap_or_else(|| cells::refuse())
}

fn wait(answers: &Receiver<String>) -> Option<String> {
    loop {
        cells::poll();
        match answers.recv_timeout(GLANCE) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Hands over what the user typed; `None` when nobody can be asked.
pub(crate) fn answer(text: Option<String>) {
    let waiting = WAITING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let (Some(waiting), Some(text)) = (waiting, text) {
        // A cell that was stopped meanwhile no longer waits.
        let _ = waiting.send(text);
    }
}
