//! `cargo devbox run`: from a fresh clone to a report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::notebook::Execution;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, counts, doctor, first_notebook, jupyter, python};

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Folder with your own articles (PDF, HTML, Markdown, text, JSON) instead of the samples
    #[arg(long, value_name = "DIR")]
    articles: Option<PathBuf>,
    /// Where the HTML report goes [default: .mlk8s/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Run {
    /// Sets everything up, executes the notebook and prints what was made.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        let notebook = places.root.join(first_notebook());
        let articles = self.articles.as_deref().map(folder).transpose()?;
        let report = match &self.out {
            Some(file) => std::path::absolute(file).context("finding the report's folder")?,
            None => places.state.join("report.html"),
        };
        let python = doctor::check(places, say)?;
        compile::programs(places, say)?;
        python::prepare(places, say, &python, &[python::JUPYTER, python::MODELS])?;
        jupyter::install_here(places, say)?;
        let name = notebook.file_name().unwrap_or(notebook.as_os_str());
        let executed = places.state.join("executed").join(name);
        for folder in [&report, &executed].iter().filter_map(|file| file.parent()) {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making `{}`", folder.display()))?;
        }
        Execution {
            notebook: &notebook,
            executed: &executed,
            report: &report,
            articles: articles.as_deref(),
        }
        .run(places, say)?;
        tell(places, say, &executed, &report)
    }
}

/// A folder that is there, as an absolute path: the notebook runs in a folder of its own.
fn folder(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).context("finding the articles")?;
    if absolute.is_dir() {
        return Ok(absolute);
    }
    Err(Advice::error(
        format!("no folder `{}`", path.display()),
        "give `--articles` a folder with PDF, HTML, Markdown, text or JSON files",
    ))
}

fn tell(places: &Places, say: &mut Say, executed: &Path, report: &Path) -> Result<()> {
    let counts: Vec<String> = counts::read(executed)?
        .into_iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    say.line("");
    if !counts.is_empty() {
        say.line(&format!("Made:     {}", counts.join(", ")));
    }
    say.line(&format!("Time:     {}", say.times()));
    say.line(&format!("Report:   {}", places.short(report)));
    say.line(&format!("Notebook: {}", places.short(executed)));
    say.line(&format!(
        "Graph:    {}",
        places.short(&places.state.join("graphs"))
    ));
    say.line("");
    say.line("Open the report in a browser, or type `cargo devbox lab` to work with the notebook.");
    Ok(())
}
