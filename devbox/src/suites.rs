//! `cargo devbox test` and `check`: every suite, Rust and Python.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::machine::System;
use crate::places::Places;
use crate::say::Say;
use crate::{browser, compile, doctor, jupyter, python, settings};

/// What pytest answers when no test was chosen.
const NOTHING_CHOSEN: i32 = 5;

/// Arguments of `test`.
#[derive(clap::Args, Default)]
pub(crate) struct Test {
    /// Only tests with this in their name
    filter: Option<String>,
    /// The program that builds and runs images.
    #[arg(skip)]
    engine: Option<String>,
}

impl Test {
    /// Only tests with `filter` in their name, on images of `engine`.
    pub(crate) fn of(filter: &str, engine: Option<String>) -> Test {
        Test {
            filter: Some(filter.to_owned()),
            engine,
        }
    }

    /// Sets everything up as `run` does, then runs every suite.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        let python = doctor::check(places, say)?;
        let browser = browser::find();
        if browser.is_none() && settings::ci() {
            return Err(Advice::error(
                "no Chromium, and CI may not skip the browser tests",
                browser::how_to_get(System::here()),
            ));
        }
        compile::programs(places, say)?;
        compile::tests(places, say)?;
        python::prepare(
            places,
            say,
            &python,
            &[
                python::JUPYTER,
                python::MODELS,
                python::CLUSTER,
                python::WHEEL,
                python::TESTS,
            ],
        )?;
        jupyter::install_here(places, say)?;
        let rust = self.rust(places, say);
        let clients = self.python(places, say);
        if browser.is_none() {
            say.warning("the browser tests were SKIPPED: no Chromium was found");
            say.line(&format!(
                "         get it: {}",
                browser::how_to_get(System::here())
            ));
        }
        say.line(&format!("Time: {}", say.times()));
        let failed: Vec<&str> = [("the Rust tests", rust), ("the Python tests", clients)]
            .into_iter()
            .filter_map(|(name, outcome)| outcome.is_err().then_some(name))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Advice::error(
            format!("failed: {}", failed.join(", ")),
            "one test alone: `cargo devbox test NAME`",
        ))
    }

    fn rust(&self, places: &Places, say: &mut Say) -> Result<()> {
        let started = Instant::now();
        say.heading("Rust tests");
        let mut arguments = vec!["test", "--quiet", "--no-fail-fast"];
        arguments.extend(self.filter.as_deref());
        compile::run(places, &arguments)?;
        say.done("Rust tests", "the Rust tests pass", started.elapsed());
        Ok(())
    }

    fn python(&self, places: &Places, say: &mut Say) -> Result<()> {
        let started = Instant::now();
        say.heading(
            "Python tests: protocol, crashes, stress, notebooks, papermill, console, JupyterLab",
        );
        let mut command = places.python_command("python");
        command
            .args(["-m", "pytest", "tests/python"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("MLK8S_ARTICLES");
        if let Some(browser) = browser::find() {
            command.env("MLK8S_CHROMIUM", browser);
        }
        if let Some(filter) = &self.filter {
            command.args(["-k", filter]);
        }
        if let Some(engine) = &self.engine {
            command.env("MLK8S_IMAGE_ENGINE", engine);
        }
        let status = command.status().context("starting pytest")?;
        let nothing = self.filter.is_some() && status.code() == Some(NOTHING_CHOSEN);
        if !status.success() && !nothing {
            anyhow::bail!("pytest failed ({status})");
        }
        say.done("Python tests", "the Python tests pass", started.elapsed());
        Ok(())
    }
}

/// Formatting, lints, then every suite.
pub(crate) fn check(places: &Places, say: &mut Say) -> Result<()> {
    for (what, arguments) in [
        ("formatting", &["fmt", "--all", "--check"][..]),
        (
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ][..],
        ),
    ] {
        let started = Instant::now();
        say.heading(&format!("Checking {what}"));
        compile::run(places, arguments).map_err(|error| {
            Advice::error(
                format!("{what}: {error:#}"),
                "formatting is mended by `cargo fmt`; lints say themselves what they want",
            )
        })?;
        say.done(what, &format!("{what} are in order"), started.elapsed());
    }
    Test::default().run(places, say)
}
