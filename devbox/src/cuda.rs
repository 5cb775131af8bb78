//! `build cuda`: the program that runs models on GPUs, made on a machine that need not have one.
//!
//! NVIDIA's compiler comes as Python packages. The driver's library and cuBLAS come with no package that is small, and a
//! program that is linked with them does not start where they are missing, so that programs are linked with stand-ins:
//! libraries of the same names with the functions that the bindings declare, which pass calls on to the real ones.

mod forward;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{doctor, process, python, settings};

/// The version of CUDA, as the bindings count.
const VERSION: &str = "13000";
/// GPUs whose code is in the program; for newer ones the driver compiles what is there for these.
const COMPUTE: &str = "80";
/// Where the program, and the libraries that it loads, look for the real ones, at run time. NVRTC opens its builtins by
/// itself, for which the newer kind of entry, RUNPATH, does not count.
const SEARCHED: &str = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/cuda:/usr/local/cuda/lib64";
/// The compiler, with more kinds of GPU for what becomes machine code at once.
const WRAPPER: &str = "\
#!/bin/sh
# Made by `cargo devbox build cuda`. Objects get code for Hopper beside that for Ampere, and code that drivers translate.
for word in \"$@\"; do
    if [ \"$word\" = -c ]; then
        exec \"$(dirname \"$0\")/nvcc\" \"$@\" -gencode=arch=compute_90,code=sm_90 -gencode=arch=compute_80,code=compute_80
    fi
done
exec \"$(dirname \"$0\")/nvcc\" \"$@\"
";

/// Arguments of `build`.
#[derive(clap::Args)]
pub(crate) struct Build {
    what: What,
}

/// What is not built by itself.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// The program that runs models on NVIDIA GPUs; fetches 105 MB and takes some 15 minutes
    Cuda,
}

impl Build {
    /// Builds it, and puts it beside the other programs.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        match self.what {
            What::Cuda => cuda(places, say),
        }
    }
}

fn cuda(places: &Places, say: &mut Say) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the program for GPUs can be built on Linux with x86-64 only");
    }
    let python = doctor::check(places, say)?;
    let folder = places.state.join("cuda");
    python::prepare(places, say, &python, &[python::JUPYTER, python::MODELS])?;
    python::unpack(places, say, &python::CUDA, &folder)?;
    let toolkit = folder.join("nvidia/cu13");
    complete(&toolkit).context("completing NVIDIA's compiler")?;
    stand_ins(places, &toolkit.join("lib")).context("making stand-ins for NVIDIA's libraries")?;
    compile(places, say, &toolkit)
}

/// What an installer of NVIDIA's would have made.
fn complete(toolkit: &Path) -> Result<()> {
    let links = [
        ("lib64", "lib"),
        // Linked into the program: it looks for the driver by itself.
        ("lib/libcudart.a", "libcudart_static.a"),
        ("lib/libnvvm.so", "libnvvm.so.4"),
    ];
    for (link, to) in links {
        let link = toolkit.join(link);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(to, link)?;
        }
    }
    // An earlier version has made it, and linkers would prefer it.
    let shared = toolkit.join("lib/libcudart.so");
    if shared.is_symlink() {
        fs::remove_file(shared)?;
    }
    let wrapper = toolkit.join("bin/nvcc-more");
    fs::write(&wrapper, WRAPPER)?;
    let mut mode = fs::metadata(&wrapper)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    Ok(fs::set_permissions(&wrapper, mode)?)
}

/// Libraries to link with, in `stubs`.
fn stand_ins(places: &Places, lib: &Path) -> Result<()> {
    let bindings = bindings(places)?;
    let stubs = lib.join("stubs");
    // What an earlier version has made, such as shared libraries, must not be found.
    if stubs.exists() {
        fs::remove_dir_all(&stubs)?;
    }
    fs::create_dir_all(&stubs)?;
    for library in &forward::LIBRARIES {
        let declared = bindings.join("src").join(library.folder).join("sys/mod.rs");
        let text = fs::read_to_string(&declared)
            .with_context(|| format!("reading `{}`", declared.display()))?;
        let name = library.name;
        let (source, object) = (
            stubs.join(format!("{name}.c")),
            stubs.join(format!("{name}.o")),
        );
        fs::write(&source, forward::source(library, &text))?;
        let mut command = Command::new(settings::c_compiler());
        command.args(["-c", "-fPIC", "-O2", "-o"]);
        process::output(command.args([&object, &source]))?;
        let mut command = Command::new("ar");
        command.arg("rcs").arg(stubs.join(format!("lib{name}.a")));
        process::output(command.arg(&object))?;
    }
    Ok(())
}

/// Where cargo keeps the source of the bindings.
fn bindings(places: &Places) -> Result<PathBuf> {
    let mut command = process::clean_command(settings::cargo());
    command
        .args(["metadata", "--format-version", "1"])
        .args(["--features", "mlk8s-worker/cuda"])
        .current_dir(&places.root);
    let text = process::output(&mut command).context("asking cargo for its packages")?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("reading the answer of `cargo metadata`")?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .find(|package| package["name"] == "cudarc")
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .context("cargo knows no package `cudarc`")
}

/// Builds the program, in a directory of its own: with this feature everything below it is built another way.
fn compile(places: &Places, say: &mut Say, toolkit: &Path) -> Result<()> {
    let started = Instant::now();
    say.heading("Building the program for GPUs; the first time allow 15 to 40 minutes");
    let target = places.target.join("cuda");
    let mut command = process::clean_command(settings::cargo());
    command
        .current_dir(&places.root)
        .args([
            "rustc",
            "--package",
            "mlk8s-worker",
            "--bin",
            "mlk8s-worker",
        ])
        .args(["--features", "cuda", "--target-dir"])
        .arg(&target)
        .args(["--", "-C"])
        .arg(format!("link-arg={SEARCHED}"))
        .env("CUDA_HOME", toolkit)
        .env("CUDA_PATH", toolkit)
        .env("NVCC", toolkit.join("bin/nvcc-more"))
        .env("CUDA_COMPUTE_CAP", COMPUTE)
        .env("CUDARC_CUDA_VERSION", VERSION);
    process::inherit(&mut command).map_err(|error| {
        Advice::error(
            format!("the program for GPUs was not built: {error:#}"),
            "the reason stands above; `cargo devbox doctor` shows what this machine lacks",
        )
    })?;
    let program = places.built("mlk8s-worker-cuda");
    fs::create_dir_all(program.parent().unwrap_or(&places.target))?;
    fs::copy(target.join("debug/mlk8s-worker"), &program)
        .with_context(|| format!("copying to `{}`", program.display()))?;
    let mut start = process::clean_command(&program);
    let version = process::output(start.arg("--version")).context("starting what was built")?;
    let done = format!("built `{}`: {}", places.short(&program), version.trim());
    say.done("build cuda", &done, started.elapsed());
    Ok(())
}
