//! `cargo devbox lock`: renews the lock files of the Python packages.

use std::process::Command;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{process, python};

/// Resolves both lists for every Python from the oldest on; the tests' lock holds only what it adds.
pub(crate) fn run(places: &Places, say: &mut Say) -> Result<()> {
    if python::uv().is_none() {
        return Err(Advice::error(
            "`uv` is not installed, and only it can lock for all systems at once",
            "`pip install uv`, in an environment of your own",
        ));
    }
    let base = python::JUPYTER.path;
    compile(places, base, &[])?;
    say.line(&format!("wrote `{base}`"));
    let text = std::fs::read_to_string(places.root.join(base))
        .with_context(|| format!("reading `{base}`"))?;
    // Both go into one environment, so that they must agree.
    compile(
        places,
        python::CLUSTER.path,
        &["--constraint".to_owned(), base.to_owned()],
    )?;
    say.line(&format!("wrote `{}`", python::CLUSTER.path));
    let mut more = vec!["--constraint".to_owned(), base.to_owned()];
    for name in names(&text) {
        more.extend(["--no-emit-package".to_owned(), name.to_owned()]);
    }
    compile(places, python::TESTS.path, &more)?;
    say.line(&format!("wrote `{}`", python::TESTS.path));
    Ok(())
}

fn compile(places: &Places, lock: &str, more: &[String]) -> Result<()> {
    let mut command = Command::new("uv");
    command
        .current_dir(&places.root)
        .args([
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python-version",
            "3.9",
        ])
        .args(["--upgrade", "--generate-hashes"])
        .args([
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--no-annotate",
            "--no-header",
        ])
        .args(more)
        .arg(lock.replace(".txt", ".in"))
        .args(["--output-file", lock]);
    process::output(&mut command).with_context(|| format!("locking `{lock}`"))?;
    Ok(())
}

/// The packages that a lock names, each once.
fn names(lock: &str) -> Vec<&str> {
    let mut names: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.split_once("==").map(|(name, _)| name))
        .filter(|name| !name.starts_with([' ', '#']))
        .collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_the_lines_that_pin() {
        let lock = "anyio==4.12.1 ; python_full_version < '3.10' \\\n    --hash=sha256:00\nanyio==4.16.0 ; \
                    python_full_version >= '3.10' \\\n    --hash=sha256:11\nattrs==26.1.0 \\\n";
        assert_eq!(names(lock), ["anyio", "attrs"]);
    }
}
