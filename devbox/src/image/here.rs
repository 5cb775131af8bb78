//! What images are made of, taken from this machine: the Rust toolchain, the programs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, dist, process};

/// The folder of the Rust toolchain that cargo uses.
pub(super) fn toolchain() -> Result<PathBuf> {
    let root = process::output(process::clean_command("rustc").args(["--print", "sysroot"]))?;
    let root = PathBuf::from(root.trim());
    if root == Path::new("/usr") {
        return Err(Advice::error(
            "the Rust of this system is spread over `/usr` and cannot be taken out of it",
            "a toolchain of rustup can; or name an image: `--with TOOLCHAIN=docker.io/library/rust:1.95-slim-bookworm`",
        ));
    }
    Ok(root)
}

/// A folder with the programs.
pub(super) fn programs(places: &Places, say: &mut Say, as_built: bool) -> Result<PathBuf> {
    if !as_built {
        compile::programs(places, say)?;
    }
    let dir = places.state.join("image/programs");
    dist::make(places, say, &dir)?;
    Ok(dir)
}

/// Removes a folder, if it is there.
pub(super) fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", dir.display()))
        }
        _ => Ok(()),
    }
}
