//! The directory in which values cross from magics to Rust cells: in memory where there is room, gone when we are.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// Free bytes that a file system in memory needs for us to use it.
const ROOM: u64 = 512 << 20;
const PREFIX: &str = "mlk8s-values-";
/// The file in the directory that a living process holds locked.
const LOCK: &str = "lock";

/// A directory of this process, readable by nobody else, that is removed with this value.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    dir: TempDir,
    /// Says that we live, to processes in other containers, too, which do not see our number.
    _lock: File,
}

impl RuntimeDir {
    /// Makes the directory of this process and removes those of processes that have ended.
    pub(crate) fn make() -> io::Result<RuntimeDir> {
        let memory = Path::new("/dev/shm");
        let temporary = std::env::temp_dir();
        for parent in [memory, &temporary] {
            remove_orphans(parent);
        }
        let parent = if has_room(memory) { memory } else { &temporary };
        RuntimeDir::make_in(parent).or_else(|_| RuntimeDir::make_in(&temporary))
    }

    /// Makes one where programs may be run from and room is cheap: for what cells are compiled to.
    pub(crate) fn make_on_disk() -> io::Result<RuntimeDir> {
        RuntimeDir::make_in(&std::env::temp_dir())
    }

    fn make_in(parent: &Path) -> io::Result<RuntimeDir> {
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let lock = File::create(dir.path().join(LOCK))?;
        lock.lock()?;
        Ok(RuntimeDir { dir, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn has_room(dir: &Path) -> bool {
    statvfs(dir).is_ok_and(|room| room.blocks_available() * room.fragment_size() >= ROOM)
}

/// Removes the directories whose lock nobody holds.
fn remove_orphans(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours {
            continue;
        }
        // One without a lock is just being made; another user's cannot be opened.
        let free = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if free {
            // What stays behind is tried again by the next kernel.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ours_alone_and_goes_with_us() {
        let parent = tempfile::tempdir().unwrap();
        let made = RuntimeDir::make_in(parent.path()).unwrap();
        let path = made.path().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(made);
        assert!(!path.exists());
    }

    #[test]
    fn directories_of_dead_processes_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let alive = RuntimeDir::make_in(parent.path()).unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let new = parent.path().join(format!("{PREFIX}new"));
        let other = parent.path().join("mlk8s-notes");
        for dir in [&dead, &new, &other] {
            std::fs::create_dir(dir).unwrap();
        }
        std::fs::write(dead.join(LOCK), "").unwrap();
        remove_orphans(parent.path());
        assert!(!dead.exists() && alive.path().exists() && new.exists() && other.exists());
    }
}
