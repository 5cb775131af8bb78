//! The Rust that cells are compiled with.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What built this program, and the prelude with it.
const BUILT_BY: &str = env!("MLK8S_BUILT_BY");
/// The shared standard library of that Rust; empty where it has none.
const STANDARD_LIBRARY: &str = env!("MLK8S_STANDARD_LIBRARY");

/// A compiler, called directly: the one that `rustc` on the path stands for.
#[derive(Debug, Clone)]
pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    /// Where the shared standard library is.
    libraries: PathBuf,
}

impl Toolchain {
    /// Looks where the compiler is. A `rustc` of rustup is only a door to it, which costs time at each call.
    pub(super) fn find() -> io::Result<Toolchain> {
        let door = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let asked = Command::new(&door)
            // A `rust-toolchain.toml` beside the notebook names another Rust than the prelude's.
            .current_dir("/")
            .args(["--print", "sysroot", "--print", "target-libdir"])
            .output()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    io::Error::other(format!("there is no `{}` on the path", door.display()))
                }
                _ => error,
            })?;
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let mut lines = text.lines();
        let (Some(root), Some(libraries)) = (lines.next(), lines.next()) else {
            return Err(io::Error::other(format!(
                "`{}` does not say where it is",
                door.display()
            )));
        };
        let own = Path::new(root).join("bin/rustc");
        let toolchain = Toolchain {
            rustc: if own.exists() { own } else { door.into() },
            libraries: PathBuf::from(libraries),
        };
        toolchain.check()
    }

    /// Refuses a Rust that did not build the prelude: cells would fail with words that help nobody. The standard library has
    /// another name in each version, so that no compiler needs to be called for it.
    fn check(self) -> io::Result<Toolchain> {
        if self.libraries.join(STANDARD_LIBRARY).exists() {
            return Ok(self);
        }
        let told = Command::new(&self.rustc).arg("--version").output();
        let version = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
        let number = BUILT_BY.split(' ').nth(1).unwrap_or("stable");
        Err(io::Error::other(format!(
            "`{}` is {}, and this kernel was built by {BUILT_BY}; `rustup toolchain install {number}` and `RUSTC` in the \
             environment of Jupyter bring that one (`RUSTC=$(rustup which rustc --toolchain {number})`)",
            self.rustc.display(),
            version.as_deref().unwrap_or("another Rust"),
        )))
    }

    /// The loader's path, with `prelude` and the standard library first.
    pub(super) fn library_path(&self, prelude: &Path) -> OsString {
        let old = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let all = [prelude.to_owned(), self.libraries.clone()]
            .into_iter()
            .chain(std::env::split_paths(&old));
        // A directory with a colon in its name cannot be on a path.
        std::env::join_paths(all).unwrap_or_else(|_| self.libraries.clone().into())
    }
}
