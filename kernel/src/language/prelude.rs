//! Where the prelude is: the dylib that was built with this kernel, the crates it holds, and its source.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate as cargo names it.
pub(crate) const PRELUDE_PACKAGE: &str = "mlk8s-prelude";
/// The crate as Rust code names it.
pub(crate) const PRELUDE_CRATE: &str = "mlk8s_prelude";
/// Crates that the prelude holds; a `:dep` of one of them is answered with the prelude's copy, because a second
/// copy would make types that look the same and are not.
pub(crate) const HELD: [&str; 4] = ["polars", "petgraph", "plotly", "serde_json"];

/// The dylib, and the directory of its crates' metadata.
#[derive(Debug)]
pub(crate) struct Prelude {
    library: PathBuf,
    crates: PathBuf,
}

impl Prelude {
    /// Looks in `MLK8S_PRELUDE`, else beside this program, then where cargo builds in the checkout that it came from:
    /// `cargo install` takes programs away from there, and no libraries.
    pub(crate) fn find() -> io::Result<Prelude> {
        if let Some(dir) = std::env::var_os("MLK8S_PRELUDE") {
            return Prelude::find_in(&[dir.into()]);
        }
        let built = |profile| checkout().join("target").join(profile);
        Prelude::find_in(&[beside_program()?, built("debug"), built("release")])
    }

    fn find_in(dirs: &[PathBuf]) -> io::Result<Prelude> {
        let name = format!("lib{PRELUDE_CRATE}.so");
        if let Some(dir) = dirs.iter().find(|dir| dir.join(&name).exists()) {
            return Ok(Prelude {
                crates: dir.join("deps"),
                library: dir.join(name),
            });
        }
        let dirs: Vec<String> = dirs
            .iter()
            .map(|dir| format!("`{}`", dir.display()))
            .collect();
        let message = format!("the prelude `{name}` is not in {}", dirs.join(", "));
        Err(io::Error::other(message))
    }

    /// The directory that the dynamic loader must know.
    pub(crate) fn dir(&self) -> &Path {
        self.library.parent().unwrap_or(&self.library)
    }

    /// Gives a call of rustc the prelude.
    pub(crate) fn lend(&self, rustc: &mut Command) {
        rustc
            .arg("--extern")
            .arg(format!("{PRELUDE_CRATE}={}", self.library.display()))
            .arg("-L")
            .arg(format!("dependency={}", self.crates.display()));
    }
}

/// Where the product is installed this lies in [`source_dir`]: what cargo would say of the crates there.
pub(crate) const SHIPPED: &str = "rust-project.json";

/// The source of the prelude, for rust-analyzer: `MLK8S_PRELUDE_SOURCE`, else `source` beside this program where the
/// product is installed, else where this kernel was built.
pub(crate) fn source_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("MLK8S_PRELUDE_SOURCE") {
        return PathBuf::from(dir);
    }
    let shipped = beside_program().map(|dir| dir.join("source"));
    shipped
        .ok()
        .filter(|dir| dir.join(SHIPPED).is_file())
        .unwrap_or_else(|| checkout().join("magics/prelude"))
}

/// The checkout that this program was built in; on other machines it is not there.
fn checkout() -> &'static Path {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR"));
    kernel.parent().unwrap_or(kernel)
}

fn beside_program() -> io::Result<PathBuf> {
    let program = std::fs::canonicalize(std::env::current_exe()?)?;
    program
        .parent()
        .map(Path::to_owned)
        .ok_or_else(|| io::Error::other("this program is in no directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_it_is_taken() {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let dirs = folders.each_ref().map(|folder| folder.path().to_owned());
        let said = Prelude::find_in(&dirs).unwrap_err().to_string();
        assert!(said.starts_with("the prelude `libmlk8s_prelude.so` is not in `"));
        assert!(
            dirs.iter()
                .all(|dir| said.contains(&dir.display().to_string()))
        );
        for dir in &dirs[1..] {
            std::fs::write(dir.join("libmlk8s_prelude.so"), "").unwrap();
        }
        let prelude = Prelude::find_in(&dirs).unwrap();
        assert_eq!(prelude.dir(), dirs[1]);
        assert_eq!(prelude.crates, dirs[1].join("deps"));
    }
}
