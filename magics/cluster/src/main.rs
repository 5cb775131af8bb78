//! `mlk8s-cluster`: manifests rendered, checked, applied and looked after; ports forwarded.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use mlk8s_cluster::command::{Line, run};

fn main() -> ExitCode {
    let line = Line::parse();
    match run(&line, &mut std::io::stdout().lock()) {
        Ok(code) => code,
        Err(failure) => {
            // Who does not listen is not told.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
