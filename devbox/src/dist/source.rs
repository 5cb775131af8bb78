//! The source of the prelude's crates, for completion: only what rust-analyzer reads, and a `rust-project.json` in place
//! of cargo, which would want a registry.
//!
//! See <https://rust-analyzer.github.io/book/non_cargo_based_projects.html>. Paths in the file are relative to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::crates::Crates;

/// The file; the kernel knows by it that completion needs no cargo.
const PROJECT: &str = "rust-project.json";
/// The crate that cells depend on.
const PRELUDE: &str = "mlk8s-prelude";

/// Writes the sources and the project into `dir`; says how many crates they are. The prelude is the last of them.
pub(super) fn write(crates: &Crates, dir: &Path) -> Result<usize> {
    fs::create_dir_all(dir)?;
    let mut found: Vec<(&Value, &Value)> = Vec::new();
    for package in crates.linked_into(PRELUDE) {
        // What is expanded at compile time has no names that a cell could type.
        found.extend(library(package).map(|library| (package, library)));
    }
    // The kernel appends the crate of the cell, which depends on the last one.
    found.sort_by_key(|(package, _)| package["name"] == PRELUDE);
    let numbers: BTreeMap<&str, usize> = found
        .iter()
        .enumerate()
        .filter_map(|(number, (package, _))| Some((package["id"].as_str()?, number)))
        .collect();
    let mut listed = Vec::new();
    for (package, library) in &found {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let folder = format!("{}-{}", word(&package["name"]), word(&package["version"]));
        let root = word(&library["src_path"]);
        let manifest = word(&package["manifest_path"]);
        let home = Path::new(&manifest)
            .parent()
            .context("a crate without a folder")?;
        let root = Path::new(&root)
            .strip_prefix(home)
            .context("a crate outside of its folder")?;
        let sources = root.parent().unwrap_or(root);
        copy(&home.join(sources), &dir.join(&folder).join(sources))?;
        let node = crates.node(&word(&package["id"]));
        let list = |name: &str| node[name].as_array().map_or(&[][..], Vec::as_slice);
        let deps: Vec<Value> = list("deps")
            .iter()
            .filter_map(|dep| {
                Some(json!({ "crate": numbers.get(dep["pkg"].as_str()?)?, "name": dep["name"] }))
            })
            .collect();
        let features = list("features").iter().filter_map(Value::as_str);
        listed.push(json!({
            "display_name": library["name"],
            "version": package["version"],
            "edition": library["edition"],
            "root_module": Path::new(&folder).join(root),
            "deps": deps,
            "cfg": features.map(|feature| format!("feature=\"{feature}\"")).collect::<Vec<_>>(),
            "is_workspace_member": false,
        }));
    }
    let n_crates = listed.len();
    fs::write(dir.join(PROJECT), json!({ "crates": listed }).to_string())
        .context("writing the project")?;
    Ok(n_crates)
}

/// The library of a package, if code can be linked with it.
fn library(package: &Value) -> Option<&Value> {
    let kinds = ["lib", "rlib", "dylib"];
    let linked = |target: &&Value| {
        target["kind"][0]
            .as_str()
            .is_some_and(|kind| kinds.contains(&kind))
    };
    package["targets"].as_array()?.iter().find(linked)
}

/// Copies the Rust files below `from`.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in from
        .read_dir()
        .with_context(|| format!("reading `{}`", from.display()))?
    {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            fs::create_dir_all(to)?;
            fs::copy(&path, &target).with_context(|| format!("copying `{}`", path.display()))?;
        }
    }
    Ok(())
}
