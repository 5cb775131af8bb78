//! The words of a filter.

use std::ops::Range;

/// A word of a filter and which bytes it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: Range<usize>,
    pub(super) what: Word,
}

/// A word of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A name or a keyword; quoted in backticks it is no keyword.
    Name {
        name: String,
        quoted: bool,
    },
    Text(String),
    /// A number or a date, as it is written.
    Number(String),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = [
    "==", "!=", "<>", "<=", ">=", "!~", "=", "<", ">", "~", "(", ")", ",",
];

/// Splits a filter; the error has the place and what is wrong there.
pub(super) fn tokens(filter: &str) -> Result<Vec<Token>, (Range<usize>, String)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = filter[at..].chars().next() {
        let rest = &filter[at..];
        let (len, what) = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (sign.len(), Word::Sign(sign))
        } else if matches!(c, '"' | '\'' | '`') {
            let (len, text) = quoted(rest, c)
                .ok_or_else(|| (at..filter.len(), format!("the closing {c} is missing")))?;
            let word = match c {
                '`' => Word::Name {
                    name: text,
                    quoted: true,
                },
                _ => Word::Text(text),
            };
            (len, word)
        } else if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') {
            let len = span(rest, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | ':' | '_')
            });
            (len, Word::Number(rest[..len].to_owned()))
        } else if c.is_alphabetic() || c == '_' {
            let len = span(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '.'));
            let name = rest[..len].to_owned();
            (
                len,
                Word::Name {
                    name,
                    quoted: false,
                },
            )
        } else {
            return Err((at..at + c.len_utf8(), format!("`{c}` means nothing here")));
        };
        tokens.push(Token {
            at: at..at + len,
            what,
        });
        at += len;
    }
    Ok(tokens)
}

fn span(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// Length and contents of a text in quotes; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(usize, String)> {
    let mut inside = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((at + c.len_utf8(), inside)),
            '\\' => inside.push(chars.next()?.1),
            _ => inside.push(c),
        }
    }
    None
}
