//! What a value looks like: texts by MIME type.

use serde_json::{Map, Value};

/// A value in several forms; a frontend takes the richest that it knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bundle(pub(crate) Map<String, Value>);

impl Bundle {
    /// A bundle with one text.
    pub fn plain(text: impl Into<String>) -> Bundle {
        Bundle::default().with("text/plain", text)
    }

    /// The bundle with `content` as its form of type `mime`; binary types take Base64 (Jupyter protocol, "MIME
    /// bundles").
    #[must_use]
    pub fn with(mut self, mime: &str, content: impl Into<String>) -> Bundle {
        self.0.insert(mime.to_owned(), Value::from(content.into()));
        self
    }

    /// The bundle with `content` as its form of the JSON type `mime`.
    #[must_use]
    pub fn with_json(mut self, mime: &str, content: Value) -> Bundle {
        self.0.insert(mime.to_owned(), content);
        self
    }

    /// Whether there is no form at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Begins a form of a value in the text that `evcxr_display` writes.
const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
/// Ends it.
const END: &str = "EVCXR_END_CONTENT";

/// The bundle in what an `evcxr_display` wrote, and the text around it.
pub(crate) fn read_blocks(written: &str) -> (Bundle, String) {
    let mut bundle = Bundle::default();
    let mut around = String::new();
    let mut open: Option<(String, String)> = None;
    for line in written.split_inclusive('\n') {
        let word = line.trim_end_matches(['\n', '\r']);
        match &mut open {
            None => match word.strip_prefix(BEGIN) {
                Some(mime) => open = Some((mime.trim().to_owned(), String::new())),
                None => around.push_str(line),
            },
            Some((mime, content)) => match word.strip_suffix(END) {
                Some(last) => {
                    content.push_str(last);
                    let content = content.strip_suffix('\n').unwrap_or(content).to_owned();
                    bundle.insert_text(mime, content);
                    open = None;
                }
                None => content.push_str(line),
            },
        }
    }
    (bundle, around)
}

impl Bundle {
    fn insert_text(&mut self, mime: &str, content: String) {
        let parsed = mime
            .ends_with("json")
            .then(|| serde_json::from_str(&content).ok())
            .flatten();
        self.0
            .insert(mime.to_owned(), parsed.unwrap_or(Value::from(content)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_from_text() {
        let written = "before\nEVCXR_BEGIN_CONTENT text/html\n<b>\nx</b>\nEVCXR_END_CONTENT\n\
                       EVCXR_BEGIN_CONTENT application/x+json\n{\"a\":1}\nEVCXR_END_CONTENT\nafter";
        let (bundle, around) = read_blocks(written);
        assert_eq!(bundle.0["text/html"], "<b>\nx</b>");
        assert_eq!(bundle.0["application/x+json"]["a"], 1);
        assert_eq!(around, "before\nafter");
    }
}
