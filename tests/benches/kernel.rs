//! `kernel`: how our kernel feels, next to `evcxr_jupyter` and ipykernel: start, first cells, cells, completion, memory.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs the client in the private environment that `cargo devbox` made; its progress goes to standard error.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = env::var_os("MLK8S_VENV").map_or_else(|| here.join("../.mlk8s/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    if !python.exists() {
        bail!(
            "no environment at `{}`: run `cargo devbox run` first",
            venv.display()
        );
    }
    let mut client = Command::new(&python);
    client
        .arg(here.join("benches/kernel.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit());
    for name in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        if let Some(value) = env::var_os(name) {
            client.env(name, without_cargo(&value)?);
        }
    }
    let measured = client
        .output()
        .with_context(|| format!("cannot run `{}`", python.display()))?;
    out.write_all(&measured.stdout)?;
    if !measured.status.success() {
        bail!("something could not be measured ({})", measured.status);
    }
    Ok(())
}

/// The search path `value` without what `cargo run` put there: kernels must start without it, as they do in Jupyter.
fn without_cargo(value: &OsString) -> anyhow::Result<OsString> {
    let program = env::current_exe().context("finding this program")?;
    let target = program.parent().context("this program is in no folder")?;
    let kept = env::split_paths(value)
        .filter(|dir| !dir.starts_with(target))
        .filter(|dir| {
            !dir.components()
                .any(|part| part.as_os_str() == "toolchains" || part.as_os_str() == "rustlib")
        });
    Ok(env::join_paths(kept)?)
}
