//! A process that serves an endpoint: told from one that later got its number, and from those of other containers.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// When it was started, in ticks since the machine was.
    started: u64,
    /// In which world of processes: the run of the machine, and the namespace of its numbers.
    world: String,
    /// What the machine or the container is called.
    #[serde(default)]
    host: String,
}

impl Process {
    /// The one that has the number `id` now; `None` when there is none.
    pub fn of(id: u32) -> Option<Process> {
        Some(Process {
            id,
            started: started(id)?,
            world: world()?,
            host: host(),
        })
    }

    /// Whether it has certainly ended. One of another container, whose directory of state this may be too, is neither
    /// running for us nor ours to forget; one of an earlier run of this machine has ended.
    pub fn has_ended(&self) -> bool {
        if self.is_running() {
            return false;
        }
        let Some(here) = world() else { return false };
        let run = |world: &str| world.split(' ').next().map(str::to_owned);
        self.world == here || (self.host == host() && run(&self.world) != run(&here))
    }

    /// Whether it runs, and can be reached from here.
    pub fn is_running(&self) -> bool {
        Process::of(self.id).as_ref() == Some(self)
    }

    /// Bytes of memory that it has for itself now.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    }
}

/// Field 22 of `/proc/ID/stat`; see proc(5). One that has ended but was not fetched yet counts as ended.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

fn world() -> Option<String> {
    let run = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", run.trim(), numbers.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_ended_is_not_taken_for_another() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.is_running() && process.memory().unwrap() > 0);
        let later = Process {
            started: process.started + 1,
            ..process.clone()
        };
        let elsewhere = Process {
            world: "another".to_owned(),
            ..process.clone()
        };
        assert!(!later.is_running() && !elsewhere.is_running());
        assert!(later.has_ended() && !process.has_ended());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_running() && Process::of(child.id()).is_none());
        assert!(process.has_ended());
    }

    #[test]
    fn one_of_another_container_is_not_ours_to_forget() {
        let here = Process::of(std::process::id()).unwrap();
        let (run, _) = here.world.split_once(' ').unwrap();
        let of = |world: String, host: &str| Process {
            world,
            host: host.to_owned(),
            ..here.clone()
        };
        let beside = of(format!("{run} pid:[1]"), &here.host);
        let on_another_node = of("0-0 pid:[1]".to_owned(), "another-pod");
        let before_a_restart = of("0-0 pid:[1]".to_owned(), &here.host);
        assert!(!beside.is_running() && !beside.has_ended());
        assert!(!on_another_node.is_running() && !on_another_node.has_ended());
        assert!(before_a_restart.has_ended());
    }
}
