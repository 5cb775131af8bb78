//! Runs a measurement that is written in Python, in the private environment that `cargo devbox` made.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    finish(Command::new(&python), &python, script, arguments, out)
}

/// Runs `script` with a Python that has what we are compared with: `MLK8S_PEERS` names it.
pub(crate) fn run_with_peers(
    script: &str,
    arguments: &[&str],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Some(python) = std::env::var_os("MLK8S_PEERS").map(PathBuf::from) else {
        bail!(
            "what we are compared with is not here: `python3 -m venv peers && peers/bin/pip install scikit-learn \
             faiss-cpu onnxruntime onnx safetensors tokenizers llama-cpp-python`, then \
             `MLK8S_PEERS=peers/bin/python`"
        );
    };
    let python = std::path::absolute(python)?;
    finish(Command::new(&python), &python, script, arguments, out)
}

/// A program of ours that lies beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.with_file_name(name);
    if !path.exists() {
        bail!("`{name}` is not built: `cargo build --bins`");
    }
    Ok(path)
}

fn finish(
    mut command: Command,
    python: &Path,
    script: &str,
    arguments: &[&str],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut running = command
        .arg(here.join("benches").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", python.display()))?;
    // Line by line: what was measured before something fails was still measured.
    for line in running
        .stdout
        .take()
        .into_iter()
        .flat_map(|o| BufReader::new(o).lines())
    {
        writeln!(out, "{}", line?)?;
        out.flush()?;
    }
    if !running.wait()?.success() {
        bail!("`{script}` failed; what it said is above");
    }
    Ok(())
}
