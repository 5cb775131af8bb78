//! `cluster`: the manifests of this repository, and the cluster that they are sent to.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, bail};

use crate::places::Places;
use crate::process;
use crate::say::Say;
use crate::{compile, doctor, python};

/// Where the manifests are, from the root of the checkout.
const MANIFESTS: &str = "devbox/manifests";
/// What holds them against the schemas of their kinds.
const CHECK: &str = "devbox/python/check_manifests.py";

/// Arguments of `cluster`.
#[derive(clap::Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Print an overlay, or one step of it, as it would be sent
    Render(Rest),
    /// Check manifests without a cluster: schemas, references, pod security
    Check(Rest),
    /// Send an overlay, or one step of it, to the cluster; tried as a whole before anything is changed
    Apply(Rest),
    /// Show what runs there and what waits
    Status(Rest),
    /// Make a notebook or the shared endpoint of the cluster reachable on this machine
    Forward(Rest),
}

/// Words that are handed on; `--help` explains them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
struct Rest {
    /// What the verb takes; `--help` explains it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Cluster {
    /// Builds what is needed and hands the words on.
    pub(crate) fn run(self, places: &Places, say: &mut Say) -> Result<()> {
        let (verb, rest) = match self.verb {
            Verb::Render(rest) => ("render", rest),
            Verb::Check(rest) => ("check", rest),
            Verb::Apply(rest) => ("apply", rest),
            Verb::Status(rest) => ("status", rest),
            Verb::Forward(rest) => ("forward", rest),
        };
        let found = doctor::check(places, say)?;
        compile::programs(places, say)?;
        let asks = rest
            .words
            .iter()
            .any(|word| word == "--help" || word == "-h");
        let checks = verb == "check" && !asks;
        // What renders comes as a package, for those who have no kubectl.
        if matches!(verb, "render" | "check" | "apply") && !asks {
            python::prepare(places, say, &found, &[python::JUPYTER, python::CLUSTER])?;
        }
        let mut command = process::clean_command(places.built("mlk8s-cluster"));
        command
            .arg("--manifests")
            .arg(places.root.join(MANIFESTS))
            .arg(verb)
            .args(&rest.words)
            .env("PATH", path(places));
        let own = process::inherit(&mut command);
        if !checks {
            return own;
        }
        // Both are heard before either fails: they look at different things.
        let overlays = rest.words.iter().filter(|word| !word.starts_with('-'));
        let folders = overlays.map(|name| {
            let ours = places.root.join(MANIFESTS).join("overlays").join(name);
            if ours.is_dir() { ours } else { name.into() }
        });
        let mut schemas = process::clean_command(places.in_venv("python"));
        schemas.env("PATH", path(places));
        schemas.arg(places.root.join(CHECK)).args(folders);
        let others = process::inherit(&mut schemas);
        if own.is_err() || others.is_err() {
            bail!("the manifests have faults");
        }
        say.line("✓ the manifests are right, as far as can be told without a cluster");
        Ok(())
    }
}

/// The search path of programs, that of the environment last.
fn path(places: &Places) -> OsString {
    let known = std::env::var_os("PATH").unwrap_or_default();
    let own = places.in_venv("python").parent().map(Path::to_owned);
    let folders = std::env::split_paths(&known).chain(own);
    std::env::join_paths(folders).unwrap_or(known)
}
