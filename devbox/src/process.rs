//! Other programs: started, watched and read.

use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::settings;

/// Something that a watched program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It wrote a line to its standard output.
    Out(String),
    /// It wrote a line to its standard error.
    Err(String),
    /// It did nothing for a while; time to show that it still runs.
    Tick,
}

/// A command without the variables that `cargo run` has set for us alone.
pub(crate) fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in settings::told_by_cargo_run() {
        command.env_remove(name);
    }
    command
}

/// What `command` writes to its standard output; an error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{program}` failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` on this terminal; an error if it fails.
pub(crate) fn inherit(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("starting `{program}`"))?;
    if !status.success() {
        bail!("`{program}` failed ({status})");
    }
    Ok(())
}

/// Replaces this process by `command`, so that Ctrl-C, the terminal and the exit status are that program's alone.
pub(crate) fn become_program(command: &mut Command) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let program = command.get_program().to_string_lossy().into_owned();
        Err(command.exec()).with_context(|| format!("starting `{program}`"))
    }
    #[cfg(not(unix))]
    inherit(command)
}

/// Runs `command` and hands each of its lines, and a tick where there is none for `tick`, to `see`.
pub(crate) fn watch(
    command: &mut Command,
    tick: Duration,
    mut see: impl FnMut(Event),
) -> Result<ExitStatus> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{program}`"))?;
    let events = lines_of(&mut child);
    loop {
        match events.recv_timeout(tick) {
            Ok(event) => see(event),
            Err(RecvTimeoutError::Timeout) => see(Event::Tick),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    child
        .wait()
        .with_context(|| format!("waiting for `{program}`"))
}

fn lines_of(child: &mut Child) -> Receiver<Event> {
    let (sender, events) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || send_lines(stdout, &sender, Event::Out));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || send_lines(stderr, &sender, Event::Err));
    }
    events
}

/// Sends the lines of `stream`; a carriage return ends a line too, as progress displays use it.
fn send_lines(stream: impl Read, to: &Sender<Event>, event: fn(String) -> Event) {
    let mut line = Vec::new();
    for byte in BufReader::new(stream).bytes().map_while(Result::ok) {
        if byte != b'\n' && byte != b'\r' {
            line.push(byte);
            continue;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        if byte == b'\r' && text.is_empty() {
            continue;
        }
        if to.send(event(text)).is_err() {
            return;
        }
    }
    if !line.is_empty() {
        // The reader may be gone, and then nobody misses the rest.
        let _ = to.send(event(String::from_utf8_lossy(&line).into_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_newline_carriage_return_and_the_end() {
        let (sender, receiver) = mpsc::channel();
        send_lines(&b"one\ntwo\rthree"[..], &sender, Event::Err);
        drop(sender);
        let seen: Vec<Event> = receiver.iter().collect();
        let line = |text: &str| Event::Err(text.to_owned());
        assert_eq!(seen, [line("one"), line("two"), line("three")]);
    }

    #[test]
    fn watch_sees_both_streams_and_the_status() {
        let mut seen = Vec::new();
        let status = watch(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Duration::from_secs(10),
            |event| seen.push(event),
        )
        .unwrap();
        assert_eq!(status.code(), Some(3));
        assert!(seen.contains(&Event::Out("out".to_owned())));
        assert!(seen.contains(&Event::Err("err".to_owned())));
    }
}
