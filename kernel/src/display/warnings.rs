//! Warnings of the compiler: one line that opens, so that they do not stand in the way.

use serde_json::{Map, Value};

use super::escape;

/// The MIME bundle of `n` warnings whose text, with ANSI colours, is `text`.
pub(crate) fn bundle(n: usize, text: &str) -> Map<String, Value> {
    let plain = without_colours(text);
    let head = if n == 1 {
        "1 warning".to_owned()
    } else {
        format!("{n} warnings")
    };
    let html = format!(
        "<details><summary style=\"opacity:.75\">{head}</summary><pre>{}</pre></details>",
        escape::text(plain.trim_end())
    );
    let mut bundle = Map::new();
    bundle.insert(
        "text/plain".to_owned(),
        format!("{head}\n{}", plain.trim_end()).into(),
    );
    bundle.insert("text/html".to_owned(), html.into());
    bundle
}

/// `text` without the sequences that colour it.
pub(crate) fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split('\u{1b}');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.push_str(piece.split_once('m').map_or(piece, |(_, rest)| rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_folded_and_escaped() {
        let bundle = bundle(2, "\u{1b}[1;33mwarning\u{1b}[0m: a < b\n");
        assert_eq!(bundle["text/plain"], "2 warnings\nwarning: a < b");
        assert!(
            bundle["text/html"]
                .as_str()
                .unwrap()
                .contains("<pre>warning: a &lt; b</pre>")
        );
    }
}
