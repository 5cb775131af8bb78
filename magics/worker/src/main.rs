//! The worker: a process that has one model and answers for it over HTTP.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use mlk8s_worker::{Settings, serve};

/// One model, served over OpenAI's API
#[derive(clap::Parser)]
#[command(name = "mlk8s-worker", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Serve(Box<Settings>),
}

fn main() -> ExitCode {
    let Command::Serve(settings) = Line::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cannot set up threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let keys = std::env::var("MLK8S_WORKER_KEY").ok();
    let code = runtime.block_on(serve(*settings, keys));
    // Threads that compute are not waited for: what they compute is for nobody any more.
    std::process::exit(code.into())
}
