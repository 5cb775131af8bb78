//! Words on a chart: how wide they are, where they break, and how they are cut.

use super::escape;

/// About how wide `text` is, in pixels at `size`.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let one = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | '.' | ',' | '|' | '\'' | ' ' | 'I' => 0.34,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.92,
        'A'..='Z' => 0.7,
        c if c >= '\u{2e80}' => 1.0,
        _ => 0.6,
    };
    text.chars().map(one).sum::<f64>() * size
}

/// `text` no wider than `limit` pixels, with an ellipsis where it was cut.
pub(crate) fn cut(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) + size * 0.9 > limit {
            kept.pop();
            break;
        }
    }
    format!("{}…", kept.trim_end())
}

/// `text` for an attribute in which the ends of lines count.
pub(crate) fn attribute(text: &str) -> String {
    escape::text(text).replace('\n', "&#10;")
}

/// The whole text for the tooltip of one that was cut.
pub(crate) fn whole(shown: &str, text: &str) -> String {
    if shown == text {
        String::new()
    } else {
        format!(" data-tip=\"{}\"", attribute(text))
    }
}

/// `text` in at most `most` lines, broken at spaces; the last is cut where there is more.
pub(crate) fn lines(text: &str, size: f64, limit: f64, most: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match out.last_mut() {
            Some(line) if fits_on(line, word, size, limit) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    if out.len() > most {
        let rest = out.split_off(most - 1).join(" ");
        out.push(rest);
    }
    out.iter()
        .map(|line| cut(line, size, limit.max(20.0)))
        .collect()
}

fn fits_on(line: &str, word: &str, size: f64, limit: f64) -> bool {
    width(line, size) + width(word, size) + size * 0.31 <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_break_at_spaces_and_end_in_an_ellipsis() {
        assert_eq!(lines("one two three", 12.0, 50.0, 3), ["one two", "three"]);
        assert_eq!(
            lines("one two three four five", 12.0, 50.0, 2),
            ["one two", "three…"]
        );
        assert!(lines("", 12.0, 50.0, 2).is_empty());
    }
}
