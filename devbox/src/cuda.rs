//! `build cuda`: the program that runs models on GPUs, made on a machine that need not have one.
//!
//! NVIDIA's compiler comes as Python packages. The driver's library and cuBLAS come with no package that is small, so
//! that programs are linked with stand-ins: libraries of the same names with the functions that the bindings declare. On
//! a machine with a GPU the program finds the real ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
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
/// Libraries that stand-ins are made for: their folder in the bindings, name, name at run time, and what the functions
/// return, which is "no device" for the driver and "not initialised" for the others.
const LIBRARIES: [(&str, &str, &str, u32); 5] = [
    ("driver", "cuda", "libcuda.so.1", 100),
    ("cublas", "cublas", "libcublas.so.13", 1),
    ("cublaslt", "cublasLt", "libcublasLt.so.13", 1),
    ("curand", "curand", "libcurand.so.10", 1),
    ("nvrtc", "nvrtc", "libnvrtc.so.13", 1),
];
/// Where the program, and the libraries that it loads, look for the real ones. NVRTC opens its builtins by itself, for which
/// the newer kind of entry, RUNPATH, does not count.
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
        ("lib/libcudart.so", "libcudart.so.13"),
        ("lib/libnvvm.so", "libnvvm.so.4"),
    ];
    for (link, to) in links {
        let link = toolkit.join(link);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(to, link)?;
        }
    }
    let wrapper = toolkit.join("bin/nvcc-more");
    fs::write(&wrapper, WRAPPER)?;
    let mut mode = fs::metadata(&wrapper)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    Ok(fs::set_permissions(&wrapper, mode)?)
}

/// Libraries to link with, in `stubs`, and under the names of run time in `stubs-rt`, where the program can be started
/// without a driver.
fn stand_ins(places: &Places, lib: &Path) -> Result<()> {
    let bindings = bindings(places)?;
    let (stubs, at_run_time) = (lib.join("stubs"), lib.join("stubs-rt"));
    fs::create_dir_all(&stubs)?;
    fs::create_dir_all(&at_run_time)?;
    for (folder, name, run_time, code) in LIBRARIES {
        let declared = bindings.join("src").join(folder).join("sys/mod.rs");
        let text = fs::read_to_string(&declared)
            .with_context(|| format!("reading `{}`", declared.display()))?;
        let source = stubs.join(format!("{name}.c"));
        fs::write(&source, functions(&text, code))?;
        let library = stubs.join(format!("lib{name}.so"));
        let mut command = Command::new(settings::c_compiler());
        command
            .args(["-shared", "-fPIC", "-O1"])
            .arg(format!("-Wl,-soname,{run_time}"))
            .arg("-o")
            .args([&library, &source]);
        process::output(&mut command)?;
        fs::copy(&library, at_run_time.join(run_time))?;
    }
    Ok(())
}

/// C functions of all names that the bindings declare.
fn functions(declared: &str, code: u32) -> String {
    let mut names = BTreeSet::new();
    for rest in declared.split("fn ").skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        let of_nvidia = name.starts_with("cu") || name.starts_with("nvrtc");
        if of_nvidia && rest[name.len()..].starts_with('(') {
            names.insert(name);
        }
    }
    names.iter().fold(String::new(), |mut text, name| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "int {name}(void) {{ return {code}; }}");
        text
    })
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
    start
        .arg("--version")
        .env("LD_LIBRARY_PATH", toolkit.join("lib/stubs-rt"));
    let version = process::output(&mut start).context("starting what was built")?;
    let done = format!("built `{}`: {}", places.short(&program), version.trim());
    say.done("build cuda", &done, started.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_that_the_bindings_declare() {
        let declared = "pub unsafe fn cuInit(Flags: u32) -> CUresult {\n  type _F = unsafe extern \"C\" fn(u32);\n\
                        fn cuInit(Flags: u32);\n fn nvrtcVersion(a: *mut i32);\n fn culib() -> &'static L;\n fn load<F>(a: u8);";
        assert_eq!(
            functions(declared, 100),
            "int cuInit(void) { return 100; }\nint culib(void) { return 100; }\nint nvrtcVersion(void) { return 100; }\n"
        );
    }
}
