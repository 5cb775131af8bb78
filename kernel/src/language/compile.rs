//! A crate's text → a shared library, with one call of rustc that also tells the types of variables.
//!
//! `--emit=mir` prints the body of every function with the types that rustc inferred; the calls of `put` in it carry
//! the type of each variable, as paths that a cell can write (`-Ztrim-diagnostic-paths=no` keeps them whole). That
//! option is unstable; `RUSTC_BOOTSTRAP` lets a stable compiler take it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::dependencies::Dependencies;
use super::diagnostic::Diagnostic;
use super::prelude::Prelude;
use super::running::Running;

/// What came of a compilation.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The library, if there was no error.
    pub(super) library: Option<PathBuf>,
    /// The type of each variable that is kept.
    pub(super) kinds: BTreeMap<String, String>,
    /// What rustc said outside of its reports.
    pub(super) words: String,
}

/// What is compiled with.
#[derive(Debug)]
pub(super) struct Compiler {
    pub(super) rustc: PathBuf,
    pub(super) prelude: Prelude,
    /// Where crates are written and libraries made.
    pub(super) dir: PathBuf,
}

impl Compiler {
    /// Compiles `text` as cell `number`; nothing comes of it when the cell is to stop.
    pub(super) fn compile(
        &self,
        number: usize,
        text: &str,
        level: &str,
        dependencies: &Dependencies,
        running: &Running,
    ) -> io::Result<Compiled> {
        std::fs::write(self.dir.join(file_name(number)), text)?;
        let mut rustc = self.command(number);
        rustc.arg(format!("-Copt-level={level}"));
        dependencies.lend(&mut rustc);
        rustc
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut compiled = Compiled::default();
        let Some(mut process) = running.spawn(&mut rustc)? else {
            return Ok(compiled);
        };
        if let Some(reports) = process.stderr.take() {
            for line in BufReader::new(reports).lines().map_while(Result::ok) {
                match Diagnostic::read(&line) {
                    Some(diagnostic) => compiled.diagnostics.push(diagnostic),
                    None => compiled.words.push_str(&(line + "\n")),
                }
            }
        }
        if running.wait(&mut process)?.success() {
            compiled.library = Some(self.dir.join(format!("libmlk8s_cell_{number}.so")));
            let mir = self.dir.join(format!("mlk8s_cell_{number}.mir"));
            compiled.kinds = kinds(&std::fs::read_to_string(&mir)?);
            // Only its types were wanted.
            let _ = std::fs::remove_file(mir);
        }
        Ok(compiled)
    }

    fn command(&self, number: usize) -> Command {
        let mut rustc = Command::new(&self.rustc);
        rustc
            .current_dir(&self.dir)
            .env("RUSTC_BOOTSTRAP", "1")
            // One name for the crate of every cell: a type that is compiled again stays the same type.
            .args([
                "--crate-name",
                "cell",
                "--edition=2024",
                "--crate-type=cdylib",
            ])
            .args(["--error-format=json", "--json=diagnostic-rendered-ansi"])
            .args([
                "-Ztrim-diagnostic-paths=no",
                "-Cprefer-dynamic",
                "-Cstrip=debuginfo",
            ])
            .args([
                "-Cdebug-assertions=on",
                "-Coverflow-checks=on",
                "-Ccodegen-units=4",
            ])
            .arg(format!(
                "--emit=link=libmlk8s_cell_{number}.so,mir=mlk8s_cell_{number}.mir"
            ))
            .arg(file_name(number));
        self.prelude.lend(&mut rustc);
        rustc
    }
}

/// The name of the file of cell `number`, as reports name it.
pub(super) fn file_name(number: usize) -> String {
    format!("cell_{number}.rs")
}

/// The types in calls of `put`: `put::<TYPE>(const "NAME", …)`.
fn kinds(mir: &str) -> BTreeMap<String, String> {
    let mut kinds = BTreeMap::new();
    for line in mir.lines() {
        let Some((_, call)) = line.split_once("cells::put::<") else {
            continue;
        };
        let Some(end) = call.find(">(const \"") else {
            continue;
        };
        let name = call[end + ">(const \"".len()..]
            .split('"')
            .next()
            .unwrap_or_default();
        kinds.insert(name.to_owned(), call[..end].to_owned());
    }
    kinds
}

/// Whether a cell can write `kind`: closures and the like have no name.
pub(super) fn has_name(kind: &str) -> bool {
    !kind.contains('{') && !kind.contains("impl ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_from_calls() {
        let mir = r#"
        _7 = mlk8s_prelude::cells::put::<std::vec::Vec<i32>>(const "v", move _8) -> [return: bb1, unwind: bb2];
        _9 = mlk8s_prelude::cells::put::<&str>(const "s", const "a>(const \"b") -> [return: bb1, unwind: bb2];
        _3 = mlk8s_prelude::cells::put::<{closure@cell_1.rs:3:9: 3:12}>(const "f", copy _1) -> [return: bb1];"#;
        let kinds = kinds(mir);
        assert_eq!(kinds["v"], "std::vec::Vec<i32>");
        assert_eq!(kinds["s"], "&str");
        assert!(has_name(&kinds["v"]) && !has_name(&kinds["f"]));
    }
}
