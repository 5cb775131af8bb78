//! Notes by which Rust the kernel was built: the prelude was built by the same, and cells can be compiled by no other.

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    let version = ask(&["--version"]);
    let libraries = ask(&["--print", "target-libdir", "--target", &target]);
    let (Some(version), Some(libraries)) = (version, libraries) else {
        println!("cargo::error=the compiler does not say what it is");
        return ExitCode::FAILURE;
    };
    println!("cargo::rustc-env=MLK8S_BUILT_BY={version}");
    let library = standard_library(Path::new(&libraries)).unwrap_or_default();
    println!("cargo::rustc-env=MLK8S_STANDARD_LIBRARY={library}");
    ExitCode::SUCCESS
}

/// What the compiler that cargo uses answers.
fn ask(arguments: &[&str]) -> Option<String> {
    let rustc = std::env::var_os("RUSTC")?;
    let told = Command::new(rustc).args(arguments).output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The name of the shared standard library, whose hash is another for each version of Rust.
fn standard_library(libraries: &Path) -> Option<String> {
    let entries = std::fs::read_dir(libraries).ok()?;
    let paths = entries.flatten().map(|entry| entry.path());
    let shared = paths.filter(|path| path.extension().is_some_and(|end| end == "so"));
    let mut names = shared.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    names.find(|name| name.starts_with("libstd-"))
}
