//! Blocks of content in a cell's text: evcxr's way of showing more than text, for cells whose own code writes them.

use serde_json::{Map, Value};

use super::Sink;

const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &str = "EVCXR_END_CONTENT";

/// Tells blocks from text. Where the cell has no code that writes blocks, all is text: a document that holds such a
/// word must not become HTML.
pub(super) struct Blocks {
    on: bool,
    /// Text since the last whole line, or since a block began.
    rest: String,
    bundle: Map<String, Value>,
}

impl Blocks {
    /// Looks for blocks when `on`.
    pub(super) fn new(on: bool) -> Blocks {
        Blocks {
            on,
            rest: String::new(),
            bundle: Map::new(),
        }
    }

    /// Shows `text`, and what blocks it holds.
    pub(super) fn take(&mut self, text: &str, sink: &dyn Sink) {
        if !self.on {
            return sink.stdout(text);
        }
        self.rest.push_str(text);
        loop {
            let begins = self.rest.find(BEGIN);
            let Some(at) = begins else {
                // The last line may be the beginning of a block.
                let whole = self.rest.rfind('\n').map_or(0, |at| at + 1);
                self.show_text(whole, sink);
                return;
            };
            let Some(length) = self.rest[at..].find(END) else {
                self.show_text(at, sink);
                return;
            };
            self.show_text(at, sink);
            let block: String = self.rest.drain(..length + END.len()).collect();
            if self.rest.starts_with('\n') {
                self.rest.remove(0);
            }
            self.add(&block);
            if !self.rest.starts_with(BEGIN) {
                self.show_bundle(sink);
            }
        }
    }

    fn add(&mut self, block: &str) {
        let (mime, content) = block.split_once('\n').unwrap_or((block, ""));
        let mime = mime.trim_start_matches(BEGIN).trim();
        let content = content.trim_end_matches(END).trim_end_matches('\n');
        let value = mime
            .ends_with("json")
            .then(|| serde_json::from_str(content).ok())
            .flatten();
        self.bundle
            .insert(mime.to_owned(), value.unwrap_or_else(|| content.into()));
    }

    fn show_text(&mut self, length: usize, sink: &dyn Sink) {
        if length > 0 {
            self.show_bundle(sink);
            let text: String = self.rest.drain(..length).collect();
            sink.stdout(&text);
        }
    }

    fn show_bundle(&mut self, sink: &dyn Sink) {
        if self.bundle.is_empty() {
            return;
        }
        let mut bundle = std::mem::take(&mut self.bundle);
        crate::display::enrich(&mut bundle);
        bundle
            .entry("text/plain")
            .or_insert_with(|| "(shown in a notebook only)".into());
        sink.display(false, "", bundle);
    }

    /// Shows a line that is not whole, unless a block has begun.
    pub(super) fn flush(&mut self, sink: &dyn Sink) {
        if !self.rest.contains(BEGIN) {
            self.show_text(self.rest.len(), sink);
        }
        self.show_bundle(sink);
    }

    /// Shows whatever is left.
    pub(super) fn finish(&mut self, sink: &dyn Sink) {
        self.show_text(self.rest.len(), sink);
        self.show_bundle(sink);
    }
}
