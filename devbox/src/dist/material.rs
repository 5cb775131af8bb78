//! The bill of materials: every crate and Python package of the product, as `CycloneDX` 1.6 has it.
//!
//! See <https://cyclonedx.org/docs/1.6/json/>. The hashes are those of the lock files: of the archives as the registries
//! hand them out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::wheels;
use crate::places::Places;

/// What NVIDIA's packages say of their licence; its text is in them.
const NVIDIA: &str = "LicenseRef-NVIDIA-Proprietary";

/// Writes the bill for the crates `packages` and the packages of Python that `locks` pin.
pub(super) fn write(places: &Places, packages: &[&Value], locks: &[&str], to: &Path) -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(places.root.join(path)).with_context(|| format!("reading `{path}`"))
    };
    let hashes = crate_hashes(&read("Cargo.lock")?);
    let mut components: Vec<Value> = packages
        .iter()
        .map(|package| of_crate(package, &hashes))
        .collect();
    let licences = wheels::licences(&places.venv);
    for lock in locks {
        components.extend(of_python(&read(lock)?, &licences));
    }
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "mlk8s",
                "name": "mlk8s",
                "version": env!("CARGO_PKG_VERSION"),
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components,
    });
    fs::write(to, format!("{bill:#}\n")).context("writing the bill of materials")
}

fn of_crate(package: &Value, hashes: &BTreeMap<(String, String), String>) -> Value {
    let word = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let (name, version) = (word("name"), word("version"));
    let reference = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "purl": reference,
        "name": name,
        "version": version,
        // Old crates write a slash for `OR`.
        "licenses": [{ "expression": word("license").replace('/', " OR ").replace("  ", " ") }],
    });
    if let Some(hash) = hashes.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
    }
    component
}

/// The hashes in `Cargo.lock`, by name and version.
fn crate_hashes(lock: &str) -> BTreeMap<(String, String), String> {
    let mut hashes = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = block
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|line| line.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(hash)) =
            (value("name"), value("version"), value("checksum"))
        {
            hashes.insert((name, version), hash);
        }
    }
    hashes
}

/// The packages that a lock of Python pins, with the licences of those that are known; one that is pinned for several
/// Pythons comes once for each version.
fn of_python(lock: &str, licences: &BTreeMap<String, Value>) -> Vec<Value> {
    let mut components = BTreeMap::new();
    let mut lines = lock.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, rest)) = line
            .split_once("==")
            .filter(|_| !line.starts_with([' ', '#']))
        else {
            continue;
        };
        let mut hashes = Vec::new();
        while let Some(hash) = lines.next_if(|line| line.trim_start().starts_with("--hash=")) {
            let hash = hash.split("sha256:").nth(1).unwrap_or_default();
            hashes.push(hash.trim_end_matches([' ', '\\']));
        }
        let version = rest.split([' ', ';', '\\']).next().unwrap_or_default();
        let reference = format!("pkg:pypi/{name}@{version}");
        let mut component = json!({
            "type": "library", "bom-ref": reference, "purl": reference, "name": name, "version": version,
        });
        // Of several archives nobody knows which one is taken.
        if let [hash] = hashes[..] {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
        }
        if name.starts_with("nvidia-") {
            component["licenses"] = json!([{ "license": { "name": NVIDIA } }]);
        } else if let Some(known) = licences.get(&format!("{name}@{version}")) {
            component["licenses"] = known.clone();
        }
        components.insert(reference, component);
    }
    components.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_the_hash_of_its_archive() {
        let lock = "version = 4\n\n[[package]]\nname = \"adler2\"\nversion = \"2.0.1\"\nchecksum = \"3201\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"adler2\",\n]\n";
        let hashes = crate_hashes(lock);
        let package = |name: &str, version: &str| json!({ "name": name, "version": version, "license": "0BSD/MIT" });
        let component = of_crate(&package("adler2", "2.0.1"), &hashes);
        assert_eq!(component["hashes"][0]["content"], "3201");
        assert_eq!(component["licenses"][0]["expression"], "0BSD OR MIT");
        assert_eq!(
            of_crate(&package("ours", "0.1.0"), &hashes)["hashes"],
            Value::Null
        );
    }

    #[test]
    fn packages_of_python_are_read_from_the_lock() {
        let lock = "anyio==4.12.1 ; python_full_version < '3.10' \\\n    --hash=sha256:00\nattrs==26.1.0 \\\n";
        let licences =
            BTreeMap::from([("attrs@26.1.0".to_owned(), json!([{ "expression": "MIT" }]))]);
        let found = of_python(lock, &licences);
        let references: Vec<&Value> = found.iter().map(|one| &one["purl"]).collect();
        assert_eq!(
            references,
            ["pkg:pypi/anyio@4.12.1", "pkg:pypi/attrs@26.1.0"]
        );
        assert_eq!(found[0]["licenses"], Value::Null);
        assert_eq!(found[1]["licenses"][0]["expression"], "MIT");
    }

    #[test]
    fn packages_of_nvidia_have_their_one_hash_and_their_licence() {
        let lock = "# What is loaded.\nnvidia-cublas==13.0.2.14 \\\n    --hash=sha256:0cf2\nnvidia-curand==10.4.0.35 \\\n\
                    \x20   --hash=sha256:1aee \\\n    --hash=sha256:2bff\n";
        let found = of_python(lock, &BTreeMap::new());
        assert_eq!(found[0]["hashes"][0]["content"], "0cf2");
        assert_eq!(found[1]["hashes"], Value::Null);
        assert_eq!(
            found[1]["licenses"][0]["license"]["name"],
            "LicenseRef-NVIDIA-Proprietary"
        );
    }
}
