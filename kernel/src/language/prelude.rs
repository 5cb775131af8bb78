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
    /// Looks in `MLK8S_PRELUDE`, then beside this program.
    pub(crate) fn find() -> io::Result<Prelude> {
        let dir = match std::env::var_os("MLK8S_PRELUDE") {
            Some(dir) => PathBuf::from(dir),
            None => beside_program()?,
        };
        let library = dir.join(format!("lib{PRELUDE_CRATE}.so"));
        if !library.exists() {
            let message = format!("the prelude is not at `{}`", library.display());
            return Err(io::Error::other(message));
        }
        Ok(Prelude {
            crates: dir.join("deps"),
            library,
        })
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
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../magics/prelude"))
}

fn beside_program() -> io::Result<PathBuf> {
    let program = std::fs::canonicalize(std::env::current_exe()?)?;
    program
        .parent()
        .map(Path::to_owned)
        .ok_or_else(|| io::Error::other("this program is in no directory"))
}
