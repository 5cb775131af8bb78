//! Whether a piece of Rust is whole: brackets, texts, comments, statements that hang in the air.
//!
//! A look at the characters, not a parse: it must answer while somebody types, and only has to tell an unfinished
//! piece from a finished one.

/// What a look at a piece of Rust tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It could be run.
    Whole,
    /// Something is missing at its end.
    Unfinished {
        /// Brackets that are open.
        depth: usize,
        /// It ends within a text or a comment.
        in_text: bool,
    },
    /// No continuation makes it right.
    Wrong,
}

/// Looks at `code`.
pub(crate) fn look(code: &str) -> Look {
    let mut scan = Scan {
        rest: code,
        open: Vec::new(),
        statement: Statement::default(),
    };
    loop {
        match scan.step() {
            Step::On => {}
            Step::Wrong => return Look::Wrong,
            Step::CutOff => {
                return Look::Unfinished {
                    depth: scan.open.len(),
                    in_text: true,
                };
            }
            Step::End => break,
        }
    }
    let depth = scan.open.len();
    if depth > 0 || scan.statement.hangs() {
        return Look::Unfinished {
            depth,
            in_text: false,
        };
    }
    Look::Whole
}

/// The bracket that closes `open`.
fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

struct Scan<'a> {
    rest: &'a str,
    open: Vec<char>,
    statement: Statement,
}

enum Step {
    On,
    /// A closing bracket without its opening one.
    Wrong,
    /// The end lies within a text or a comment.
    CutOff,
    End,
}

impl Scan<'_> {
    fn step(&mut self) -> Step {
        let Some(first) = self.rest.chars().next() else {
            return Step::End;
        };
        if first.is_whitespace() {
            self.skip(first.len_utf8());
            return Step::On;
        }
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            return Step::On;
        }
        if self.rest.starts_with("/*") {
            return self.take(comment_length(self.rest));
        }
        if first == '_' || first.is_alphanumeric() {
            return self.word();
        }
        match first {
            '"' => {
                self.statement.see('"', None, self.open.is_empty());
                self.take(text_length(self.rest))
            }
            '\'' => {
                self.statement.see('\'', None, self.open.is_empty());
                self.skip(quote_length(self.rest));
                Step::On
            }
            _ => self.sign(first),
        }
    }

    fn word(&mut self) -> Step {
        let length = self
            .rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(length);
        let last = word.chars().last().unwrap_or('_');
        self.statement.see(last, Some(word), self.open.is_empty());
        let n_hashes = after.len() - after.trim_start_matches('#').len();
        let is_raw = matches!(word, "r" | "br" | "cr") && after[n_hashes..].starts_with('"');
        if !is_raw {
            self.skip(length);
            return Step::On;
        }
        let end = format!("\"{}", "#".repeat(n_hashes));
        let body = &after[n_hashes + 1..];
        self.take(
            body.find(&end)
                .map(|at| length + n_hashes + 1 + at + end.len()),
        )
    }

    fn sign(&mut self, sign: char) -> Step {
        match sign {
            '(' | '[' | '{' => {
                self.statement.see(sign, None, self.open.is_empty());
                self.open.push(sign);
            }
            ')' | ']' | '}' => {
                if self.open.pop().map(closing) != Some(sign) {
                    return Step::Wrong;
                }
                self.statement.see(sign, None, self.open.is_empty());
            }
            _ => self.statement.see(sign, None, self.open.is_empty()),
        }
        self.skip(sign.len_utf8());
        Step::On
    }

    fn skip(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    fn take(&mut self, length: Option<usize>) -> Step {
        match length {
            Some(length) => {
                self.skip(length);
                Step::On
            }
            None => Step::CutOff,
        }
    }
}

/// The statement that is being written outside of all brackets.
#[derive(Default)]
struct Statement {
    begun: bool,
    is_let: bool,
    is_attribute: bool,
    last: char,
    before_last: char,
}

impl Statement {
    /// Takes the next sign, or the last letter of the next `word`.
    fn see(&mut self, sign: char, word: Option<&str>, outside: bool) {
        if !outside {
            return;
        }
        if !self.begun {
            self.begun = true;
            self.is_let = word == Some("let");
            self.is_attribute = sign == '#';
        } else if self.is_attribute && self.last == ']' {
            // What the attribute belongs to.
            self.is_attribute = sign == '#';
            self.is_let = word == Some("let");
        }
        (self.before_last, self.last) = (self.last, sign);
        let ended = sign == ';' || sign == '}' && !self.is_let;
        if ended {
            *self = Statement {
                last: sign,
                ..Statement::default()
            };
        }
    }

    /// Whether it cannot end here.
    fn hangs(&self) -> bool {
        let by_operator = match self.last {
            '=' | '+' | '-' | '*' | '/' | '&' | ',' => true,
            // An empty closure ends in `||`, a range in `..`, a number may end in a point.
            '|' => self.before_last != '|',
            '.' => self.before_last != '.' && !self.before_last.is_ascii_digit(),
            _ => false,
        };
        self.begun && (by_operator || self.is_let || self.is_attribute && self.last == ']')
    }
}

/// Length of the comment at the start of `rest`; block comments nest.
fn comment_length(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = rest[at..].find(['/', '*']) {
        at += found;
        let pair = rest[at..].get(..2);
        match pair {
            Some("/*") => depth += 1,
            Some("*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Length of the text in double quotes at the start of `rest`.
fn text_length(rest: &str) -> Option<usize> {
    let mut signs = rest.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Length of the character, or of the quote of a lifetime, at the start of `rest`.
fn quote_length(rest: &str) -> usize {
    let mut signs = rest.char_indices().skip(1);
    match signs.next() {
        Some((_, '\\')) => {
            let end = signs
                .skip(1)
                .find(|&(_, sign)| sign == '\'' || sign == '\n');
            end.map_or(rest.len(), |(at, _)| at + 1)
        }
        Some(_) => match signs.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pieces() {
        for code in [
            "",
            "1 + 1",
            "let x = 41;",
            "fn f(x: u64) -> u64 {\n    2 * x\n}",
            "\"}\"",
            "'{'",
            "'\\''",
            "'\\u{7b}'",
            "r#\"a \" ( \"#",
            "// {",
            "/* ( /* */ */ 1",
            "fn f<'a>(x: &'a str) {}",
            "let s = \"a\\\"b\";",
            "x.len()",
            "(0..)",
            "r#type",
            "#[derive(Debug)] struct A;",
            "if x { 1 } else { 2 }",
            "use a::*;",
            "move || 1",
            "let v = [1, 2]; v",
            "b'\\x00'",
            "let x = match 1 { _ => 2 };",
            "1.",
            "struct A {}\nlet b = 1;",
        ] {
            assert_eq!(look(code), Look::Whole, "{code}");
        }
    }

    #[test]
    fn unfinished_pieces() {
        for (code, depth, in_text) in [
            ("fn f() {", 1, false),
            ("let x = (1 +", 1, false),
            ("\"open", 0, true),
            ("let x = 1", 0, false),
            ("1 +", 0, false),
            ("/* a", 0, true),
            ("r#\"a\"", 0, true),
            ("f(\"a", 1, true),
            ("#[derive(Debug)]", 0, false),
            ("let x = if a { 1 } else { 2 }", 0, false),
            ("x.", 0, false),
            ("#[a]\nlet x = 1", 0, false),
        ] {
            let expected = Look::Unfinished { depth, in_text };
            assert_eq!(look(code), expected, "{code}");
        }
    }

    #[test]
    fn wrong_pieces() {
        for code in ["fn )", "let x = 1 }", "(]", "{ ( }"] {
            assert_eq!(look(code), Look::Wrong, "{code}");
        }
    }
}
