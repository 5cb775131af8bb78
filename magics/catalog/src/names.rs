//! Names that people give to values, parsed once so that they are right everywhere else.

use std::fmt;
use std::str::FromStr;

/// The name of a value: a Rust identifier, because Rust cells use it as a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueName(String);

/// Words that Rust keeps for itself, so that no variable can have them as its name.
const KEYWORDS: [&str; 39] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe",
    "use", "where", "while", "_",
];

impl ValueName {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ValueName {
    type Err = String;

    fn from_str(text: &str) -> Result<ValueName, String> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let goes_on = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if KEYWORDS.contains(&text) {
            return Err(format!("`{text}` is a word of Rust; choose another name"));
        }
        if !begins || !goes_on {
            return Err(
                "a name is made of small letters, digits and `_`, and begins with a letter"
                    .to_owned(),
            );
        }
        Ok(ValueName(text.to_owned()))
    }
}

impl fmt::Display for ValueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_rust_identifier() {
        assert!("docs_2".parse::<ValueName>().is_ok());
        for wrong in ["", "2docs", "Docs", "a-b", "let", "../x", "_"] {
            assert!(wrong.parse::<ValueName>().is_err(), "{wrong}");
        }
    }
}
