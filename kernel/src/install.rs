//! `mlk8s-kernel install`: the kernelspec, by which Jupyter knows us.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use crate::settings;

/// Name of the kernelspec's directory, and of the kernel in notebooks.
const NAME: &str = "mlk8s-rust";
/// Files beside `kernel.json`.
const LOGOS: [(&str, &[u8]); 3] = [
    (
        "logo-32x32.png",
        include_bytes!("../kernelspec/logo-32x32.png"),
    ),
    (
        "logo-64x64.png",
        include_bytes!("../kernelspec/logo-64x64.png"),
    ),
    ("logo-svg.svg", include_bytes!("../kernelspec/logo-svg.svg")),
];

/// Where to install.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Install {
    /// For your own user; this is what happens without any flag, too
    #[arg(long)]
    user: bool,
    /// Into the environment at DIR, for instance a virtual environment with Jupyter
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Into the Python environment that is active
    #[arg(long)]
    sys_prefix: bool,
}

impl Install {
    /// Writes the kernelspec and says where.
    pub(crate) fn run(&self) -> Result<()> {
        let program = std::env::current_exe().context("finding this program")?;
        let prefix = match &self.prefix {
            None if self.sys_prefix => Some(python_prefix()?),
            given => given.clone(),
        };
        let data = prefix
            .as_ref()
            .map_or_else(settings::jupyter_data, |prefix| {
                prefix.join("share/jupyter")
            });
        let dir = data.join("kernels").join(NAME);
        write(&dir, &program, prefix.as_deref())
            .with_context(|| format!("writing `{}`", dir.display()))?;
        writeln!(
            std::io::stdout(),
            "installed the kernel `{NAME}` in {}",
            dir.display()
        )?;
        Ok(())
    }
}

fn write(dir: &Path, program: &Path, prefix: Option<&Path>) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut spec = serde_json::to_string_pretty(&kernelspec(program, prefix))?;
    spec.push('\n');
    std::fs::write(dir.join("kernel.json"), spec)?;
    for (name, logo) in LOGOS {
        std::fs::write(dir.join(name), logo)?;
    }
    Ok(())
}

fn kernelspec(program: &Path, prefix: Option<&Path>) -> Value {
    // Models that are Python packages lie in the environment that the kernel belongs to.
    let env = prefix.map_or(json!({}), |prefix| json!({ settings::PREFIX: prefix }));
    json!({
        "env": env,
        "argv": [program, "--connection-file", "{connection_file}"],
        "display_name": "Rust (mlk8s)",
        "language": "rust",
        "interrupt_mode": "message",
        "kernel_protocol_version": "5.5",
        "metadata": { "debugger": false },
    })
}

/// The prefix of the Python that is active.
fn python_prefix() -> Result<PathBuf> {
    if let Some(prefix) = settings::python_prefix() {
        return Ok(prefix);
    }
    let asked = Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output();
    let said = asked.context("asking `python3` where it is")?;
    let prefix = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if prefix.is_empty() {
        return Err(anyhow!(
            "`python3` does not say where it is; name the place with `--prefix DIR`"
        ));
    }
    Ok(PathBuf::from(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jupyter_finds_what_it_looks_for() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            Path::new("/opt/mlk8s-kernel"),
            Some(Path::new("/opt/venv")),
        )
        .unwrap();
        let spec: Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("kernel.json")).unwrap())
                .unwrap();
        assert_eq!(
            spec["argv"],
            json!([
                "/opt/mlk8s-kernel",
                "--connection-file",
                "{connection_file}"
            ])
        );
        assert_eq!(spec["interrupt_mode"], "message");
        assert_eq!(spec["env"], json!({ "MLK8S_PREFIX": "/opt/venv" }));
        for (name, size) in [("logo-32x32.png", 32), ("logo-64x64.png", 64)] {
            let logo = std::fs::read(dir.path().join(name)).unwrap();
            assert_eq!(logo[16..24], [0, 0, 0, size, 0, 0, 0, size], "{name}");
        }
        assert!(dir.path().join("logo-svg.svg").exists());
    }
}
