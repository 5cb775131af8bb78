//! The directory in which values cross from magics to Rust cells: in memory where there is room, gone when we are.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// Free bytes that a file system in memory needs for us to use it.
const ROOM: u64 = 512 << 20;
const PREFIX: &str = "mlk8s-";

/// A directory that is removed with this value.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
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

    fn make_in(parent: &Path) -> io::Result<RuntimeDir> {
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        // Left by an earlier process with our number.
        let _ = std::fs::remove_dir_all(&path);
        private_dir(&path)?;
        Ok(RuntimeDir { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        // What stays behind is removed by the next kernel that starts.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A directory that nobody else may read: values may be private.
fn private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

fn has_room(dir: &Path) -> bool {
    statvfs(dir).is_ok_and(|room| room.blocks_available() * room.fragment_size() >= ROOM)
}

/// Removes the directories of processes that are no longer alive.
fn remove_orphans(parent: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            // Another user's directory stays.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ours_alone_and_goes_with_us() {
        use std::os::unix::fs::PermissionsExt as _;
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
        let dead = parent.path().join(format!("{PREFIX}{}", u32::MAX));
        let alive = parent
            .path()
            .join(format!("{PREFIX}{}", std::process::id()));
        let other = parent.path().join("mlk8s-notes");
        for dir in [&dead, &alive, &other] {
            std::fs::create_dir(dir).unwrap();
        }
        remove_orphans(parent.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }
}
