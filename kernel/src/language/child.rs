//! The process that runs Rust cells: evcxr's, with its output passed through a relay that tells how a cell ended.
//!
//! evcxr does not say whether a cell panicked or left early by `?`, and text that is not UTF-8 ends its reader. The
//! relay reads what the cell writes, mends the text, and reports the end of the cell on stderr after everything the
//! cell wrote there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::fd::AsFd;

const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";
const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION";
const LEFT: &str = "EVCXR_ERROR_OCCURRED";
const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
/// Begins a line on stderr that is meant for the host.
const REPORT: &str = "\u{1}mlk8s-cell-end ";

/// How a cell ended, as the relay saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The cell panicked.
    pub(crate) panicked: bool,
    /// The cell left early by `?`.
    pub(crate) left: bool,
}

impl Ending {
    /// Reads the report of the relay, if `line` is one.
    pub(crate) fn read(line: &str) -> Option<Ending> {
        let flags = line.strip_prefix(REPORT)?;
        Some(Ending {
            panicked: flags.contains('p'),
            left: flags.contains('l'),
        })
    }

    fn report(self) -> String {
        let panicked = if self.panicked { "p" } else { "" };
        let left = if self.left { "l" } else { "" };
        format!("{REPORT}{panicked}{left}.\n")
    }
}

/// Becomes the evaluation child when evcxr started this program as one; does not return then.
pub(crate) fn hook() {
    if std::env::var_os("EVCXR_IS_RUNTIME").is_some() {
        // Without the relay cells still run; only their ending is less well known.
        let _ = relay_stdout();
    }
    evcxr::runtime_hook();
}

fn relay_stdout() -> io::Result<()> {
    let to_host = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let to_stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let (reader, writer) = io::pipe()?;
    nix::unistd::dup2_stdout(&writer)?;
    std::thread::spawn(move || relay(reader, to_host, to_stderr));
    Ok(())
}

fn relay(reader: PipeReader, mut to_host: File, mut to_stderr: File) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(1 << 16, reader);
    let mut ending = Ending::default();
    let mut raw = Vec::new();
    while lines.read_until(b'\n', &mut raw)? > 0 {
        let text = String::from_utf8_lossy(&raw);
        let pieces = apart(text.strip_suffix('\n').unwrap_or(&text));
        for piece in pieces.lines() {
            match piece {
                PANICKED => ending.panicked = true,
                LEFT => ending.left = true,
                COMPLETE => {
                    to_stderr.write_all(ending.report().as_bytes())?;
                    ending = Ending::default();
                }
                _ => {}
            }
        }
        to_host.write_all(pieces.as_bytes())?;
        raw.clear();
    }
    Ok(())
}

/// The line, with a control word of evcxr that follows unfinished output set on a line of its own.
fn apart(line: &str) -> String {
    let begins = [BEGIN, COMPLETE, PANICKED, LEFT]
        .iter()
        .find_map(|word| line.find(word).filter(|&at| at > 0));
    match begins {
        Some(at) => format!("{}\n{}\n", &line[..at], &line[at..]),
        None => format!("{line}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_survives_its_report() {
        let ending = Ending {
            panicked: true,
            left: false,
        };
        assert_eq!(Ending::read(ending.report().trim_end()), Some(ending));
        assert_eq!(Ending::read("mlk8s-cell-end p"), None);
    }

    #[test]
    fn unfinished_output_does_not_hide_a_control_word() {
        assert_eq!(apart("a"), "a\n");
        assert_eq!(
            apart("aEVCXR_EXECUTION_COMPLETE"),
            "a\nEVCXR_EXECUTION_COMPLETE\n"
        );
    }
}
