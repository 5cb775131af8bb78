//! `cargo devbox batch`: a notebook without a browser, with parameters, as at night.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, doctor, jupyter, package, process, python, settings};

/// Arguments of `batch`.
#[derive(clap::Args)]
pub(crate) struct Batch {
    /// Notebook to execute
    notebook: PathBuf,
    /// Arguments of `mlk8s-batch`, such as `--param limit=10 --timeout 8h`; `--help` lists them all
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

impl Batch {
    /// Sets everything up as `run` does and becomes `mlk8s-batch`, whose exit status says how it went.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        // Whoever goes to bed wants to know before that.
        if !self.notebook.is_file() {
            return Err(Advice::error(
                format!("no notebook `{}`", self.notebook.display()),
                "`cargo devbox batch NOTEBOOK --param NAME=VALUE`; ours are in `notebooks`",
            ));
        }
        let python = doctor::check(places, say)?;
        compile::programs(places, say)?;
        python::prepare(places, say, &python, &[python::JUPYTER, python::MODELS])?;
        jupyter::install_here(places, say)?;
        let here = std::env::current_dir().context("reading the working directory")?;
        let mut command = places.python_command(package::BATCH);
        command
            .arg(&self.notebook)
            .args(&self.more)
            .current_dir(here);
        if !settings::names_runs() {
            command.env(settings::RUNS, places.state.join("runs"));
        }
        process::become_program(&mut command)
    }
}
