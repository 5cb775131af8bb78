//! A cell's text → its segments: stretches of Rust and magics, in order.
//!
//! A cell whose first line that is not blank is `%%name …` is one cell magic, the rest is its body. Otherwise each
//! line that is `%name …` from its first column is a line magic, unless the Rust before it has an open bracket, text
//! or comment: there a `%` is an operator or a letter. `%name?`, `name?` and `?name` ask for help.

use crate::syntax::{Look, look};

/// One stretch of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// Rust, with an empty line for each line of the cell before it, so that places in it are places in the cell.
    Rust(String),
    /// `%name arguments`.
    Line {
        /// Name of the magic.
        name: &'a str,
        /// The rest of the line.
        arguments: &'a str,
    },
    /// `%%name arguments` and the lines below.
    Cell {
        /// Name of the magic.
        name: &'a str,
        /// The rest of the line.
        arguments: &'a str,
        /// The lines below.
        body: &'a str,
    },
    /// `%%name` where it cannot be: below something else.
    Misplaced {
        /// Name of the magic.
        name: &'a str,
    },
    /// `%name?`, `%name verb?`.
    MagicHelp {
        /// Name of the magic.
        name: &'a str,
        /// The verb.
        verb: Option<&'a str>,
    },
    /// `name?` or `?name`, the whole cell.
    Help {
        /// What is asked about.
        name: &'a str,
        /// The cell, which may be Rust after all (`result?`).
        code: &'a str,
    },
}

/// The segments of the cell `text`.
pub(crate) fn split(text: &str) -> Vec<Segment<'_>> {
    if let Some(name) = asked_for(text.trim()) {
        return vec![Segment::Help { name, code: text }];
    }
    let start = text.len() - text.trim_start_matches(['\n', '\r', ' ', '\t']).len();
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let (first, body) = text[start..]
        .split_once('\n')
        .unwrap_or((&text[start..], ""));
    if let Some(Typed {
        sigil: "%%",
        name,
        arguments,
    }) = typed(first)
        && help(name, arguments).is_none()
    {
        return vec![Segment::Cell {
            name,
            arguments,
            body,
        }];
    }
    lines(text)
}

fn lines(text: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut rust = String::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match typed(line).filter(|_| may_be_magic(&rust)) {
            Some(typed) => {
                close(&mut rust, &mut segments);
                segments.push(segment(&typed));
                rust = "\n".repeat(number + 1);
            }
            None => rust.push_str(line),
        }
    }
    close(&mut rust, &mut segments);
    segments
}

fn close(rust: &mut String, segments: &mut Vec<Segment<'_>>) {
    let rust = std::mem::take(rust);
    if !rust.trim().is_empty() {
        segments.push(Segment::Rust(rust));
    }
}

/// Whether the line after `rust` can be a magic: nothing is open.
fn may_be_magic(rust: &str) -> bool {
    rust.trim().is_empty()
        || !matches!(
            look(rust),
            Look::Unfinished { depth: 1.., .. } | Look::Unfinished { in_text: true, .. }
        )
}

fn segment<'a>(typed: &Typed<'a>) -> Segment<'a> {
    let &Typed {
        sigil,
        name,
        arguments,
    } = typed;
    match help(name, arguments) {
        Some((name, verb)) => Segment::MagicHelp { name, verb },
        None if sigil == "%%" => Segment::Misplaced { name },
        None => Segment::Line { name, arguments },
    }
}

/// A line as it is typed for a magic.
struct Typed<'a> {
    sigil: &'a str,
    name: &'a str,
    arguments: &'a str,
}

/// The magic that `line` calls.
fn typed(line: &str) -> Option<Typed<'_>> {
    let line = line.trim_end();
    let after = line.strip_prefix("%%").or_else(|| line.strip_prefix('%'))?;
    let sigil = &line[..line.len() - after.len()];
    let length = after
        .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .unwrap_or(after.len());
    let (name, rest) = after.split_at(length);
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let ends_well = rest.is_empty() || rest.starts_with([' ', '\t', '?']);
    (begins_well && ends_well).then_some(Typed {
        sigil,
        name,
        arguments: rest.trim_start(),
    })
}

/// The name and the verb that a question mark asks about.
fn help<'a>(name: &'a str, arguments: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let verb = arguments.strip_suffix('?')?;
    let is_word = verb.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some((name, Some(verb).filter(|verb| !verb.is_empty())))
}

/// The name in `name?` or `?name`.
fn asked_for(text: &str) -> Option<&str> {
    let name = text.strip_suffix('?').or_else(|| text.strip_prefix('?'))?;
    let begins_well = name.starts_with(|c: char| c == '_' || c.is_alphabetic());
    let goes_on = name
        .chars()
        .all(|c| c == '_' || c == ':' || c.is_alphanumeric());
    (begins_well && goes_on).then_some(name)
}

/// Whether `text` could be run as it is.
pub(crate) fn completeness(text: &str) -> Look {
    let segments = split(text);
    if let [Segment::Cell { body, .. }] = segments.as_slice() {
        // An empty line ends the body, as it ends a block in any prompt.
        let ended = body.ends_with('\n') && !body.trim().is_empty();
        return if ended {
            Look::Whole
        } else {
            Look::Unfinished {
                depth: 0,
                in_text: true,
            }
        };
    }
    let mut last = Look::Whole;
    for segment in &segments {
        last = match segment {
            Segment::Rust(code) => look(code),
            _ => Look::Whole,
        };
        if last == Look::Wrong {
            break;
        }
    }
    last
}

/// The stretch of a magic's line in `text` that holds byte `cursor`: where the line begins, and the line.
pub(crate) fn magic_line(text: &str, cursor: usize) -> Option<(usize, &str)> {
    let start = text[..cursor].rfind('\n').map_or(0, |at| at + 1);
    let end = text[cursor..]
        .find('\n')
        .map_or(text.len(), |at| cursor + at);
    let before = &text[..start];
    let is_magic = text[start..end].starts_with('%') && may_be_magic(before);
    (is_magic && start <= cursor).then(|| (start, &text[start..end]))
}

/// `text` with a blank for each byte of its magics, so that places stay what they are.
pub(crate) fn without_magics(text: &str) -> String {
    let mut rust = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if typed(line).is_some() && may_be_magic(&rust) {
            let content = line.trim_end_matches(['\r', '\n']).len();
            rust.extend(std::iter::repeat_n(' ', content));
            rust.push_str(&line[content..]);
        } else {
            rust.push_str(line);
        }
    }
    rust
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        let lines: Vec<String> = split(text)
            .iter()
            .map(|segment| format!("{segment:?}"))
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn rust_and_magics_take_turns() {
        check("1 + 1", &expect![[r#"Rust("1 + 1")"#]]);
        check(
            "let a = 1;\n%lsmagic\n\n%kg show kg\na",
            &expect![[r#"
                Rust("let a = 1;\n")
                Line { name: "lsmagic", arguments: "" }
                Line { name: "kg", arguments: "show kg" }
                Rust("\n\n\n\na")"#]],
        );
    }

    #[test]
    fn a_cell_magic_owns_its_cell() {
        check(
            "\n%%ask --kg kg\nWho?\n%not a magic\n",
            &expect![[
                r#"Cell { name: "ask", arguments: "--kg kg", body: "Who?\n%not a magic\n" }"#
            ]],
        );
        check(
            "1;\n%%ask\nWho?",
            &expect![[r#"
                Rust("1;\n")
                Misplaced { name: "ask" }
                Rust("\n\nWho?")"#]],
        );
    }

    #[test]
    fn a_percent_sign_within_rust_is_rust() {
        check(
            "let s = \"\n%kg\n\";",
            &expect![[r#"Rust("let s = \"\n%kg\n\";")"#]],
        );
        check("f(7\n%x)", &expect![[r#"Rust("f(7\n%x)")"#]]);
        check("% 3", &expect![[r#"Rust("% 3")"#]]);
        check(" %kg", &expect![[r#"Rust(" %kg")"#]]);
    }

    #[test]
    fn question_marks_ask_for_help() {
        check(
            "%kg?",
            &expect![[r#"MagicHelp { name: "kg", verb: None }"#]],
        );
        check(
            "%kg build?",
            &expect![[r#"MagicHelp { name: "kg", verb: Some("build") }"#]],
        );
        check(
            "%%ask?",
            &expect![[r#"MagicHelp { name: "ask", verb: None }"#]],
        );
        check("Vec?", &expect![[r#"Help { name: "Vec", code: "Vec?" }"#]]);
        check("?kg", &expect![[r#"Help { name: "kg", code: "?kg" }"#]]);
        check(
            "%help who is it?",
            &expect![[r#"Line { name: "help", arguments: "who is it?" }"#]],
        );
    }

    #[test]
    fn completeness_knows_magics() {
        assert_eq!(completeness("%lsmagic"), Look::Whole);
        assert_ne!(completeness("%%ask"), Look::Whole);
        assert_ne!(completeness("%%ask\nWho?"), Look::Whole);
        assert_eq!(completeness("%%ask\nWho?\n"), Look::Whole);
        assert_eq!(completeness("%lsmagic\nfn )"), Look::Wrong);
    }

    #[test]
    fn magics_are_blanked_out_for_rust() {
        assert_eq!(without_magics("%kg ü\nlet a;"), "      \nlet a;");
        assert_eq!(magic_line("1;\n%kg s\n", 6), Some((3, "%kg s")));
        assert_eq!(magic_line("1;\n%kg s\n", 1), None);
    }
}
