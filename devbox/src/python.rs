//! The private virtual environment with exactly the packages of the lock files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::process::{self, Event};
use crate::say::{Say, duration};
use crate::{machine, package, settings};

/// The oldest Python for which the locks have packages.
const OLDEST: (u32, u32) = (3, 9);
/// Minor versions of Python 3 that are tried by name when plain `python3` is too old.
const NAMED_MINORS: std::ops::RangeInclusive<u32> = 9..=14;
const ASK: &str = "import sys, importlib.util as u
print(sys.executable, *sys.version_info[:3], all(map(u.find_spec, ('venv', 'ensurepip'))), sep='\\n')";

/// A Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Python {
    /// Its own idea of where it lies.
    pub(crate) program: PathBuf,
    version: (u32, u32, u32),
    /// Whether it has what `python -m venv` needs.
    pub(crate) can_make_venv: bool,
}

impl Python {
    /// Whether the locks have packages for it.
    pub(crate) fn new_enough(&self) -> bool {
        (self.version.0, self.version.1) >= OLDEST
    }

    /// Its version as three numbers.
    pub(crate) fn version_text(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }

    fn ask(program: &OsString) -> Option<Python> {
        Python::parse(&process::output(Command::new(program).args(["-c", ASK])).ok()?)
    }

    fn parse(answer: &str) -> Option<Python> {
        let mut lines = answer.lines().map(str::trim);
        Some(Python {
            program: PathBuf::from(lines.next()?),
            version: (
                lines.next()?.parse().ok()?,
                lines.next()?.parse().ok()?,
                lines.next()?.parse().ok()?,
            ),
            can_make_venv: lines.next()? == "True",
        })
    }
}

/// The first Python that is new enough; else any, so that its version can be shown.
pub(crate) fn find() -> Option<Python> {
    if let Some(named) = settings::python() {
        return Python::ask(&named);
    }
    let mut too_old = None;
    let newest_first = NAMED_MINORS.rev().map(|minor| format!("python3.{minor}"));
    for name in ["python3".to_owned(), "python".to_owned()]
        .into_iter()
        .chain(newest_first)
    {
        match Python::ask(&name.into()) {
            Some(python) if python.new_enough() => return Some(python),
            Some(python) => too_old = too_old.or(Some(python)),
            None => {}
        }
    }
    known_to_uv().or(too_old)
}

/// The version of `uv`, where it is installed.
pub(crate) fn uv() -> Option<String> {
    machine::version_line("uv", "--version")
}

fn known_to_uv() -> Option<Python> {
    let mut command = Command::new("uv");
    command.args([
        "python",
        "find",
        "--no-project",
        "--no-python-downloads",
        ">=3.9",
    ]);
    let found = process::output(&mut command).ok()?;
    Python::ask(&found.trim().into())
}

/// A lock file: which packages, with hashes.
#[derive(Clone, Copy)]
pub(crate) struct Lock {
    /// Where it lies, from the root of the checkout.
    pub(crate) path: &'static str,
    /// Its copy in the environment tells that these packages are there.
    stamp: &'static str,
    what: &'static str,
}

/// Jupyter and what executes notebooks.
pub(crate) const JUPYTER: Lock = Lock {
    path: "devbox/python/requirements.txt",
    stamp: "mlk8s-jupyter.lock",
    what: "JupyterLab, nbconvert",
};

/// A model that makes vectors of texts, as a package. What the package wants beside the model is left out: it is for
/// running it in Python.
pub(crate) const MODELS: Lock = Lock {
    path: "devbox/python/models.txt",
    stamp: "mlk8s-models.lock",
    what: "a model for meanings",
};

/// What checks manifests of a cluster, and renders them where no kubectl is.
pub(crate) const CLUSTER: Lock = Lock {
    path: "devbox/python/cluster.txt",
    stamp: "mlk8s-cluster.lock",
    what: "schemas of Kubernetes",
};

/// What the Python test suites need on top.
pub(crate) const TESTS: Lock = Lock {
    path: "tests/python/requirements.txt",
    stamp: "mlk8s-tests.lock",
    what: "the test tools",
};

/// NVIDIA's compiler, for the program that runs models on GPUs.
pub(crate) const CUDA: Lock = Lock {
    path: "devbox/python/cuda.txt",
    stamp: "mlk8s-cuda.lock",
    what: "NVIDIA's compiler for CUDA",
};

/// What packs the wheel.
pub(crate) const WHEEL: Lock = Lock {
    path: "devbox/python/wheel.txt",
    stamp: "mlk8s-wheel.lock",
    what: "the packer of wheels",
};

/// Makes the environment hold the packages of `locks` and our own; does nothing where it already does.
pub(crate) fn prepare(
    places: &Places,
    say: &mut Say,
    python: &Python,
    locks: &[Lock],
) -> Result<()> {
    prepare_others(places, say, python, locks)?;
    package::install(places)
}

fn prepare_others(places: &Places, say: &mut Say, python: &Python, locks: &[Lock]) -> Result<()> {
    let started = Instant::now();
    places.prepare_state()?;
    if !is_sound(places, python) || has_other(places, python, locks)? {
        make(places, python)?;
    }
    let mut missing = Vec::new();
    for lock in locks {
        if stamp_of(places, lock) != Some(wanted_stamp(places, python, lock)?) {
            missing.push(*lock);
        }
    }
    if missing.is_empty() {
        say.done("Python", "Python packages are in place", started.elapsed());
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|lock| lock.what).collect();
    let names = names.join(" and ");
    let venv = places.short(&places.venv);
    say.heading(&format!("Installing {names} into `{venv}`"));
    // pip wants every package named that it may have to look at.
    let paths: Vec<PathBuf> = locks
        .iter()
        .map(|lock| places.root.join(lock.path))
        .collect();
    install(places, say, &paths, None)?;
    for lock in &missing {
        let stamp = wanted_stamp(places, python, lock)?;
        fs::write(places.venv.join(lock.stamp), stamp).context("marking the environment")?;
    }
    let text = format!("installed {names} for Python {}", python.version_text());
    say.done("Python", &text, started.elapsed());
    Ok(())
}

/// Puts the packages of `lock` into a folder of their own, with the environment's installer; does nothing where they are.
pub(crate) fn unpack(places: &Places, say: &mut Say, lock: &Lock, folder: &Path) -> Result<()> {
    let started = Instant::now();
    let path = places.root.join(lock.path);
    let text =
        fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let stamp = folder.join(lock.stamp);
    if fs::read_to_string(&stamp).is_ok_and(|old| old == text) {
        return Ok(());
    }
    say.heading(&format!(
        "Fetching {} into `{}`",
        lock.what,
        places.short(folder)
    ));
    // What another version left behind must not be found; the folder lies in our state.
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing `{}`", folder.display()))?;
    }
    install(places, say, &[path], Some(folder))?;
    fs::write(&stamp, text).context("marking the folder")?;
    say.done(
        "Python",
        &format!("fetched {}", lock.what),
        started.elapsed(),
    );
    Ok(())
}

/// Whether the environment is there and was made with `python`.
fn is_sound(places: &Places, python: &Python) -> bool {
    let inside = Python::ask(&places.in_venv("python").into());
    // An environment that uv made has no pip.
    let can_install = uv().is_some() || places.in_venv("pip").exists();
    can_install && inside.is_some_and(|inside| inside.version == python.version)
}

/// Whether the environment holds packages of another state of a lock: then it is made anew, so that
/// nothing stays behind.
fn has_other(places: &Places, python: &Python, locks: &[Lock]) -> Result<bool> {
    for lock in locks {
        if let Some(stamp) = stamp_of(places, lock)
            && stamp != wanted_stamp(places, python, lock)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stamp_of(places: &Places, lock: &Lock) -> Option<String> {
    fs::read_to_string(places.venv.join(lock.stamp)).ok()
}

fn wanted_stamp(places: &Places, python: &Python, lock: &Lock) -> Result<String> {
    let text = fs::read_to_string(places.root.join(lock.path))
        .with_context(|| format!("reading `{}`", lock.path))?;
    // The programs of an environment know where it lies, so that a moved one is of no use.
    let venv = places.venv.display();
    Ok(format!(
        "# Python {} in {venv}\n{text}",
        python.version_text()
    ))
}

fn make(places: &Places, python: &Python) -> Result<()> {
    remove(&places.venv)?;
    let mut command = if uv().is_some() {
        let mut command = process::clean_command("uv");
        command.args(["venv", "--quiet", "--no-project", "--python"]);
        command.arg(&python.program);
        command
    } else {
        let mut command = process::clean_command(&python.program);
        command.args(["-m", "venv"]);
        command
    };
    process::output(command.arg(&places.venv)).map_err(|error| {
        Advice::error(
            format!("no virtual environment could be made: {error:#}"),
            "`cargo devbox doctor` shows what Python lacks; another Python can be named in MLK8S_PYTHON",
        )
    })?;
    Ok(())
}

/// Removes the environment, but only if it looks like one.
pub(crate) fn remove(venv: &Path) -> Result<()> {
    if !venv.exists() {
        return Ok(());
    }
    let is_one = venv.join("pyvenv.cfg").is_file()
        || fs::read_dir(venv).is_ok_and(|mut entries| entries.next().is_none());
    if !is_one {
        return Err(Advice::error(
            format!("`{}` is not a virtual environment", venv.display()),
            "name another place in MLK8S_VENV, or remove that folder yourself",
        ));
    }
    fs::remove_dir_all(venv).with_context(|| format!("removing `{}`", venv.display()))
}

/// What installs packages into the environment: uv where it is, else the environment's own pip.
pub(crate) fn install_command(places: &Places) -> Command {
    if uv().is_some() {
        let mut command = process::clean_command("uv");
        command
            .args(["pip", "install", "--python"])
            .arg(places.in_venv("python"));
        return command;
    }
    let mut command = places.python_command("python");
    command.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    command
}

fn install(places: &Places, say: &mut Say, locks: &[PathBuf], target: Option<&Path>) -> Result<()> {
    let started = Instant::now();
    let mut command = install_command(places);
    // Wheels only: nothing is compiled, and no code of a package runs at installation. The locks name all that is needed.
    command.args(["--require-hashes", "--no-deps", "--only-binary", ":all:"]);
    for lock in locks {
        command.arg("-r").arg(lock);
    }
    if let Some(target) = target {
        command.arg("--target").arg(target);
    }
    let mut said = Vec::new();
    let status = process::watch(&mut command, Duration::from_secs(1), |event| {
        if let Event::Out(line) | Event::Err(line) = event {
            said.push(line);
        }
        let last = said.last().map_or("", |line| line.trim());
        say.status(&format!("{}  {last}", duration(started.elapsed())));
    })?;
    if status.success() {
        return Ok(());
    }
    for line in said.iter().rev().take(15).rev() {
        say.line(line);
    }
    Err(Advice::error(
        "the Python packages could not be installed",
        "the reason stands above; this step needs the network, to fetch packages from the registry\n\
         then repeat the command: it goes on from here",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_tells_about_itself() {
        let python = Python::parse("/usr/bin/python3\n3\n11\n2\nFalse\n").unwrap();
        assert_eq!(python.version_text(), "3.11.2");
        assert!(python.new_enough() && !python.can_make_venv);
        assert!(
            !Python::parse("/usr/bin/python\n2\n7\n18\nFalse\n")
                .unwrap()
                .new_enough()
        );
        assert_eq!(Python::parse("Python was not found\n"), None);
    }

    #[test]
    fn no_folder_is_removed_that_is_no_environment() {
        let dir = std::env::temp_dir().join(format!("mlk8s-devbox-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("thesis.txt"), "years of work").unwrap();
        assert!(remove(&dir).is_err());
        assert!(dir.join("thesis.txt").exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
