//! The program that works for a cell (the compiler, cargo, a shell), and the user's wish that the cell stops.
//!
//! Both stand under one lock: an interrupt finds the program, or the program is never started. Without it an interrupt
//! between the start and the note of it would be lost, and the compiler would go on for as long as it likes.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::kernel::locked;

/// What works for a cell, for whoever wants to stop it.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The process group that works.
    group: Option<Pid>,
    /// The user wants the cell to stop.
    is_stopped: bool,
    /// The kernel ends: nothing is started any more.
    is_ended: bool,
}

impl Running {
    /// A new cell begins: what stopped the last one is past, unless the kernel ends.
    pub(super) fn begin(&self) {
        let mut state = locked(&self.0);
        state.is_stopped = state.is_ended;
    }

    /// Stops the cell and all that come after it.
    pub(super) fn end(&self) {
        locked(&self.0).is_ended = true;
        self.stop();
    }

    /// Starts `command` in a process group of its own; `None` when the cell is to stop.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Option<Child>> {
        let mut state = locked(&self.0);
        if state.is_stopped {
            return Ok(None);
        }
        let process = command.process_group(0).spawn()?;
        state.group = Some(Pid::from_raw(process.id().cast_signed()));
        Ok(Some(process))
    }

    /// Waits for the end of what [`Running::spawn`] started.
    pub(super) fn wait(&self, process: &mut Child) -> io::Result<ExitStatus> {
        let pid = Pid::from_raw(process.id().cast_signed());
        // It keeps its number until nobody can stop it any more: a number that is free may be another's by then.
        while let Err(errno) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            if errno != Errno::EINTR {
                return Err(errno.into());
            }
        }
        let mut state = locked(&self.0);
        state.group = None;
        process.wait()
    }

    /// Whether the user wants the cell to stop.
    pub(super) fn is_stopped(&self) -> bool {
        locked(&self.0).is_stopped
    }

    /// Stops the cell; says whether a program worked for it, which is killed.
    pub(super) fn stop(&self) -> bool {
        let mut state = locked(&self.0);
        state.is_stopped = true;
        // One that has just ended by itself is as good.
        state
            .group
            .is_some_and(|group| killpg(group, Signal::SIGKILL).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::{Duration, Instant};

    use super::*;

    fn sleep() -> Command {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    }

    #[test]
    fn what_runs_is_killed_and_nothing_starts_after() {
        let running = Running::default();
        let mut process = running.spawn(&mut sleep()).unwrap().unwrap();
        assert!(running.stop() && running.is_stopped());
        assert_eq!(running.wait(&mut process).unwrap().signal(), Some(9));
        assert!(running.spawn(&mut sleep()).unwrap().is_none());
        running.begin();
        assert!(!running.is_stopped());
        let mut process = running
            .spawn(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap()
            .unwrap();
        assert_eq!(running.wait(&mut process).unwrap().code(), Some(3));
        assert!(!running.stop(), "nothing works any more");
        running.begin();
        running.end();
        running.begin();
        assert!(running.spawn(&mut sleep()).unwrap().is_none());
    }

    /// Interrupts at all moments around a start: none is lost, which would take 600 s to be seen.
    #[test]
    fn no_interrupt_is_lost_around_a_start() {
        for n in 0..200 {
            let running = Running::default();
            let begun = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while begun.elapsed() < Duration::from_micros(n * 20) {
                        std::hint::spin_loop();
                    }
                    running.stop();
                });
                if let Some(mut process) = running.spawn(&mut sleep()).unwrap() {
                    assert_eq!(running.wait(&mut process).unwrap().signal(), Some(9));
                }
            });
            assert!(begun.elapsed() < Duration::from_mins(1));
        }
    }
}
