//! How much memory and disk this process may still take.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory that can be taken without swapping or being killed: the least of what the machine has available and
/// what is left below every limit of the control groups (versions 1 and 2) that hold this process. None where the
/// system does not say.
pub fn free_memory() -> Option<u64> {
    free_memory_below(Path::new("/"))
}

/// Bytes that are free for us on the disk of `path`, or of the directory that it will be made in.
pub fn free_disk(path: &Path) -> Option<u64> {
    // A relative path that is to be made begins here.
    let here = Path::new(".");
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(here);
    let disk = nix::sys::statvfs::statvfs(there).ok()?;
    Some(disk.blocks_available() * disk.fragment_size())
}

fn free_memory_below(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let machine = field(&meminfo, "MemAvailable:")? * 1024;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let left = groups.lines().flat_map(|line| left_in(root, line));
    Some(left.fold(machine, u64::min))
}

/// What is left below the limits of one line of `/proc/self/cgroup`, of its group and of those around it.
fn left_in(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let version = if controllers.is_empty() {
        &V2
    } else if controllers.split(',').any(|name| name == "memory") {
        &V1
    } else {
        return Vec::new();
    };
    let top = root.join(version.mount);
    // In a container the group's path is that of the host, while the mount begins at the group itself.
    let inner = top.join(group.trim_start_matches('/'));
    let mut folder: PathBuf = if inner.is_dir() { inner } else { top.clone() };
    let mut out = Vec::new();
    loop {
        out.extend(version.left(&folder));
        if folder == top || !folder.pop() {
            return out;
        }
    }
}

/// The names of one version's files.
struct Version {
    mount: &'static str,
    limit: &'static str,
    used: &'static str,
    /// Line of `memory.stat` with the bytes of files that are given back under pressure.
    files: &'static str,
}

const V2: Version = Version {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    files: "inactive_file ",
};
const V1: Version = Version {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: "total_inactive_file ",
};

impl Version {
    fn left(&self, folder: &Path) -> Option<u64> {
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        // `max` stands for no limit.
        let limit: u64 = read(self.limit)?.trim().parse().ok()?;
        let used: u64 = read(self.used)?.trim().parse().ok()?;
        let files = read("memory.stat")
            .and_then(|stat| field(&stat, self.files))
            .unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(files)))
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        free_memory_below(root.path())
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal: 99 kB\nMemAvailable:     1000 kB\n",
    );

    #[test]
    fn the_tightest_limit_counts() {
        assert_eq!(free(&[]), None);
        assert_eq!(free(&[MACHINE]), Some(1_024_000));
        let v2 = [
            MACHINE,
            ("proc/self/cgroup", "0::/pod/box\n"),
            ("sys/fs/cgroup/pod/memory.max", "5000"),
            ("sys/fs/cgroup/pod/memory.current", "4000"),
            (
                "sys/fs/cgroup/pod/memory.stat",
                "anon 1\ninactive_file 500\n",
            ),
            ("sys/fs/cgroup/pod/box/memory.max", "max\n"),
            ("sys/fs/cgroup/pod/box/memory.current", "4000"),
        ];
        assert_eq!(free(&v2), Some(1500));
        let container = [
            MACHINE,
            ("proc/self/cgroup", "0::/kubepods/x\n"),
            ("sys/fs/cgroup/memory.max", "100"),
            ("sys/fs/cgroup/memory.current", "900"),
        ];
        assert_eq!(free(&container), Some(0));
        let v1 = [
            MACHINE,
            ("proc/self/cgroup", "5:cpu:/a\n4:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "900"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "300"),
            (
                "sys/fs/cgroup/memory/a/memory.stat",
                "total_inactive_file 100\n",
            ),
        ];
        assert_eq!(free(&v1), Some(700));
    }

    #[test]
    fn this_machine_has_some() {
        assert!(free_memory().is_some_and(|bytes| bytes > 0));
        assert!(free_disk(Path::new("/no/such/directory")).is_some_and(|bytes| bytes > 0));
        assert!(free_disk(Path::new("relative")).is_some());
    }
}
