//! A Jupyter kernel: Rust cells, and magics for making sense of documents.

mod cell;
mod dispatch;
mod display;
#[cfg(test)]
mod fuzz;
mod handler;
mod history;
mod install;
mod kernel;
mod language;
mod outbox;
mod pace;
mod reporter;
mod runtime_dir;
mod settings;
mod syntax;
mod value;
mod wire;
mod worker;

use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::kernel::Kernel;
use crate::runtime_dir::RuntimeDir;
use crate::settings::Settings;
use crate::wire::{Connection, Wire};

/// Threads for the sockets.
const SOCKET_THREADS: usize = 2;
/// How often we look whether our parent lives.
const GLANCE: Duration = Duration::from_secs(1);

/// A Jupyter kernel for Rust, and for making sense of documents
#[derive(Debug, Parser)]
#[command(name = "mlk8s-kernel", version, after_help = settings::HELP, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The file in which Jupyter says where to listen
    #[arg(long, short = 'f', value_name = "FILE", required = true)]
    connection_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this kernel known to Jupyter
    Install(install::Install),
}

fn main() -> ExitCode {
    // The kernel starts this program a second time, to complete and document Rust.
    if let Some(code) = language::hook() {
        return code;
    }
    let arguments = Arguments::parse();
    let done = match (arguments.command, arguments.connection_file) {
        (Some(Command::Install(install)), _) => install.run(),
        (None, Some(file)) => serve(&file),
        (None, None) => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves the frontend that wrote `connection_file`, until it says that this is enough.
fn serve(connection_file: &Path) -> anyhow::Result<()> {
    let connection = Connection::read(connection_file)?;
    let settings = Settings::read();
    let runtime_dir = RuntimeDir::make().context("making a directory for values")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SOCKET_THREADS)
        .enable_all()
        .build()
        .context("starting the threads of the sockets")?;
    let wire = runtime.block_on(Wire::bind(&connection))?;
    let cells_dir = RuntimeDir::make_on_disk().context("making a directory for cells")?;
    let (kernel, ended) =
        kernel::start(&settings, &runtime_dir, &cells_dir, wire, runtime.handle());
    let watching = std::sync::Arc::clone(&kernel);
    runtime.spawn(async move { watch(&watching, settings.parent).await });
    // Whoever could send is part of `kernel`, which we hold.
    let _ = ended.recv();
    kernel.outbox.finish();
    kernel.language.shutdown();
    drop((runtime_dir, cells_dir));
    runtime.shutdown_background();
    Ok(())
}

/// Ends `kernel` when the system asks for it, or when the process that started us, if it is `parent`, has ended. A
/// SIGINT is meant for others: Jupyter sends us a message.
async fn watch(kernel: &Kernel, parent: Option<u32>) {
    let terminate = signal(SignalKind::terminate());
    let (Ok(mut terminated), Ok(mut interrupted)) = (terminate, signal(SignalKind::interrupt()))
    else {
        return log("signals cannot be heard");
    };
    let starter = parent_id();
    let follows = parent == Some(starter);
    let mut glance = tokio::time::interval(GLANCE);
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => {}
            _ = glance.tick() => {
                if follows && parent_id() != starter {
                    break;
                }
            }
        }
    }
    kernel.interrupt();
    kernel.end();
}

/// Writes `message` where Jupyter keeps what kernels say on standard error.
pub(crate) fn log(message: &str) {
    // Without a place for it there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "mlk8s-kernel: {message}");
}
