//! Executing a notebook without a browser, with progress.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::advice::Advice;
use crate::package;
use crate::places::Places;
use crate::process::{self, Event};
use crate::say::{Say, duration};

/// How much of a traceback is printed.
const TRACEBACK_LINES: usize = 40;

/// A notebook to execute, and where its results go.
pub(crate) struct Execution<'a> {
    /// The notebook, which stays as it is.
    pub(crate) notebook: &'a Path,
    /// The notebook with its outputs.
    pub(crate) executed: &'a Path,
    /// The report.
    pub(crate) report: &'a Path,
    /// Articles to read instead of the samples.
    pub(crate) articles: Option<&'a Path>,
}

impl Execution<'_> {
    /// Executes all cells; an error names the cell that failed.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        let started = Instant::now();
        let name = places.short(self.notebook);
        say.heading(&format!("Executing `{name}`"));
        let mut progress = Progress::new(started);
        let status = process::watch(&mut self.command(places), Duration::from_secs(1), |event| {
            match event {
                Event::Out(line) => progress.see(&line, say),
                Event::Err(line) => say.line(&format!("  {line}")),
                Event::Tick => {}
            }
            say.status(&progress.line());
        })?;
        if !status.success() {
            return Err(Advice::error(
                progress.failure(&name),
                progress.advice(places),
            ));
        }
        copy(&progress.results.executed, self.executed)?;
        copy(&progress.results.report, self.report)?;
        let text = format!("executed `{name}`: {} cells", progress.cells);
        say.done("notebook", &text, started.elapsed());
        Ok(())
    }

    fn command(&self, places: &Places) -> Command {
        let mut command = places.python_command(package::BATCH);
        command
            .arg(self.notebook)
            .arg("--events")
            .arg("--out")
            .arg(places.state.join("runs"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("MLK8S_ARTICLES");
        if let Some(articles) = self.articles {
            command.env("MLK8S_ARTICLES", articles);
        }
        command
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("copying `{}` to `{}`", from.display(), to.display()))
}

/// How far the notebook is, as its executor tells.
struct Progress {
    started: Instant,
    cells: u64,
    cell: String,
    shows: String,
    failure: Option<String>,
    results: Results,
}

/// What a run has left, also one that has failed.
#[derive(Default)]
struct Results {
    executed: PathBuf,
    report: PathBuf,
}

impl Progress {
    fn new(started: Instant) -> Progress {
        Progress {
            started,
            cells: 0,
            cell: "starting the kernel".to_owned(),
            shows: String::new(),
            failure: None,
            results: Results::default(),
        }
    }

    fn see(&mut self, line: &str, say: &mut Say) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return say.line(line);
        };
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("cell") => {
                self.cells += 1;
                self.cell = format!(
                    "{}/{} {}",
                    event["cell"],
                    event["of"],
                    head(&text("source"))
                );
                self.shows.clear();
            }
            Some("shows") => self.shows = text("text"),
            Some("error") => {
                for line in traceback(&event).iter().take(TRACEBACK_LINES) {
                    say.coloured(line);
                }
                self.failure = Some(format!(
                    "cell {} failed, `{}`: {}: {}",
                    event["cell"],
                    head(&text("source")),
                    text("ename"),
                    head(&text("evalue"))
                ));
            }
            Some("dead") => {
                let log = event["log"].as_array().into_iter().flatten();
                for line in log.filter_map(Value::as_str) {
                    say.coloured(line);
                }
                self.failure = Some(text("evalue"));
            }
            Some("done") => {
                self.results = Results {
                    executed: text("executed").into(),
                    report: text("report").into(),
                };
            }
            _ => {}
        }
    }

    fn line(&self) -> String {
        let shows = if self.shows.is_empty() { "" } else { " · " };
        format!(
            "{}  {}{shows}{}",
            duration(self.started.elapsed()),
            self.cell,
            self.shows
        )
    }

    fn failure(&self, name: &str) -> String {
        match &self.failure {
            Some(failure) => format!("`{name}`: {failure}"),
            None => format!("`{name}`: the run ended early, at cell {}", self.cell),
        }
    }

    fn advice(&self, places: &Places) -> String {
        let look = "to look into it: `cargo devbox lab`";
        if self.results.report.as_os_str().is_empty() {
            return look.to_owned();
        }
        format!(
            "the report and the notebook as far as they came: `{}`, `{}`\n{look}",
            places.short(&self.results.report),
            places.short(&self.results.executed)
        )
    }
}

/// The first line of a text that says something.
fn head(text: &str) -> String {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn traceback(event: &Value) -> Vec<String> {
    let entries = event["traceback"].as_array().into_iter().flatten();
    entries
        .filter_map(Value::as_str)
        .flat_map(str::lines)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_cell_is_named_with_its_error() {
        let mut progress = Progress::new(Instant::now());
        let mut say = Say::new();
        progress.see(
            r#"{"event":"cell","cell":3,"of":9,"source":"%kg build docs\n"}"#,
            &mut say,
        );
        progress.see(r#"{"event":"shows","text":"12/18 documents"}"#, &mut say);
        assert_eq!(
            progress.line(),
            "0.0 s  3/9 %kg build docs · 12/18 documents"
        );
        progress.see(
            r#"{"event":"error","cell":3,"source":"%kg build docs","ename":"NotFound","evalue":"no table named `docs`\nhint","traceback":[]}"#,
            &mut say,
        );
        assert_eq!(
            progress.failure("n.ipynb"),
            "`n.ipynb`: cell 3 failed, `%kg build docs`: NotFound: no table named `docs`"
        );
    }

    #[test]
    fn a_run_that_stops_says_why_and_where_its_results_are() {
        let mut progress = Progress::new(Instant::now());
        let mut say = Say::new();
        for line in [
            r#"{"event":"start","notebook":"n.ipynb","cells":2}"#,
            r#"{"event":"dead","evalue":"the kernel died, at cell 2 of 2, `f()`","log":[]}"#,
            r#"{"event":"done","exit":3,"report":"/runs/n/report.html","executed":"/runs/n/executed.ipynb"}"#,
        ] {
            progress.see(line, &mut say);
        }
        assert_eq!(
            progress.failure("n.ipynb"),
            "`n.ipynb`: the kernel died, at cell 2 of 2, `f()`"
        );
        assert_eq!(progress.results.report, Path::new("/runs/n/report.html"));
        assert_eq!(
            progress.results.executed,
            Path::new("/runs/n/executed.ipynb")
        );
    }
}
