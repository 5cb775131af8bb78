//! Catches what is written to standard output while something runs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;

/// What `work` writes to standard output; empty when it cannot be caught, and then it is shown.
pub(crate) fn stdout<R>(work: impl FnOnce() -> R) -> String {
    match catch(work) {
        Ok(text) => text,
        Err(error) => {
            // Nobody is left to hear that standard error is gone.
            let _ = writeln!(io::stderr(), "cannot catch what the value writes: {error}");
            String::new()
        }
    }
}

fn catch<R>(work: impl FnOnce() -> R) -> io::Result<String> {
    io::stdout().flush()?;
    let mut into = tempfile::tempfile()?;
    let old = io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdout(&into)?;
    let restore = Restore(old.into());
    work();
    drop(restore);
    into.rewind()?;
    let mut bytes = Vec::new();
    into.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Gives standard output back, also when what is caught panics.
struct Restore(File);

impl Drop for Restore {
    fn drop(&mut self) {
        // Standard output was a good descriptor before.
        let _ = io::stdout().flush();
        let _ = nix::unistd::dup2_stdout(&self.0);
    }
}
