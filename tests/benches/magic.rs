//! `magic`: what one magic that does nothing costs, from request to idle, next to ipykernel in the same run.

use std::io::Write;
use std::path::Path;

use crate::client;

/// Runs the client.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    client::run(
        "magic.py",
        &["mlk8s-rust", "%lsmagic", "python3", "pass"],
        out,
    )?;
    writeln!(out, "wanted: at most 5 ms for the magic")?;
    Ok(())
}
