//! The process that runs Rust cells. It is a program of its own so that it shares one standard library with the
//! prelude and with every cell; the kernel starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mlk8s_prelude::run_cells() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
