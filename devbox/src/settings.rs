//! Every environment variable that devbox reads, in one place.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Shown below `cargo devbox --help`.
pub(crate) const HELP: &str = "\
Environment:
  MLK8S_PYTHON              the Python to use, at least 3.9 (else the first that is found)
  MLK8S_CHROMIUM            the Chromium or Chrome for the browser tests
  MLK8S_STATE               where everything that is made is kept (else `.mlk8s`)
  MLK8S_VENV                where the private virtual environment is kept (else `.mlk8s/venv`)
  MLK8S_RUNS                where `batch` keeps runs (else `.mlk8s/runs`)
  MLK8S_BENCH_DATA          where the data sets of `bench` are
  MLK8S_EVCXR_JUPYTER       the evcxr_jupyter that `bench kernel` compares with (else the first that is found)
  MLK8S_BENCH_EVCXR_POLARS  when 1, `bench kernel` has it compile polars, too, which takes minutes
  CARGO_TARGET_DIR          where cargo builds, as always
  CI                        when set, a missing browser fails the tests instead of skipping them
  NO_COLOR                  when set, no colours";

/// The Python that the person asked for.
pub(crate) fn python() -> Option<OsString> {
    non_empty("MLK8S_PYTHON")
}

/// The browser that the person asked for.
pub(crate) fn chromium() -> Option<OsString> {
    non_empty("MLK8S_CHROMIUM")
}

/// The variable that names the folder in which `mlk8s-batch` keeps runs.
pub(crate) const RUNS: &str = "MLK8S_RUNS";

/// Whether the person has named that folder.
pub(crate) fn names_runs() -> bool {
    non_empty(RUNS).is_some()
}

/// Where state is kept, if not in `.mlk8s`.
pub(crate) fn state() -> Option<PathBuf> {
    non_empty("MLK8S_STATE").map(PathBuf::from)
}

/// Where the virtual environment is kept, if not below the state.
pub(crate) fn venv() -> Option<PathBuf> {
    non_empty("MLK8S_VENV").map(PathBuf::from)
}

/// Whether this is a machine that tests for others.
pub(crate) fn ci() -> bool {
    non_empty("CI").is_some_and(|value| value != "false")
}

/// Whether colours are unwanted.
pub(crate) fn no_color() -> bool {
    non_empty("NO_COLOR").is_some()
}

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo() -> OsString {
    non_empty("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where cargo keeps the sources of crates, if not in the home.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    non_empty("CARGO_HOME").map(PathBuf::from)
}

/// The C compiler that the person asked for.
pub(crate) fn c_compiler() -> OsString {
    non_empty("CC").unwrap_or_else(|| "cc".into())
}

/// The folder of the crate that cargo is running: ours, when started by `cargo devbox`.
pub(crate) fn running_crate() -> Option<PathBuf> {
    non_empty("CARGO_MANIFEST_DIR").map(PathBuf::from)
}

/// The search path for programs.
pub(crate) fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// The search paths for shared libraries, by variable, as far as they are set.
pub(crate) fn library_paths() -> Vec<(&'static str, OsString)> {
    ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"]
        .into_iter()
        .filter_map(|name| Some((name, non_empty(name)?)))
        .collect()
}

/// What `cargo run` tells the program it starts, and a program of ours must not pass on.
pub(crate) fn told_by_cargo_run() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|told| name.starts_with(told))
            || name == "CARGO_PRIMARY_PACKAGE"
    })
}

/// The certificates that this machine trusts, where they are not the usual ones.
pub(crate) fn certificates() -> Option<PathBuf> {
    non_empty("SSL_CERT_FILE")
        .map(PathBuf::from)
        .filter(|path| path.is_file())
}

fn non_empty(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
