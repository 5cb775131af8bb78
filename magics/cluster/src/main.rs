//! `mlk8s-cluster`: manifests rendered, checked, applied and looked after; ports forwarded.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;
use mlk8s_cluster::command::{Line, run};

fn main() -> ExitCode {
    let line = Line::parse();
    match run(&line, &mut Plain(io::stdout().lock())) {
        Ok(code) => code,
        Err(failure) => {
            // Who does not listen is not told.
            let _ = writeln!(Plain(io::stderr()), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves out what would drive a terminal: names and reasons are written by whoever may make a pod.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_plain = |byte: &u8| !byte.is_ascii_control() || matches!(byte, b'\n' | b'\t');
        let plain: Vec<u8> = bytes.iter().copied().filter(is_plain).collect();
        self.0.write_all(&plain)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_the_terminal() {
        let mut out = Vec::new();
        write!(Plain(&mut out), "pod \u{1b}]0;x\u{7}a\r\n\tb\n").unwrap();
        assert_eq!(out, b"pod ]0;xa\n\tb\n");
    }
}
