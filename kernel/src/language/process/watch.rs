//! One cell while it runs: its text, its questions, and the end of the kernel's patience.

use std::time::Instant;

use serde_json::json;

use super::{GRACE, LAST_WORDS};
use crate::language::blocks::Blocks;
use crate::language::child::Child;
use crate::language::hearing::Source;
use crate::language::{Shared, Sink};

/// One cell while it runs.
pub(super) struct Watch<'a> {
    pub(super) shared: &'a Shared,
    pub(super) sink: &'a dyn Sink,
    pub(super) blocks: Blocks,
    pub(super) last_words: String,
    /// When the cell was asked to stop.
    pub(super) asked: Option<Instant>,
    /// It wanted input that nobody can give.
    pub(super) refused: bool,
    pub(super) killed: bool,
    /// What the cell said it wants to know, in evcxr's way.
    pub(super) prompt: Option<(String, bool)>,
}

impl Watch<'_> {
    pub(super) fn text(&mut self, source: Source, text: String) {
        if source == Source::Stderr {
            self.last_words.push_str(&text);
            let cut = self.last_words.len().saturating_sub(LAST_WORDS);
            self.last_words
                .drain(..self.last_words.ceil_char_boundary(cut));
            return self.sink.stderr(&text);
        }
        let text = match asked_in_evcxrs_way(&text) {
            Some((before, prompt, password)) => {
                self.prompt = Some((prompt, password));
                before
            }
            None => text,
        };
        if !text.is_empty() {
            self.blocks.take(&text, self.sink);
        }
    }

    /// Looks after a cell of which nothing is heard: it may wait for somebody to type.
    pub(super) fn look_after(&mut self, child: &mut Child) {
        self.blocks.flush(self.sink);
        if self.asked.is_some() || self.refused || !child.waits_for_input() {
            return;
        }
        let (prompt, password) = self.prompt.take().unwrap_or_default();
        match self.ask(&prompt, password) {
            // A process that has just ended needs no answer.
            Some(text) => drop(child.type_line(&text)),
            None if self.stopping() => {}
            None => {
                self.refused = true;
                child.end_input();
            }
        }
    }

    pub(super) fn ask(&mut self, prompt: &str, password: bool) -> Option<String> {
        self.blocks.flush(self.sink);
        self.sink.input(prompt, password)
    }

    pub(super) fn stopping(&self) -> bool {
        self.shared.running.is_stopped()
    }

    /// Ends the process when the cell was asked to stop and does not.
    pub(super) fn look_at_the_clock(&mut self, child: &mut Child) {
        if !self.stopping() {
            return;
        }
        let asked = *self.asked.get_or_insert_with(|| {
            // The wish may have come between the compiler's end and the cell's beginning, where nobody heard it; one
            // that was heard is none the worse for it. A process that has just ended has stopped.
            let _ = child.tell(&json!({ "command": "interrupt" }));
            Instant::now()
        });
        if asked.elapsed() > GRACE && !self.killed {
            self.killed = true;
            if let Ok(remote) = child.remote() {
                remote.kill();
            }
        }
    }
}

/// The text before a question that the crate `evcxr_input` writes, the question, and whether it is for a password.
fn asked_in_evcxrs_way(text: &str) -> Option<(String, String, bool)> {
    let at = text.find("EVCXR_INPUT_REQUEST")?;
    let rest = text[at..].trim_end_matches('\n');
    let password = rest.starts_with("EVCXR_INPUT_REQUEST_PASSWORD:");
    let (_, prompt) = rest.split_once(':')?;
    Some((text[..at].to_owned(), prompt.to_owned(), password))
}
