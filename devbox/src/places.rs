//! Where things are: the checkout, cargo's target directory and everything we make ourselves.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::{process, settings};

/// Tells backup programs, and `clean`, that a directory can be made again at any time.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55
# Made by `cargo devbox`; `cargo devbox clean` removes this directory.
";

/// The directories that devbox works with, all absolute.
pub(crate) struct Places {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Where everything that is made is kept.
    pub(crate) state: PathBuf,
    /// The private virtual environment.
    pub(crate) venv: PathBuf,
}

impl Places {
    /// Looks around from the crate that cargo runs, else from the working directory.
    pub(crate) fn find() -> Result<Places> {
        let here = env::current_dir().context("reading the working directory")?;
        let start = settings::running_crate().unwrap_or_else(|| here.clone());
        let root = start
            .ancestors()
            .find(|dir| dir.join("devbox/Cargo.toml").is_file())
            .ok_or_else(|| {
                Advice::error(
                    format!("no checkout of mlk8s around `{}`", start.display()),
                    "change into the folder that you cloned and repeat the command",
                )
            })?
            .to_owned();
        let state = settings::state().map_or_else(|| root.join(".mlk8s"), |dir| here.join(dir));
        let venv = settings::venv().map_or_else(|| state.join("venv"), |dir| here.join(dir));
        let target = target_directory(&root)?;
        Ok(Places {
            root,
            target,
            state,
            venv,
        })
    }

    /// A program of the virtual environment.
    pub(crate) fn in_venv(&self, program: &str) -> PathBuf {
        self.venv.join("bin").join(program)
    }

    /// A program that cargo has built.
    pub(crate) fn built(&self, program: &str) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("{program}{}", env::consts::EXE_SUFFIX))
    }

    /// Makes the state directory, marked as ours.
    pub(crate) fn prepare_state(&self) -> Result<()> {
        std::fs::create_dir_all(self.state.join("jupyter"))
            .and_then(|()| std::fs::write(self.state.join(CACHE_TAG), CACHE_TAG_TEXT))
            .with_context(|| format!("making `{}`", self.state.display()))
    }

    /// Whether the state directory is one that we made.
    pub(crate) fn state_is_ours(&self) -> bool {
        std::fs::read_to_string(self.state.join(CACHE_TAG)).is_ok_and(|text| text == CACHE_TAG_TEXT)
    }

    /// `path` as a person sees it: from the root of the checkout where it lies below it.
    pub(crate) fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// A command that sees the virtual environment and our private Jupyter directories, and nothing
    /// of the person's own Jupyter nor of what `cargo run` added to the environment.
    pub(crate) fn python_command(&self, program: &str) -> Command {
        let mut command = process::clean_command(self.in_venv(program));
        for (name, value) in settings::library_paths() {
            let kept = without_cargo(&value, &self.target);
            if kept.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, kept);
            }
        }
        let path = env::join_paths(
            std::iter::once(self.venv.join("bin"))
                .chain(env::split_paths(&settings::search_path())),
        );
        command
            .current_dir(&self.root)
            .env("PATH", path.unwrap_or_else(|_| settings::search_path()))
            .env("VIRTUAL_ENV", &self.venv)
            .env("PYTHONNOUSERSITE", "1")
            .env("JUPYTER_CONFIG_DIR", self.state.join("jupyter/config"))
            .env("JUPYTER_DATA_DIR", self.state.join("jupyter/data"))
            .env("JUPYTER_RUNTIME_DIR", self.state.join("jupyter/runtime"))
            .env("IPYTHONDIR", self.state.join("jupyter/ipython"))
            .env("MLK8S_STATE", &self.state)
            .env_remove("PYTHONHOME")
            .env_remove("PYTHONPATH")
            .env_remove("JUPYTER_PATH");
        command
    }
}

/// The entries of the search path `value` that `cargo run` has not put there.
///
/// The kernel must start without them, as it will when Jupyter was started by hand.
fn without_cargo(value: &OsString, target: &Path) -> OsString {
    let kept = env::split_paths(value)
        .filter(|dir| !dir.starts_with(target))
        .filter(|dir| {
            !dir.components()
                .any(|part| part.as_os_str() == "toolchains" || part.as_os_str() == "rustlib")
        });
    env::join_paths(kept).unwrap_or_default()
}

fn target_directory(root: &Path) -> Result<PathBuf> {
    let mut command = process::clean_command(settings::cargo());
    command
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root);
    let text = process::output(&mut command).context("asking cargo where it builds")?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("reading the answer of `cargo metadata`")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("`cargo metadata` names no target directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_path_loses_what_cargo_added() {
        let value = OsString::from(
            "/src/target/debug/deps:/home/a/.rustup/toolchains/stable/lib:/opt/cuda/lib64",
        );
        assert_eq!(
            without_cargo(&value, Path::new("/src/target")),
            "/opt/cuda/lib64"
        );
    }
}
