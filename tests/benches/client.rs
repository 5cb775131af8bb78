//! Runs a measurement that is written in Python, in the private environment that `cargo devbox` made.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Runs `script` of this folder with `arguments`; what it prints goes to `out`.
pub(crate) fn run(script: &str, arguments: &[&str], out: &mut dyn Write) -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv =
        std::env::var_os("MLK8S_VENV").map_or_else(|| here.join("../.mlk8s/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    if !python.exists() {
        bail!(
            "no environment at `{}`: run `cargo devbox run` first",
            venv.display()
        );
    }
    let measured = Command::new(&python)
        .arg(here.join("benches").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .with_context(|| format!("cannot run `{}`", python.display()))?;
    if !measured.status.success() {
        bail!(
            "the client failed: {}",
            String::from_utf8_lossy(&measured.stderr)
        );
    }
    out.write_all(&measured.stdout)?;
    Ok(())
}
