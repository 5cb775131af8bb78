//! The crates that a program is made of, as cargo resolves them for this machine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::places::Places;
use crate::{process, settings};

/// The answer of `cargo metadata`.
pub(super) struct Crates {
    metadata: Value,
}

impl Crates {
    /// Asks cargo, for the system that it builds for, with `features` beside the usual ones, each as `PACKAGE/FEATURE`.
    pub(super) fn read(places: &Places, features: &[&str]) -> Result<Crates> {
        let version = process::output(process::clean_command("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("`rustc -vV` names no host")?;
        let mut command = process::clean_command(settings::cargo());
        command.current_dir(&places.root).args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            host,
            "--features",
            &features.join(","),
        ]);
        let text = process::output(&mut command).context("asking cargo which crates there are")?;
        let metadata =
            serde_json::from_str(&text).context("reading the answer of `cargo metadata`")?;
        Ok(Crates { metadata })
    }

    /// The packages called `roots` and all that they are built from, by name and version; what only tests need is
    /// left out.
    pub(super) fn needed_by(&self, roots: &[&str]) -> Vec<&Value> {
        self.reached(roots, |kind| kind != "dev")
    }

    /// The package `root` and all whose code is linked with it, by name and version.
    pub(super) fn linked_into(&self, root: &str) -> Vec<&Value> {
        self.reached(&[root], Value::is_null)
    }

    /// What cargo has resolved for the package `id`: its features and what it depends on.
    pub(super) fn node(&self, id: &str) -> &Value {
        let nodes = list(&self.metadata["resolve"]["nodes"]);
        nodes
            .iter()
            .find(|node| node["id"] == id)
            .unwrap_or(&Value::Null)
    }

    fn reached(&self, roots: &[&str], counts: impl Fn(&Value) -> bool) -> Vec<&Value> {
        let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in list(&self.metadata["resolve"]["nodes"]) {
            let deps = list(&node["deps"]).iter();
            let counted = deps.filter(|dep| {
                list(&dep["dep_kinds"])
                    .iter()
                    .any(|kind| counts(&kind["kind"]))
            });
            let ids = counted.filter_map(|dep| dep["pkg"].as_str()).collect();
            needs.extend(node["id"].as_str().map(|id| (id, ids)));
        }
        let packages = list(&self.metadata["packages"]);
        let is_root = |package: &&Value| {
            package["name"]
                .as_str()
                .is_some_and(|name| roots.contains(&name))
        };
        let id = |package: &'_ Value| package["id"].as_str().unwrap_or_default().to_owned();
        let mut open: Vec<String> = packages.iter().filter(is_root).map(id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if let Some(ids) = needs.get(&*id).filter(|_| seen.insert(id.clone())) {
                open.extend(ids.iter().map(|id| (*id).to_owned()));
            }
        }
        let mut found: Vec<&Value> = packages
            .iter()
            .filter(|package| seen.contains(&id(package)))
            .collect();
        found.sort_by_key(|package| label(package));
        found
    }
}

/// All of both, by name and version.
pub(super) fn union<'a>(one: &[&'a Value], other: &[&'a Value]) -> Vec<&'a Value> {
    let all = one.iter().chain(other);
    let all: BTreeMap<String, &Value> = all.map(|package| (label(package), *package)).collect();
    all.into_values().collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Name and version, as people write them.
pub(super) fn label(package: &Value) -> String {
    let word = |name: &str| package[name].as_str().unwrap_or_default();
    format!("{} {}", word("name"), word("version"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_tests_need_is_left_out() {
        let package = |id: &str| json!({ "id": id, "name": id, "version": "1.0.0" });
        let dep = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("tester"), package("ours"), package("deep"), package("dep"), package("other")],
            "resolve": { "nodes": [
                { "id": "ours", "deps": [dep("dep", Value::Null), dep("tester", json!("dev"))] },
                { "id": "dep", "deps": [dep("deep", json!("build"))] },
                { "id": "deep", "deps": [] }, { "id": "tester", "deps": [] }, { "id": "other", "deps": [] } ] },
        });
        let crates = Crates { metadata };
        let names: Vec<String> = crates.needed_by(&["ours"]).into_iter().map(label).collect();
        assert_eq!(names, ["deep 1.0.0", "dep 1.0.0", "ours 1.0.0"]);
        let names: Vec<String> = crates.linked_into("ours").into_iter().map(label).collect();
        assert_eq!(names, ["dep 1.0.0", "ours 1.0.0"]);
    }
}
