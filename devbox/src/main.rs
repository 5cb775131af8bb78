//! `cargo devbox …`: one command from a fresh clone to a report, a notebook or a full test run.

mod advice;
mod batch;
mod browser;
mod chores;
mod cluster;
mod compile;
mod counts;
mod cuda;
mod dist;
mod doctor;
mod image;
mod jupyter;
mod lock;
mod machine;
mod notebook;
mod package;
mod places;
mod process;
mod python;
mod run;
mod say;
mod serve;
mod settings;
mod suites;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::places::Places;
use crate::say::Say;

/// From a fresh clone to a notebook that makes sense of articles
#[derive(Parser)]
#[command(name = "cargo devbox", bin_name = "cargo devbox", after_help = settings::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set everything up, execute the first notebook and leave an HTML report
    Run(run::Run),
    /// Execute a notebook without a browser, with parameters; leaves a report and a record
    Batch(batch::Batch),
    /// Run the whole test suite, with the same set-up
    Test(suites::Test),
    /// Check formatting and lints, then run the whole test suite
    Check,
    /// Open JupyterLab on the notebooks, on this machine only
    Lab(jupyter::Lab),
    /// Serve a model to the whole house, behind the OpenAI API
    Serve(serve::Serve),
    /// Render, check and apply the manifests of this repository; look at the cluster; reach what is in it
    Cluster(cluster::Cluster),
    /// Build, test and list container images
    Image(image::Command),
    /// Make one folder of everything that a machine needs to run the product
    Dist(dist::Dist),
    /// Build what is not built by itself: `cuda`, the program that runs models on GPUs
    Build(cuda::Build),
    /// Show what this machine has, what is missing and how to get it
    Doctor,
    /// Install the kernel for your own Jupyter
    Install(jupyter::Install),
    /// Measure; the figures and what they need are listed by `cargo devbox bench`
    Bench(chores::Bench),
    /// Remove what `run`, `lab` and `test` left behind
    Clean(chores::Clean),
    /// Renew the lock files of the Python packages (needs `uv`)
    Lock,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut say = Say::new();
    let outcome = Places::find().and_then(|places| match cli.command {
        Command::Run(run) => run.run(&places, &mut say),
        Command::Batch(batch) => batch.run(&places, &mut say),
        Command::Test(test) => test.run(&places, &mut say),
        Command::Check => suites::check(&places, &mut say),
        Command::Lab(lab) => lab.run(&places, &mut say),
        Command::Serve(serve) => serve.run(&places, &mut say),
        Command::Cluster(cluster) => cluster.run(&places, &mut say),
        Command::Image(image) => image.run(&places, &mut say),
        Command::Dist(dist) => dist.run(&places, &mut say),
        Command::Build(build) => build.run(&places, &mut say),
        Command::Doctor => doctor::run(&places, &mut say),
        Command::Install(install) => install.run(&places, &mut say),
        Command::Bench(bench) => bench.run(&places, &mut say),
        Command::Clean(clean) => clean.run(&places, &mut say),
        Command::Lock => lock::run(&places, &mut say),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say.failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// The notebook that `run` executes, from the root of the checkout.
fn first_notebook() -> PathBuf {
    PathBuf::from("notebooks/01_make_sense_of_articles.ipynb")
}
