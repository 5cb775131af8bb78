//! Makes text harmless inside HTML, XML and scripts; every text that comes from a document passes through here.

/// `text` for the content or a quoted attribute of HTML and XML; characters that XML forbids become `�`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            '\r' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() || turns_direction(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Our own prose as HTML: what stands between backticks is code.
pub(crate) fn prose(words: &str) -> String {
    let parts: Vec<&str> = words.split('`').collect();
    // An odd backtick at the end is just one.
    let is_paired = parts.len() % 2 == 1;
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let part = text(part);
        if is_paired && at % 2 == 1 {
            out.push_str("<code>");
            out.push_str(&part);
            out.push_str("</code>");
        } else {
            if !is_paired && at > 0 {
                out.push('`');
            }
            out.push_str(&part);
        }
    }
    out
}

/// JSON for the inside of a `<script type="application/json">`: no `<` or `>`, so that nothing ends the element early.
pub(crate) fn json(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// `text` with at most `limit` characters, with an ellipsis where it was cut.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Marks that turn the direction of the text after them, beyond the end of the name that holds them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_document_is_markup() {
        let evil = "</script><img src=x onerror='a'>\"]]>&\0\u{1b}\u{202e}\u{2028}";
        assert_eq!(
            text(evil),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&gt;&quot;]]&gt;&amp;\u{fffd}\u{fffd}\u{fffd}\u{2028}"
        );
    }

    #[test]
    fn code_stands_between_backticks() {
        assert_eq!(
            prose("type `%kg <x>`, then"),
            "type <code>%kg &lt;x&gt;</code>, then"
        );
        assert_eq!(prose("an odd ` one"), "an odd ` one");
    }

    #[test]
    fn json_cannot_end_its_script() {
        let evil = serde_json::json!(["</script><!--", "\u{2028}\u{2029}\0"]);
        let shown = json(&evil);
        assert_eq!(
            shown,
            r#"["\u003c/script\u003e\u003c!--","\u2028\u2029\u0000"]"#
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            evil
        );
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("lighthouse", 10), "lighthouse");
        assert_eq!(cut("lighthouse", 6), "light…");
    }
}
