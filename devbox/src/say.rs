//! What devbox prints: the only place that writes to the terminal.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use crate::advice::Advice;
use crate::settings;

/// How often the updating line changes on a terminal.
const ON_TERMINAL: Duration = Duration::from_millis(100);
/// How often it becomes a line of its own where there is no terminal.
const IN_A_LOG: Duration = Duration::from_secs(15);
/// Longer updating lines are cut, as a wrapped line cannot be updated.
const STATUS_COLUMNS: usize = 79;

/// Prints lines, and one updating line below them.
pub(crate) struct Say {
    terminal: bool,
    colour: bool,
    status_shown: bool,
    status_at: Option<Instant>,
    steps: Vec<(String, Duration)>,
}

impl Say {
    /// Prints to standard output.
    pub(crate) fn new() -> Say {
        let terminal = stdout().is_terminal();
        Say {
            terminal,
            colour: terminal && !settings::no_color(),
            status_shown: false,
            status_at: None,
            steps: Vec::new(),
        }
    }

    /// Prints one line, above the updating one.
    pub(crate) fn line(&mut self, text: &str) {
        let clear = if self.status_shown { "\r\x1b[K" } else { "" };
        self.status_shown = false;
        self.write(&format!("{clear}{text}\n"));
    }

    /// Prints a line of another program that may have colours.
    pub(crate) fn coloured(&mut self, text: &str) {
        if self.colour {
            self.line(text);
        } else {
            self.line(&without_colours(text));
        }
    }

    /// Prints what comes now.
    pub(crate) fn heading(&mut self, text: &str) {
        let text = self.painted("1", text);
        self.line(&text);
        self.status_at = Some(Instant::now());
    }

    /// Replaces the updating line; in a log, prints it from time to time.
    pub(crate) fn status(&mut self, text: &str) {
        let every = if self.terminal { ON_TERMINAL } else { IN_A_LOG };
        if self.status_at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.status_at = Some(Instant::now());
        let text = shortened(text);
        if self.terminal {
            self.status_shown = true;
            self.write(&format!("\r\x1b[K  {text}"));
        } else {
            self.write(&format!("  {text}\n"));
        }
    }

    /// Ends a step: prints what was done and keeps its time for [`Say::times`].
    pub(crate) fn done(&mut self, step: &str, text: &str, took: Duration) {
        let mark = self.painted("32", "✓");
        self.line(&format!("{mark} {text} ({})", duration(took)));
        self.steps.push((step.to_owned(), took));
    }

    /// The time of each step so far, and their sum.
    pub(crate) fn times(&self) -> String {
        let total = self.steps.iter().map(|(_, took)| *took).sum();
        self.steps
            .iter()
            .map(|(step, took)| format!("{step} {}", duration(*took)))
            .chain([format!("together {}", duration(total))])
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Prints a warning that is hard to overlook.
    pub(crate) fn warning(&mut self, text: &str) {
        let text = self.painted("1;33", &format!("WARNING: {text}"));
        self.line(&text);
    }

    /// Prints an error with its hint.
    pub(crate) fn failure(&mut self, error: &anyhow::Error) {
        let label = self.painted("1;31", "error");
        self.line(&format!("{label}: {error:#}"));
        if let Some(hint) = Advice::hint_of(error) {
            let label = self.painted("1;36", "hint");
            for (n, line) in hint.lines().enumerate() {
                let lead = if n == 0 {
                    format!(" {label}: ")
                } else {
                    " ".repeat(7)
                };
                self.line(&format!("{lead}{line}"));
            }
        }
    }

    /// Whether colours and updating lines are shown.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// `text` in the colour of the ANSI code `code`, where colours are shown.
    pub(crate) fn painted(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "only one who holds the mutable value may write"
    )]
    fn write(&mut self, text: &str) {
        let mut out = stdout().lock();
        // Nobody reads any more: there is nobody left to tell.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// `took` as a person says it.
pub(crate) fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `text` without its ANSI escape sequences.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.split("\x1b[");
    plain.extend(rest.next());
    for part in rest {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain.extend(end.map(|end| &part[end + 1..]));
    }
    plain
}

fn shortened(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() <= STATUS_COLUMNS - 2 {
        return text;
    }
    let kept: String = text.chars().take(STATUS_COLUMNS - 3).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let said = [0.04, 9.96, 59.0, 61.5, 3725.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(
            said,
            ["0.0 s", "10.0 s", "59 s", "1 min 01 s", "1 h 02 min"]
        );
    }

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colours("\x1b[0;31merror\x1b[0m: no"), "error: no");
        assert_eq!(without_colours("plain [1]"), "plain [1]");
    }

    #[test]
    fn a_status_stays_on_one_line() {
        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(shortened(&"x".repeat(200)).chars().count(), 77);
    }
}
