//! `cargo devbox dist`: one folder that is the whole product. It can be copied anywhere; images and the wheel carry it.
//!
//! Beside the programs lies what a Rust cell is compiled against: the prelude, the metadata of every crate in it (rustc
//! reads `.rmeta` files where the code itself is in the dylib) and the procedural macros that the metadata names. That
//! set is what rustc itself lists for the prelude, so nothing of cargo's folder comes along that is not needed.

mod crates;
mod homes;
mod licences;
mod material;
mod source;
mod wheel;
mod wheels;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::{compile, doctor, process, python};

/// The programs of the product; those at the end are there when they were built.
const PROGRAMS: [&str; 3] = ["mlk8s-kernel", "mlk8s-cells", "mlk8s-worker"];
const MORE_PROGRAMS: [&str; 2] = ["mlk8s-cluster", WORKER_CUDA];
/// The program that runs models on GPUs.
const WORKER_CUDA: &str = "mlk8s-worker-cuda";
/// What the image for GPUs has of NVIDIA's packages.
const NVIDIA: &str = "images/notebook-cuda/requirements.txt";
const PRELUDE: &str = "libmlk8s_prelude.so";
/// Papers of our own that go along.
const PAPERS: [&str; 4] = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "NOTICE"];
/// The version of the product; images seed a home once for each.
const VERSION: &str = "VERSION";

/// A cell that makes rustc read the metadata of polars.
const PROOF: &str = "use mlk8s_prelude::cell::*;\npub fn n() -> usize { df![\"a\" => [1]].map_or(0, |frame| frame.height()) }\n";

/// Arguments of `dist`.
#[derive(clap::Args)]
pub(crate) struct Dist {
    /// The folder to make; one that an earlier `dist` made is replaced
    dir: PathBuf,
    /// Pack it as a wheel for pip, too, which is put into this folder
    #[arg(long, value_name = "DIR")]
    wheel: Option<PathBuf>,
    /// Take what is built as it is
    #[arg(long)]
    no_build: bool,
}

impl Dist {
    /// Builds the programs and makes the folder.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        if !self.no_build {
            doctor::check(places, say)?;
            compile::programs(places, say)?;
        }
        let dir = std::path::absolute(&self.dir)?;
        make(places, say, &dir)?;
        if let Some(wheels) = &self.wheel {
            wheel::make(places, say, &dir, &std::path::absolute(wheels)?)?;
        }
        Ok(())
    }
}

/// Makes the folder `dir` of what is built.
pub(crate) fn make(places: &Places, say: &mut Say, dir: &Path) -> Result<()> {
    let started = Instant::now();
    clear(dir)?;
    fs::create_dir_all(dir.join("deps")).with_context(|| format!("making `{}`", dir.display()))?;
    fs::write(dir.join(VERSION), concat!(env!("CARGO_PKG_VERSION"), "\n"))?;
    for name in PROGRAMS.into_iter().chain([PRELUDE]) {
        strip(&places.built(name), &dir.join(name))?;
    }
    let more = MORE_PROGRAMS
        .into_iter()
        .filter(|name| places.built(name).exists());
    for name in more {
        strip(&places.built(name), &dir.join(name))?;
    }
    let n_crates = metadata(places, dir)?;
    for name in PAPERS {
        fs::copy(places.root.join(name), dir.join(name))
            .with_context(|| format!("copying `{name}`"))?;
    }
    let crates = crates::Crates::read(places, &[])?;
    papers(places, &crates, dir)?;
    source::write(&crates, &dir.join("source"))?;
    homes::Homes::here(places)?.hide(dir)?;
    // What was changed is what has to fit together.
    prove(dir)?;
    let (bytes, floor) = (size(dir)?, glibc_floor(dir)?);
    say.done(
        "dist",
        &format!(
            "made `{}`: {} MiB, {n_crates} crates for cells; needs glibc {floor} or newer and the same rustc",
            places.short(dir),
            bytes >> 20
        ),
        started.elapsed(),
    );
    Ok(())
}

/// Writes the licences of all crates, and what each image has in it.
fn papers(places: &Places, crates: &crates::Crates, dir: &Path) -> Result<()> {
    let ours = crates.needed_by(&[
        "mlk8s-kernel",
        "mlk8s-cells",
        "mlk8s-worker",
        "mlk8s-cluster",
    ]);
    // Its crates are asked for only where it is: cargo would fetch them.
    let with_cuda = if dir.join(WORKER_CUDA).exists() {
        Some(crates::Crates::read(places, &["mlk8s-worker/cuda"])?)
    } else {
        None
    };
    let of_cuda = with_cuda
        .as_ref()
        .map(|all| all.needed_by(&["mlk8s-worker"]));
    let all = crates::union(&ours, &of_cuda.unwrap_or_default());
    licences::write(&all, &dir.join("licences"))?;
    let worker = crates.needed_by(&["mlk8s-worker"]);
    let (jupyter, nvidia) = (python::JUPYTER.path, NVIDIA);
    let bills: [(&str, &[&serde_json::Value], &[&str]); 3] = [
        ("sbom.cdx.json", &ours, &[jupyter]),
        ("sbom-cuda.cdx.json", &all, &[jupyter, nvidia]),
        ("sbom-worker.cdx.json", &worker, &[]),
    ];
    for (name, packages, locks) in bills {
        material::write(places, packages, locks, &dir.join(name))?;
    }
    Ok(())
}

/// Removes what an earlier `dist` made, and nothing else.
fn clear(dir: &Path) -> Result<()> {
    let Ok(mut entries) = dir.read_dir() else {
        return Ok(());
    };
    if entries.next().is_some() && !(dir.join(VERSION).is_file() && dir.join(PRELUDE).is_file()) {
        return Err(Advice::error(
            format!("`{}` holds things that `dist` has not made", dir.display()),
            "name another folder, or remove that one yourself",
        ));
    }
    fs::remove_dir_all(dir).with_context(|| format!("removing `{}`", dir.display()))
}

/// Copies a program or a library without the names that only debuggers read.
fn strip(from: &Path, to: &Path) -> Result<()> {
    process::output(Command::new("strip").arg("--strip-unneeded").arg("-o").args([to, from])).map_err(|error| {
        Advice::error(
            format!("{error:#}"),
            "`strip` comes with the C compiler, as binutils; `cargo build` makes what is to be stripped",
        )
    })?;
    Ok(())
}

/// Copies the metadata and the procedural macros that cells need; says how many crates they are.
fn metadata(places: &Places, dir: &Path) -> Result<usize> {
    let listed = process::output(
        process::clean_command("rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zls=root")
            .arg(dir.join(PRELUDE)),
    )
    .context("asking rustc which crates the prelude holds")?;
    let deps = places.target.join("debug/deps");
    let mut n_crates = 0;
    for name in crate_names(&listed) {
        let (meta, proc_macro) = (format!("lib{name}.rmeta"), format!("lib{name}.so"));
        if deps.join(&meta).is_file() {
            fs::copy(deps.join(&meta), dir.join("deps").join(&meta))?;
        } else if deps.join(&proc_macro).is_file() {
            strip(&deps.join(&proc_macro), &dir.join("deps").join(&proc_macro))?;
        } else {
            // One of the standard library, which comes with the compiler.
            continue;
        }
        n_crates += 1;
    }
    Ok(n_crates)
}

/// The names, with the hash that is in their files' names, that `rustc -Zls=root` lists: `20 serde_json-c404107fe656646f
/// hash … linkage …`.
fn crate_names(listed: &str) -> Vec<&str> {
    let lines = listed.lines().filter_map(|line| {
        let (number, rest) = line.split_once(' ')?;
        number.parse::<usize>().ok()?;
        rest.split_once(" hash ").map(|(name, _)| name)
    });
    lines.collect()
}

/// Compiles a cell against what is in `dir`, and starts the program that would run it: all parts must be of one build.
fn prove(dir: &Path) -> Result<()> {
    let broken = |why: String| {
        Advice::error(
            format!("what is built does not fit together: {why}"),
            "another cargo may be building; repeat the command without `--no-build`",
        )
    };
    let cell = dir.join("cell.rs");
    fs::write(&cell, PROOF)?;
    let mut rustc = process::clean_command("rustc");
    rustc.args([
        "--edition=2024",
        "--crate-type=cdylib",
        "-Cprefer-dynamic",
        "--crate-name=cell",
    ]);
    rustc
        .arg("--extern")
        .arg(format!("mlk8s_prelude={}", dir.join(PRELUDE).display()));
    rustc
        .arg("-L")
        .arg(format!("dependency={}", dir.join("deps").display()));
    let library = dir.join("libcell.so");
    let compiled = process::output(rustc.arg("-o").arg(&library).arg(&cell));
    for file in [&cell, &library] {
        // The library is there only if all went well.
        let _ = fs::remove_file(file);
    }
    compiled.map_err(|error| broken(format!("{error:#}")))?;
    let libraries =
        process::output(process::clean_command("rustc").args(["--print", "target-libdir"]))?;
    let path = std::env::join_paths([dir, Path::new(libraries.trim())])?;
    let said = process::clean_command(dir.join("mlk8s-cells"))
        .env("LD_LIBRARY_PATH", path)
        .output()?;
    // It ends without a kernel; 127 is the loader's word for a library that is not the right one.
    if said.status.code() == Some(127) {
        return Err(broken(
            String::from_utf8_lossy(&said.stderr).trim().to_owned(),
        ));
    }
    Ok(())
}

/// Bytes of all files below `dir`.
fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in dir.read_dir()? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// The oldest glibc that the programs run with, as `objdump` tells of the symbols that they ask for.
fn glibc_floor(dir: &Path) -> Result<String> {
    let mut command = Command::new("objdump");
    command.arg("-T").args(
        PROGRAMS
            .into_iter()
            .chain([PRELUDE])
            .map(|name| dir.join(name)),
    );
    let symbols = process::output(&mut command).context("looking for the oldest glibc")?;
    let (major, minor) = newest_glibc(&symbols).context("the programs ask for no glibc")?;
    Ok(format!("{major}.{minor}"))
}

fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let mut parts = rest[..end].split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_from_the_list_of_rustc() {
        let listed = "Crate info:\nname mlk8s_prelude\nhash 8289 stable_crate_id 1\n=External Dependencies=\n\
                      1 std-d1237ef7159db0a2 hash 34dc host_hash None kind Unconditional public linkage None\n\
                      20 serde_json-c404107fe656646f hash 9416 host_hash None kind Unconditional\n";
        assert_eq!(
            crate_names(listed),
            ["std-d1237ef7159db0a2", "serde_json-c404107fe656646f"]
        );
    }

    #[test]
    fn the_newest_version_of_a_symbol_is_the_floor() {
        let symbols = "0 DF *UND* 0 (GLIBC_2.9) fstat\n0 DF *UND* 0 (GLIBC_2.34) dlsym\n0 DF *UND* 0 (GLIBC_2.2.5) read\n\
                       0 DF *UND* 0 (GLIBC_PRIVATE) x\n";
        assert_eq!(newest_glibc(symbols), Some((2, 34)));
        assert_eq!(newest_glibc("no symbols"), None);
    }

    #[test]
    fn no_folder_is_replaced_that_dist_has_not_made() {
        let dir = std::env::temp_dir().join(format!("mlk8s-dist-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        assert!(clear(&dir).is_ok());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("thesis.txt"), "years of work").unwrap();
        assert!(clear(&dir).is_err() && dir.join("thesis.txt").exists());
        fs::write(dir.join(VERSION), "0").unwrap();
        fs::write(dir.join(PRELUDE), "").unwrap();
        assert!(clear(&dir).is_ok() && !dir.exists());
    }
}
