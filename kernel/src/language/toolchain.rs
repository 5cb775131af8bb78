//! Puts our stand-ins for `cargo` and `rustup` first on the path before evcxr looks for them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::stand_in;

/// Set once the environment is ready; holds the directory that [`leave`] removes.
const ENTERED: &str = "MLK8S_CELL_DIR";
const DIR_PREFIX: &str = "mlk8s-cells-";

/// Makes the directory in which cells are compiled and starts this program again with it in its environment.
///
/// evcxr reads `PATH` and `EVCXR_TMPDIR` from the environment, which a running Rust program may not change safely;
/// a fresh start of the same program (same process) may. Returns when the environment is ready.
pub(crate) fn enter() -> io::Result<()> {
    if std::env::var_os(ENTERED).is_some() {
        return Ok(());
    }
    let parent = std::env::temp_dir();
    remove_orphans(&parent);
    let dir = parent.join(format!("{DIR_PREFIX}{}", std::process::id()));
    let bin = dir.join("bin");
    let project = dir.join("project");
    std::fs::create_dir_all(&bin)?;
    std::fs::create_dir_all(&project)?;
    let program = std::env::current_exe()?;
    for name in stand_in::NAMES {
        symlink(&program, bin.join(name))?;
    }
    let error = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env("PATH", path_after(&bin))
        .env("EVCXR_TMPDIR", &project)
        .env(ENTERED, &dir)
        .exec();
    Err(error)
}

/// Removes what [`enter`] made.
pub(crate) fn leave() {
    if let Some(dir) = std::env::var_os(ENTERED) {
        // A directory that stays behind is removed by the next kernel that starts.
        let _ = std::fs::remove_dir_all(dir);
    }
}

/// The directory of the crate that evcxr writes for each cell.
pub(crate) fn project_dir() -> Option<PathBuf> {
    std::env::var_os("EVCXR_TMPDIR").map(PathBuf::from)
}

fn path_after(bin: &Path) -> OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&old));
    // A directory with a colon in its name cannot be on a path; then only ours is.
    std::env::join_paths(all).unwrap_or_else(|_| bin.as_os_str().to_owned())
}

/// Removes directories of kernels that are no longer alive.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.strip_prefix(DIR_PREFIX)) else {
            continue;
        };
        let alive = pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists();
        if !alive && Path::new("/proc/self").exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
