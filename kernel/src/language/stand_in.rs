//! Stands in for `cargo` and `rustup` while evcxr compiles cells: rustc is called directly against the prelude.
//!
//! evcxr runs `cargo build` for each cell. Cargo would compile polars a second time in evcxr's own directory, and
//! costs 50–150 ms to find out that nothing changed. When a cell uses the prelude only, the stand-in calls rustc
//! with the prelude that was built with this kernel and reports in cargo's format; with other dependencies it calls
//! the real cargo and lends it the prelude.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};

use super::prelude::{PRELUDE_PACKAGE, Prelude};

/// The programs that this binary stands in for, by the name it is called with.
pub(crate) const NAMES: [&str; 2] = ["cargo", "rustup"];

/// Runs as a stand-in when this program was called by one of [`NAMES`].
pub(crate) fn hook() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let called = PathBuf::from(words.next()?);
    let name = called.file_name()?.to_str()?.to_owned();
    let arguments: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let done = match name.as_str() {
        "cargo" => cargo(&arguments),
        "rustup" => rustup(&called, &arguments),
        _ => return None,
    };
    Some(done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: cannot compile the cell: {error}");
        ExitCode::FAILURE
    }))
}

/// `rustup which cargo` names us; everything else is the real rustup's business.
fn rustup(called: &Path, arguments: &[String]) -> io::Result<ExitCode> {
    if arguments == ["which", "cargo"] {
        let own = beside(called, "cargo")?;
        writeln!(io::stdout(), "{}", own.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Command::new(next_on_path("rustup")?).args(arguments).exec())
}

fn cargo(arguments: &[String]) -> io::Result<ExitCode> {
    let verb = arguments.iter().find(|word| !word.starts_with('-'));
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap_or_default();
    let wants = Wanted::read(&manifest);
    match verb.map(String::as_str) {
        Some("build" | "check") if wants.only_prelude => {
            compile(verb.is_some_and(|v| v == "build"), &wants)
        }
        Some("build" | "check") if wants.prelude => with_dependencies(arguments, &manifest),
        Some("metadata") if wants.validates_prelude => Ok(ExitCode::SUCCESS),
        _ => Err(Command::new(real_cargo()?).args(arguments).exec()),
    }
}

/// What the manifest of the cell's crate asks for.
struct Wanted {
    /// The prelude is among the dependencies.
    prelude: bool,
    /// Nothing else is: rustc can be called directly.
    only_prelude: bool,
    /// evcxr only asks whether the prelude exists.
    validates_prelude: bool,
    /// Optimisation level of the cell.
    opt_level: String,
}

impl Wanted {
    fn read(manifest: &str) -> Wanted {
        let (package, dependencies) = manifest
            .split_once("[dependencies]")
            .unwrap_or((manifest, ""));
        let lines: Vec<&str> = dependencies
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let prelude = lines.iter().any(|line| is_prelude(line));
        let opt_level = package
            .lines()
            .find_map(|line| line.trim().strip_prefix("opt-level = "))
            .unwrap_or("1");
        Wanted {
            prelude,
            only_prelude: lines.iter().all(|line| is_prelude(line)),
            validates_prelude: prelude && package.contains("evcxr_dummy_validate_dep"),
            opt_level: opt_level.trim_matches('"').to_owned(),
        }
    }
}

fn is_prelude(line: &str) -> bool {
    line.split('=')
        .next()
        .is_some_and(|name| name.trim() == PRELUDE_PACKAGE)
}

/// Compiles the cell with one call of rustc and reports as cargo does.
fn compile(link: bool, wants: &Wanted) -> io::Result<ExitCode> {
    let out = PathBuf::from("target/cells");
    std::fs::create_dir_all(&out)?;
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args([
            "--crate-name",
            "ctx",
            "--edition=2024",
            "src/lib.rs",
            "--crate-type",
            "cdylib",
        ])
        .args(["--error-format=json", "--json=diagnostic-rendered-ansi"])
        .arg(if link {
            "--emit=link"
        } else {
            "--emit=metadata"
        })
        .arg(format!("-Copt-level={}", wants.opt_level))
        .args([
            "-Cprefer-dynamic",
            "-Cdebug-assertions=on",
            "-Coverflow-checks=on",
            "-Cstrip=debuginfo",
        ])
        .arg("-Ccodegen-units=4")
        .arg("--out-dir")
        .arg(&out);
    if wants.prelude {
        Prelude::find()?.lend(&mut rustc);
    }
    let mut running = rustc.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(reports) = running.stderr.take() {
        relay(BufReader::new(reports))?;
    }
    if !running.wait()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let made = std::env::current_dir()?.join(out).join("libctx.so");
    let artifact = json!({
        "reason": "compiler-artifact", "target": {"name": "ctx"}, "filenames": [made],
    });
    writeln!(io::stdout(), "{artifact}")?;
    Ok(ExitCode::SUCCESS)
}

/// Wraps rustc's diagnostics as cargo does; anything else goes to stderr as it is.
fn relay(reports: impl BufRead) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for line in reports.lines() {
        let line = line?;
        match serde_json::from_str::<Value>(&line) {
            Ok(message) if message.is_object() => {
                let wrapped = json!({"reason": "compiler-message", "message": message});
                writeln!(stdout, "{wrapped}")?;
            }
            _ => writeln!(io::stderr(), "{line}")?,
        }
    }
    Ok(())
}

/// Compiles a cell that has dependencies of its own: cargo builds those, the prelude is lent to it as it is.
fn with_dependencies(arguments: &[String], manifest: &str) -> io::Result<ExitCode> {
    let here = std::env::current_dir()?;
    let project = here.join("with-dependencies");
    std::fs::create_dir_all(&project)?;
    let own: Vec<&str> = manifest.lines().filter(|line| !is_prelude(line)).collect();
    let own = own
        .join("\n")
        .replace("path = \"src/lib.rs\"", "path = \"../src/lib.rs\"");
    let target = project.join("Cargo.toml");
    // Cargo looks at the time stamp: an unchanged manifest must stay untouched.
    if std::fs::read_to_string(&target).ok().as_deref() != Some(own.as_str()) {
        std::fs::write(&target, &own)?;
    }
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} {}", Prelude::find()?.flags());
    let error = Command::new(real_cargo()?)
        .args(arguments)
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", here.join("target"))
        .env("CARGO_BUILD_BUILD_DIR", here.join("target"))
        .env("RUSTFLAGS", flags.trim())
        .exec();
    Err(error)
}

/// The cargo of the toolchain whose rustc evcxr uses, or the next one on the path.
fn real_cargo() -> io::Result<PathBuf> {
    if let Some(rustc) = std::env::var_os("RUSTC") {
        let sibling = Path::new(&rustc).with_file_name("cargo");
        if sibling.exists() {
            return Ok(sibling);
        }
    }
    next_on_path("cargo")
}

/// The program `name` on the path, leaving out this very program.
fn next_on_path(name: &str) -> io::Result<PathBuf> {
    let own = std::fs::canonicalize(std::env::current_exe()?)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|found| std::fs::canonicalize(found).is_ok_and(|real| real != own))
        .ok_or_else(|| io::Error::other(format!("`{name}` is not on the path")))
}

fn beside(called: &Path, name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dir = match called.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => dir.to_owned(),
        None => std::env::split_paths(&path)
            .find(|dir| dir.join(called).exists())
            .ok_or_else(|| io::Error::other("the stand-in does not know where it is"))?,
    };
    Ok(dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_with_the_prelude_only_needs_no_cargo() {
        let manifest = "[package]\nname = \"ctx\"\n[profile.dev]\nopt-level = 1\n[dependencies]\n\
                        mlk8s-prelude = { path = \"/p\" }\n";
        let wants = Wanted::read(manifest);
        assert!(wants.prelude && wants.only_prelude && !wants.validates_prelude);
        assert_eq!(wants.opt_level, "1");
        let more = Wanted::read(&format!("{manifest}\nregex = \"1\"\n"));
        assert!(more.prelude && !more.only_prelude);
        let none = Wanted::read("[package]\nname = \"ctx\"\n[dependencies]\n");
        assert!(!none.prelude && none.only_prelude);
    }
}
