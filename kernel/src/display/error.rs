//! A failed magic as frontends show it: a name, a message, and lines in the colours of a terminal.

use mlk8s_catalog::error::MagicError;

/// A red and a blue of the fixed 256 colours: JupyterLab lays errors on pink or on dark red, and each of these has a
/// contrast of some 3.2 with both. Of the 16 named colours none has; in bold JupyterLab makes them darker still.
pub(crate) const RED: &str = "\u{1b}[1;38;5;196m";
pub(crate) const BLUE: &str = "\u{1b}[1;38;5;31m";
pub(crate) const PLAIN: &str = "\u{1b}[0m";

/// The content of an `error` message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Sort of failure.
    pub(crate) ename: String,
    /// What failed.
    pub(crate) evalue: String,
    /// Coloured lines for people: what failed, then what to type next.
    pub(crate) traceback: Vec<String>,
}

/// How `error` is shown.
pub(crate) fn report(error: &MagicError) -> Report {
    let ename = error.kind.name().to_owned();
    let evalue = harmless(&error.message);
    let mut traceback = vec![format!("{RED}{ename}{PLAIN}: {evalue}")];
    for (index, line) in harmless(&error.hint).lines().enumerate() {
        let lead = if index == 0 {
            format!("{BLUE}hint{PLAIN}: ")
        } else {
            "      ".to_owned()
        };
        traceback.push(format!("{lead}{line}"));
    }
    Report {
        ename,
        evalue,
        traceback,
    }
}

/// `text` without control characters: a file's name must not drive the terminal.
fn harmless(text: &str) -> String {
    text.trim()
        .chars()
        .filter(|&c| c == '\n' || c == '\t' || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::error::ErrorKind;

    #[test]
    fn message_and_hint_are_told_apart() {
        let error = MagicError::new(ErrorKind::NotFound, "nothing is called `a\u{1b}[2Jb`")
            .with_hint("did you mean `ab`?\n`%lsmagic` lists all");
        let shown = report(&error);
        assert_eq!(shown.ename, "NotFound");
        assert_eq!(shown.evalue, "nothing is called `a[2Jb`");
        assert_eq!(
            shown.traceback,
            [
                "\u{1b}[1;38;5;196mNotFound\u{1b}[0m: nothing is called `a[2Jb`",
                "\u{1b}[1;38;5;31mhint\u{1b}[0m: did you mean `ab`?",
                "      `%lsmagic` lists all",
            ]
        );
    }

    #[test]
    fn without_a_hint_there_is_one_line() {
        assert_eq!(
            report(&MagicError::new(ErrorKind::Internal, "broken"))
                .traceback
                .len(),
            1
        );
    }
}
