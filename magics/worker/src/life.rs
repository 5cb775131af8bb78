//! When a worker ends: a signal, or the end of the process that it works for.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often the parent is looked at, beside the pipe from it.
const GLANCE: Duration = Duration::from_millis(500);

/// What tells a worker to end.
pub(crate) struct Life {
    terminate: Signal,
    interrupt: Signal,
    orphaned: watch::Receiver<bool>,
    /// Nobody but the watchers of the parent sends; without a parent, nobody does.
    _orphan: watch::Sender<bool>,
}

/// Why a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody wants it to.
    Told,
    /// Nobody is there any more to work for.
    Orphaned,
}

impl Life {
    /// Listens for signals and watches the process `parent`.
    pub(crate) fn watch(parent: Option<u32>) -> io::Result<Life> {
        let (orphan, orphaned) = watch::channel(false);
        if let Some(pid) = parent {
            watch_process(pid, orphan.clone());
            watch_input(orphan.clone())?;
        }
        Ok(Life {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            orphaned,
            _orphan: orphan,
        })
    }

    /// The next reason to end.
    pub(crate) async fn end(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Told,
            _ = self.interrupt.recv() => End::Told,
            _ = self.orphaned.wait_for(|orphaned| *orphaned) => End::Orphaned,
        }
    }
}

/// Looks now and then whether the parent is the process that it was.
fn watch_process(pid: u32, orphan: watch::Sender<bool>) {
    let first = birth(pid);
    tokio::spawn(async move {
        let mut clock = tokio::time::interval(GLANCE);
        while first.is_some() && birth(pid) == first {
            clock.tick().await;
        }
        orphan.send_replace(true);
    });
}

/// When a living process was started, in ticks since boot (proc(5), field 22 of `stat`); with it, another process of the
/// same number is told from the first.
fn birth(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Waits for the end of standard input, if that is a pipe: it ends with the process that holds the other end.
fn watch_input(orphan: watch::Sender<bool>) -> io::Result<()> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let kind = input.metadata()?.file_type();
    if !kind.is_fifo() && !kind.is_socket() {
        return Ok(());
    }
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            let mut input = input;
            let mut bytes = [0; 256];
            loop {
                match input.read(&mut bytes) {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                    Ok(_) | Err(_) => {}
                }
            }
            orphan.send_replace(true);
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_birth() {
        assert!(birth(std::process::id()).is_some());
        assert_eq!(birth(u32::MAX), None);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        // Not waited for yet, it is a zombie at last.
        while birth(pid).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
