//! Where things are.

use std::path::{Path, PathBuf};

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source of our own below `folder`, sorted.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The folders that hold our own crates.
pub(crate) const CRATES: [&str; 20] = [
    "kernel",
    "magics/corpus",
    "magics/openie",
    "magics/values",
    "magics/graph",
    "magics/llm",
    "magics/clustering",
    "magics/lanes",
    "magics/card",
    "magics/engine",
    "magics/search",
    "magics/models",
    "magics/generate",
    "magics/worker",
    "magics/cluster",
    "magics/catalog",
    "magics/prelude",
    "magics/cells",
    "devbox",
    "tests",
];
