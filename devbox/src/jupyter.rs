//! The kernel in Jupyter: installed into an environment or for the person, and JupyterLab itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, doctor, process, python};

/// Arguments of `lab`.
#[derive(clap::Args)]
pub(crate) struct Lab {
    /// Only print the address, open no browser
    #[arg(long)]
    no_browser: bool,
    /// Port to listen on; the next free one if it is taken
    #[arg(long, default_value_t = 8888)]
    port: u16,
    /// More arguments for JupyterLab, after `--`
    #[arg(last = true)]
    more: Vec<String>,
}

impl Lab {
    /// Sets everything up and becomes JupyterLab.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        let python = doctor::check(places, say)?;
        compile::programs(places, say)?;
        python::prepare(places, say, &python, &[python::JUPYTER, python::MODELS])?;
        install_here(places, say)?;
        let notebooks = places.root.join("notebooks");
        let ours = notebooks_in(&notebooks)?;
        trust(
            places,
            &ours.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        )?;
        say.line("");
        say.line("JupyterLab listens on this machine only. Its address, with the token, follows.");
        say.line("Ctrl-C, twice, stops it.");
        let mut command = places.python_command("jupyter");
        command
            .args(["lab", "--log-level=WARN", "--ServerApp.ip=127.0.0.1"])
            .arg(format!("--ServerApp.port={}", self.port))
            .arg(format!("--ServerApp.root_dir={}", notebooks.display()));
        if self.no_browser {
            command.arg("--no-browser");
        }
        if is_root() {
            command.arg("--allow-root");
        }
        process::become_program(command.args(&self.more))
    }
}

/// Arguments of `install`.
#[derive(clap::Args)]
pub(crate) struct Install {
    /// For your own user; this is what happens without any flag, too
    #[arg(long, conflicts_with = "prefix")]
    user: bool,
    /// Into the environment at DIR, for instance a virtual environment with Jupyter
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

impl Install {
    /// Builds the kernel and writes its kernelspec.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        doctor::check(places, say)?;
        compile::programs(places, say)?;
        let mut command = process::clean_command(places.built("mlk8s-kernel"));
        command.arg("install");
        match &self.prefix {
            Some(prefix) => command.arg("--prefix").arg(std::path::absolute(prefix)?),
            None => command.arg("--user"),
        };
        let said = process::output(&mut command).context("installing the kernel")?;
        for line in said.lines() {
            say.line(line);
        }
        say.line("Jupyter now offers the kernel `mlk8s-rust`; it uses this checkout's build.");
        Ok(())
    }
}

/// Our JupyterLab asks nothing of other machines: neither news nor new versions of itself.
const LAB_SETTINGS: &str = r#"{
  "@jupyterlab/apputils-extension:notification": { "fetchNews": "false", "checkForUpdates": false }
}
"#;

/// Installs the kernelspec and our settings into the private environment.
pub(crate) fn install_here(places: &Places, say: &mut Say) -> Result<()> {
    let started = Instant::now();
    let mut command = process::clean_command(places.built("mlk8s-kernel"));
    command.args(["install", "--prefix"]).arg(&places.venv);
    process::output(&mut command).context("installing the kernel")?;
    let settings = places.venv.join("share/jupyter/lab/settings");
    std::fs::create_dir_all(&settings)
        .and_then(|()| std::fs::write(settings.join("overrides.json"), LAB_SETTINGS))
        .context("writing the settings of JupyterLab")?;
    let venv = places.short(&places.venv);
    say.done(
        "kernel",
        &format!("installed the kernel into `{venv}`"),
        started.elapsed(),
    );
    Ok(())
}

/// Lets JupyterLab run the scripts in the outputs of `notebooks`, which we made ourselves.
pub(crate) fn trust(places: &Places, notebooks: &[&Path]) -> Result<()> {
    if notebooks.is_empty() {
        return Ok(());
    }
    let mut command = places.python_command("jupyter");
    process::output(command.arg("trust").args(notebooks)).context("trusting our notebooks")?;
    Ok(())
}

fn notebooks_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = dir.read_dir().map_err(|error| {
        Advice::error(
            format!("no notebooks in `{}`: {error}", dir.display()),
            "the checkout is not complete: `git status` shows what is missing",
        )
    })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ipynb")
        })
        .collect();
    paths.sort();
    Ok(paths)
}

/// JupyterLab refuses to start for the administrator, whose machines containers are, without a word.
fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
