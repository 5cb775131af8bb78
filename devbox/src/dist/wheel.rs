//! The wheel: the product for `pip install`, with the kernelspec in it.
//!
//! maturin makes a wheel of the programs of one crate; ours is several programs, a dylib and the metadata of its crates,
//! which cargo must have built together. So the folder is laid out as an unpacked wheel, and `wheel pack` does the rest.
//! See <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::glibc_floor;
use crate::places::Places;
use crate::say::Say;
use crate::{process, python};

const NAME: &str = "mlk8s";
/// Where the product lies in an environment.
const LIBRARY: &str = "lib/mlk8s";
/// Programs that get a name on the path.
const ON_PATH: [&str; 3] = ["mlk8s-kernel", "mlk8s-worker", "mlk8s-cluster"];
const SUMMARY: &str =
    "A Rust kernel for Jupyter with magics for documents, graphs, models and clusters";

/// Packs the product in `dir` into a wheel in the folder `wheels`.
pub(super) fn make(places: &Places, say: &mut Say, dir: &Path, wheels: &Path) -> Result<()> {
    let interpreter =
        python::find().context("no Python was found; `cargo devbox doctor` says how to get it")?;
    python::prepare(places, say, &interpreter, &[python::JUPYTER, python::WHEEL])?;
    let started = Instant::now();
    let version = env!("CARGO_PKG_VERSION");
    let unpacked = places.state.join("wheel");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    let data = unpacked.join(format!("{NAME}-{version}.data"));
    lay_out(dir, &data)?;
    let about = unpacked.join(format!("{NAME}-{version}.dist-info"));
    fs::create_dir_all(&about)?;
    let tag = format!(
        "py3-none-manylinux_{}_{}",
        glibc_floor(dir)?.replace('.', "_"),
        std::env::consts::ARCH
    );
    fs::write(
        about.join("WHEEL"),
        format!(
            "Wheel-Version: 1.0\nGenerator: mlk8s devbox\nRoot-Is-Purelib: false\nTag: {tag}\n"
        ),
    )?;
    fs::write(
        about.join("METADATA"),
        format!(
            "Metadata-Version: 2.4\nName: {NAME}\nVersion: {version}\nSummary: {SUMMARY}\n\
             License-Expression: MIT OR Apache-2.0\nRequires-Python: >=3.9\n"
        ),
    )?;
    fs::create_dir_all(wheels)?;
    let mut command = places.python_command("python");
    command
        .args(["-m", "wheel", "pack"])
        .arg(&unpacked)
        .arg("--dest-dir")
        .arg(wheels);
    process::output(&mut command).context("packing the wheel")?;
    fs::remove_dir_all(&unpacked)?;
    let path = wheels.join(format!("{NAME}-{version}-{tag}.whl"));
    let bytes = fs::metadata(&path)
        .with_context(|| format!("looking for `{}`", path.display()))?
        .len();
    say.done(
        "wheel",
        &format!("packed `{}`: {} MiB", places.short(&path), bytes >> 20),
        started.elapsed(),
    );
    Ok(())
}

/// Lays out what pip unpacks into an environment: the product, the names on the path, and the kernelspec.
fn lay_out(dir: &Path, data: &Path) -> Result<()> {
    let library = data.join("data").join(LIBRARY);
    link_all(dir, &library)?;
    let scripts = data.join("scripts");
    fs::create_dir_all(&scripts)?;
    for name in ON_PATH.into_iter().filter(|name| dir.join(name).exists()) {
        // A link would be followed when the wheel is packed, and the program be there twice.
        let text = format!(
            "#!/bin/sh\nexec \"$(dirname \"$(readlink -f \"$0\")\")/../{LIBRARY}/{name}\" \"$@\"\n"
        );
        fs::write(scripts.join(name), text)?;
        fs::set_permissions(scripts.join(name), fs::Permissions::from_mode(0o755))?;
    }
    // Jupyter puts its own prefix into the text: the environment may lie anywhere.
    let spec = data.join("data/share/jupyter/kernels");
    let program = format!("{{prefix}}/{LIBRARY}/mlk8s-kernel");
    let mut command = process::clean_command(dir.join("mlk8s-kernel"));
    command.args(["install", "--prefix"]).arg(data.join("data"));
    process::output(&mut command).context("writing the kernelspec")?;
    let path = spec.join("mlk8s-rust/kernel.json");
    let mut kernelspec: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    kernelspec["argv"][0] = program.into();
    // It would hold the place where the wheel was packed, and Jupyter puts nothing into variables.
    kernelspec["env"] = serde_json::json!({});
    fs::write(&path, format!("{kernelspec:#}\n")).context("writing the kernelspec")
}

/// Makes `to` the same tree as `from`, without copying where the disk allows it.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &target)?;
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
