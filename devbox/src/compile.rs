//! Building the workspace with cargo, with progress.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::advice::Advice;
use crate::places::Places;
use crate::process::{self, Event};
use crate::say::{Say, duration};
use crate::settings;

/// Builds all programs, of the workspace's default members. Everything else that is compiled uses the same profile and directory.
pub(crate) fn programs(places: &Places, say: &mut Say) -> Result<()> {
    build(places, say, &["build"], "build", "the programs")
}

/// Builds all tests.
pub(crate) fn tests(places: &Places, say: &mut Say) -> Result<()> {
    build(
        places,
        say,
        &["test", "--no-run"],
        "build tests",
        "the tests",
    )
}

fn build(places: &Places, say: &mut Say, arguments: &[&str], step: &str, what: &str) -> Result<()> {
    let started = Instant::now();
    let first = !places.built("mlk8s-kernel").exists();
    let patience = if first {
        "; the first time this compiles polars and rust-analyzer: allow 10 to 30 minutes"
    } else {
        ""
    };
    say.heading(&format!("Building {what}{patience}"));
    let mut progress = Progress::new(units(places)?, started);
    let mut command = cargo(places);
    command.args(arguments).arg(if say.colour() {
        "--message-format=json-diagnostic-rendered-ansi"
    } else {
        "--message-format=json"
    });
    let status = process::watch(&mut command, Duration::from_secs(1), |event| {
        if let Some(diagnostic) = progress.see(event) {
            say.line(diagnostic.trim_end());
        }
        say.status(&progress.line());
    })?;
    if !status.success() {
        for line in &progress.unusual {
            say.line(line);
        }
        return Err(Advice::error(
            format!("`cargo {}` failed", arguments.join(" ")),
            "the reason stands above; `cargo devbox doctor` shows what this machine lacks\n\
             if the compiler was killed, memory ran out: repeat with `CARGO_BUILD_JOBS=1`",
        ));
    }
    let done = format!(
        "built {what}: {} parts, {} of them new",
        progress.done, progress.new
    );
    say.done(step, &done, started.elapsed());
    Ok(())
}

/// Names the folder of the compiler for CUDA.
const CUDA: &str = "MLK8S_CUDA";

/// Runs cargo on this terminal.
pub(crate) fn run<S: AsRef<OsStr>>(places: &Places, arguments: &[S]) -> Result<()> {
    process::inherit(cargo(places).args(arguments))
}

fn cargo(places: &Places) -> Command {
    let mut command = process::clean_command(settings::cargo());
    command.current_dir(&places.root);
    if let Some(folder) = cuda_compiler(places) {
        command.env(CUDA, folder);
    }
    command
}

/// Where the compiler for CUDA is, which the environment has as a package for the tests: they compile what runs on GPUs
/// where there is none.
fn cuda_compiler(places: &Places) -> Option<PathBuf> {
    let libraries = std::fs::read_dir(places.venv.join("lib")).ok()?;
    let folders = libraries
        .flatten()
        .map(|entry| entry.path().join("site-packages/nvidia/cu13/lib"));
    folders.into_iter().find(|folder| folder.is_dir())
}

/// How far a build is, as its messages tell.
struct Progress {
    started: Instant,
    total: usize,
    done: usize,
    new: usize,
    current: String,
    unusual: Vec<String>,
}

impl Progress {
    fn new(total: usize, started: Instant) -> Progress {
        Progress {
            started,
            total,
            done: 0,
            new: 0,
            current: String::new(),
            unusual: Vec::new(),
        }
    }

    /// Takes in an event; the compiler's words about our code are to be shown.
    fn see(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Out(line) => self.see_message(&serde_json::from_str(&line).ok()?),
            Event::Err(line) => {
                self.see_line(&line);
                None
            }
            Event::Tick => None,
        }
    }

    fn see_message(&mut self, message: &Value) -> Option<String> {
        match message["reason"].as_str()? {
            "compiler-artifact" => {
                self.done += 1;
                self.new += usize::from(message["fresh"] == false);
                None
            }
            // Warnings are for those who change the code: `check` refuses them.
            "compiler-message" if message["message"]["level"] == "error" => {
                message["message"]["rendered"].as_str().map(str::to_owned)
            }
            _ => None,
        }
    }

    fn see_line(&mut self, line: &str) {
        let words = line.trim_start();
        let mut word = words.split_whitespace();
        match (word.next(), word.next()) {
            (Some("Compiling"), Some(name)) => name.clone_into(&mut self.current),
            (Some("Fresh" | "Finished" | "Executable") | None, _) => {}
            (Some("Blocking"), _) => "waiting for another cargo".clone_into(&mut self.current),
            (Some("Downloading" | "Downloaded" | "Updating" | "Locking"), _) => {
                words.clone_into(&mut self.current);
            }
            _ => self.unusual.push(line.to_owned()),
        }
    }

    fn line(&self) -> String {
        format!(
            "{}/{}  {}  {}",
            self.done,
            self.total.max(self.done),
            duration(self.started.elapsed()),
            self.current
        )
    }
}

/// About how many parts a build of the workspace has, as cargo's resolution tells.
fn units(places: &Places) -> Result<usize> {
    let version = process::output(process::clean_command("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    let mut command = cargo(places);
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ]);
    let text = process::output(&mut command).map_err(|error| {
        Advice::error(
            format!("cargo cannot find the crates: {error:#}"),
            "the first build needs the network, to fetch crates from the registry",
        )
    })?;
    count_units(&serde_json::from_str(&text).context("reading the answer of `cargo metadata`")?)
        .context("the answer of `cargo metadata` has no packages")
}

fn count_units(metadata: &Value) -> Option<usize> {
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for package in metadata["packages"].as_array()? {
        parts.insert(package["id"].as_str()?, parts_of(package)?);
    }
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array()? {
        let deps = node["deps"]
            .as_array()?
            .iter()
            .filter(|dep| !only_for_tests(dep));
        let ids = deps.filter_map(|dep| dep["pkg"].as_str()).collect();
        needs.insert(node["id"].as_str()?, ids);
    }
    let members = metadata["workspace_default_members"].as_array()?;
    let mut open: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(needs.get(id).into_iter().flatten());
        }
    }
    Some(seen.iter().filter_map(|id| parts.get(id)).sum())
}

/// One part for the library, one for the build script, one for each program of our own.
fn parts_of(package: &Value) -> Option<usize> {
    let ours = package["source"].is_null();
    let built = |target: &&Value| {
        let kind = target["kind"][0].as_str().unwrap_or_default();
        match kind {
            "bin" => ours,
            "example" | "test" | "bench" => false,
            _ => true,
        }
    };
    Some(package["targets"].as_array()?.iter().filter(built).count())
}

fn only_for_tests(dep: &Value) -> bool {
    dep["dep_kinds"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().all(|kind| kind["kind"] == "dev"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_libraries_build_scripts_and_our_programs() {
        let target = |kind: &str| json!({ "kind": [kind] });
        let metadata = json!({
            "packages": [
                { "id": "ours", "source": null, "targets": [target("lib"), target("bin"), target("test")] },
                { "id": "dep", "source": "r", "targets": [target("lib"), target("custom-build"), target("bin")] },
                { "id": "tester", "source": "r", "targets": [target("lib")] },
            ],
            "resolve": { "nodes": [
                { "id": "ours", "deps": [
                    { "pkg": "dep", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "tester", "dep_kinds": [{ "kind": "dev" }] } ] },
                { "id": "dep", "deps": [] },
                { "id": "tester", "deps": [] } ] },
            "workspace_default_members": ["ours"],
        });
        assert_eq!(count_units(&metadata), Some(4));
    }

    #[test]
    fn progress_follows_cargo() {
        let mut progress = Progress::new(3, Instant::now());
        progress.see(Event::Err("   Compiling polars-core v0.55.2".to_owned()));
        let artifact = json!({ "reason": "compiler-artifact", "fresh": false }).to_string();
        assert_eq!(progress.see(Event::Out(artifact)), None);
        assert_eq!(progress.line(), "1/3  0.0 s  polars-core");
        let message = |level: &str| {
            let words = json!({ "level": level, "rendered": "no" });
            json!({ "reason": "compiler-message", "message": words }).to_string()
        };
        assert_eq!(
            progress.see(Event::Out(message("error"))).as_deref(),
            Some("no")
        );
        assert_eq!(progress.see(Event::Out(message("warning"))), None);
        progress.see(Event::Err("error: could not compile `x`".to_owned()));
        assert_eq!(progress.unusual, ["error: could not compile `x`"]);
    }
}
