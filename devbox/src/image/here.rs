//! What images are made of, taken from this machine: Debian by debootstrap, the Rust toolchain, the programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::engine::{Build, Engine};
use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, dist, process};

/// Makes the image `tag` of the Debian or Ubuntu that this machine has, unless it is there: it changes rarely.
pub(super) fn base(places: &Places, engine: &Engine, say: &mut Say, tag: &str) -> Result<()> {
    if engine.id(tag)?.is_some() {
        return Ok(());
    }
    let (mirror, release) = mirror()?;
    say.heading(&format!(
        "Making a small {release} with debootstrap: a minute or two"
    ));
    let work = places.state.join("image/base");
    let root = work.join("root");
    remove(&work)?;
    std::fs::create_dir_all(&work)?;
    let mut command = Command::new("debootstrap");
    command
        .args(["--variant=minbase", &release])
        .arg(&root)
        .arg(&mirror);
    process::output(&mut command).map_err(|error| {
        Advice::error(
            format!("debootstrap made no system: {error:#}"),
            "`sudo apt-get install debootstrap`; it must run as root\n\
             or name an image: `--with BASE=docker.io/library/debian:bookworm-slim`",
        )
    })?;
    // They are this machine's.
    for name in ["etc/hostname", "etc/resolv.conf", "var/log/bootstrap.log"] {
        match std::fs::remove_file(root.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing `{name}` of the base"));
            }
            _ => {}
        }
    }
    let archives = root.join("var/cache/apt/archives");
    remove(&archives)?;
    std::fs::create_dir_all(archives.join("partial"))?;
    let tar = work.join("debian.tar");
    process::output(
        Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg("."),
    )?;
    remove(&root)?;
    engine.build(&Build {
        tag,
        file: &places.root.join("images/base/Containerfile"),
        context: &work,
        arguments: Vec::new(),
        lent: &places.state.join("image"),
    })?;
    remove(&work)
}

/// Where apt gets this system from, and what the system is called.
fn mirror() -> Result<(String, String)> {
    let no_apt = || {
        Advice::error(
            "apt does not say where it gets this system from",
            "`sudo apt-get update` fetches its lists; on other systems than Debian and Ubuntu name an image: \
             `--with BASE=docker.io/library/debian:bookworm-slim`",
        )
    };
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .ok_or_else(no_apt)?;
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]);
    let lists = process::output(&mut command).map_err(|_| no_apt())?;
    let mirror = mirror_of(&lists, codename).ok_or_else(no_apt)?;
    Ok((mirror.to_owned(), codename.to_owned()))
}

fn mirror_of<'a>(lists: &'a str, release: &str) -> Option<&'a str> {
    let mut lines = lists.lines().filter_map(|line| line.split_once(' '));
    lines.find_map(|(name, mirror)| (name == release).then_some(mirror))
}

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

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let lists = "bookworm-security http://b/security/\nbookworm http://a/debian/\nbookworm-updates http://a/debian/\n";
        assert_eq!(mirror_of(lists, "bookworm"), Some("http://a/debian/"));
        assert_eq!(mirror_of(lists, "trixie"), None);
    }
}
