//! Our own Python package, which executes notebooks and teaches papermill Rust, in the private environment.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::places::Places;
use crate::{process, python};

/// Its program that executes notebooks.
pub(crate) const BATCH: &str = "mlk8s-batch";
/// Where it is, from the root of the checkout.
const SOURCE: &str = "kernel/python/mlk8s_batch";
/// Its copy in the environment tells that it is installed in this state.
const STAMP: &str = "mlk8s-batch.sources";

/// Installs it into the environment, in the state that it has in the checkout.
///
/// What builds it is among the packages of [`python::JUPYTER`], so that nothing is fetched.
pub(crate) fn install(places: &Places) -> Result<()> {
    let source = places.root.join(SOURCE);
    let wanted = sources(&source).with_context(|| format!("reading `{SOURCE}`"))?;
    let stamp = places.venv.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut command = python::install_command(places);
    command.args([
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--force-reinstall",
    ]);
    process::output(command.arg(source)).with_context(|| format!("installing `{SOURCE}`"))?;
    fs::write(stamp, wanted).context("marking the environment")
}

/// The files below `folder` as one text, with their names; what Python makes of them is left out.
fn sources(folder: &Path) -> std::io::Result<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut text = String::new();
    for path in paths {
        if path.is_dir() && !path.ends_with("__pycache__") {
            text += &sources(&path)?;
        } else if path
            .extension()
            .is_some_and(|kind| kind == "py" || kind == "toml")
        {
            let name = path.display().to_string();
            text.extend(["# ", &name, "\n", &fs::read_to_string(&path)?]);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_package_is_installed_anew_when_a_source_changes() {
        let dir = std::env::temp_dir().join(format!("mlk8s-devbox-ours-{}", std::process::id()));
        fs::create_dir_all(dir.join("inner/__pycache__")).unwrap();
        fs::write(dir.join("inner/a.py"), "1").unwrap();
        let before = sources(&dir).unwrap();
        fs::write(dir.join("inner/__pycache__/a.py"), "made").unwrap();
        assert_eq!(sources(&dir).unwrap(), before);
        fs::write(dir.join("inner/a.py"), "2").unwrap();
        assert_ne!(sources(&dir).unwrap(), before);
        fs::remove_dir_all(&dir).unwrap();
    }
}
