//! Stops a Rust cell: the compiler while it compiles, the process that runs it when it runs.

use std::collections::HashMap;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Shared;

/// What an interrupt stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// Nothing was going on.
    Nothing,
    /// A cell whose turn had not come; it will not run.
    Waiting,
    /// The compiler; all variables are kept.
    Compiler,
    /// The process that ran the cell; it is started again.
    Cell,
}

/// Stops what is going on: the compiler if one is running, otherwise the process that runs the cell.
pub(super) fn interrupt(shared: &Shared) -> Interrupted {
    if !shared.asked.load(Ordering::SeqCst) {
        return Interrupted::Nothing;
    }
    shared.stopping.store(true, Ordering::SeqCst);
    if !shared.busy.load(Ordering::SeqCst) {
        return Interrupted::Waiting;
    }
    let child = child_of(shared);
    let child_id = child.as_ref().and_then(|c| c.lock().ok().map(|c| c.id()));
    let compilers = descendants(std::process::id(), child_id);
    if compilers.is_empty() {
        end(child.as_ref());
        return Interrupted::Cell;
    }
    for id in compilers {
        // One that has just ended by itself is as good.
        let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
    }
    Interrupted::Compiler
}

/// Ends the process that runs cells, for good.
pub(super) fn end_child(shared: &Shared) {
    let child_id = child_of(shared).and_then(|c| c.lock().ok().map(|c| c.id()));
    for id in descendants(std::process::id(), child_id) {
        let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
    }
    end(child_of(shared).as_ref());
}

fn child_of(shared: &Shared) -> Option<Arc<Mutex<Child>>> {
    shared.process.lock().ok()?.clone()
}

fn end(child: Option<&Arc<Mutex<Child>>>) {
    if let Some(mut child) = child.and_then(|child| child.lock().ok()) {
        // It may have ended by itself.
        let _ = child.kill();
    }
}

/// Every process below `root` but the one called `but` and what is below it, deepest last.
fn descendants(root: u32, but: Option<u32>) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    for process in processes.flatten() {
        let id = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let (Some(id), Some(parent)) = (id, parent_of(&process.path())) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(next) = waiting.pop() {
        for &child in children.get(&next).into_iter().flatten() {
            if Some(child) != but {
                found.push(child);
                waiting.push(child);
            }
        }
    }
    found
}

/// The parent in `/proc/ID/stat`, the second word after the name in brackets; see proc(5).
fn parent_of(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    after_name.split(' ').nth(1)?.parse().ok()
}
