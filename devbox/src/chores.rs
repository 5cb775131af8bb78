//! `bench` and `clean`.

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, doctor, jupyter, process, python};

/// Arguments of `bench`.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// What to measure, with its arguments; nothing lists what there is
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    names: Vec<String>,
}

impl Bench {
    /// Builds, then measures.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        let python = doctor::check(places, say)?;
        compile::programs(places, say)?;
        // Some figures are taken as a Python client sees them.
        python::prepare(places, say, &python, &[python::JUPYTER, python::MODELS])?;
        jupyter::install_here(places, say)?;
        let mut command = process::clean_command(places.built("mlk8s-bench"));
        command
            .args(&self.names)
            .current_dir(&places.root)
            .env("MLK8S_STATE", &places.state)
            .env("MLK8S_VENV", &places.venv);
        process::inherit(&mut command).context("measuring")
    }
}

/// Arguments of `clean`.
#[derive(clap::Args)]
pub(crate) struct Clean {
    /// Also what cargo has built: the next build starts from nothing
    #[arg(long)]
    all: bool,
}

impl Clean {
    /// Removes the state directory and the environment.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        if places.venv.exists() {
            python::remove(&places.venv)?;
            say.line(&format!("removed `{}`", places.short(&places.venv)));
        }
        if places.state.exists() {
            if !places.state_is_ours() {
                return Err(Advice::error(
                    format!("`{}` was not made by devbox", places.state.display()),
                    "it stays as it is; remove it yourself if you want to",
                ));
            }
            std::fs::remove_dir_all(&places.state)
                .with_context(|| format!("removing `{}`", places.state.display()))?;
            say.line(&format!("removed `{}`", places.short(&places.state)));
        }
        if self.all {
            compile::run(places, &["clean"])?;
            say.line(&format!("removed `{}`", places.short(&places.target)));
        }
        Ok(())
    }
}
