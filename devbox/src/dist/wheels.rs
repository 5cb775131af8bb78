//! What packages of Python say of their licences, as they lie in the environment. Their texts are in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A licence of another form than a name or an expression is its text.
const LONGEST_NAME: usize = 40;

/// The licences of what is installed, as `CycloneDX` has them, by `name@version`.
pub(super) fn licences(venv: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let libraries = fs::read_dir(venv.join("lib"));
    for library in libraries.into_iter().flatten().flatten() {
        let packages = fs::read_dir(library.path().join("site-packages"));
        for package in packages.into_iter().flatten().flatten() {
            let text = fs::read_to_string(package.path().join("METADATA"));
            found.extend(text.ok().and_then(|text| of_metadata(&text)));
        }
    }
    found
}

/// The name by which locks know a package.
fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// See <https://packaging.python.org/specifications/core-metadata/>: an expression, else what the classifiers say, else a
/// name.
fn of_metadata(text: &str) -> Option<(String, Value)> {
    let head = || text.lines().take_while(|line| !line.is_empty());
    let values = |key: &'static str| {
        head().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": "))
    };
    let (name, version) = (values("Name").next()?, values("Version").next()?);
    let classifiers: Vec<Value> = values("Classifier")
        .filter_map(|line| line.strip_prefix("License :: ")?.rsplit(" :: ").next())
        .map(|name| json!({ "license": { "name": name } }))
        .collect();
    let named = values("License").next();
    let named = named.filter(|name| name.len() <= LONGEST_NAME && *name != "UNKNOWN");
    let licences = if let Some(expression) = values("License-Expression").next() {
        json!([{ "expression": expression }])
    } else if !classifiers.is_empty() {
        Value::Array(classifiers)
    } else {
        json!([{ "license": { "name": named? } }])
    };
    Some((format!("{}@{version}", normal(name)), licences))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, key: &str, licences: &Value) {
        let text = format!("Metadata-Version: 2.4\n{text}\n\nLicense: of the description\n");
        assert_eq!(of_metadata(&text), Some((key.to_owned(), licences.clone())));
    }

    #[test]
    fn licences_are_found_in_all_their_forms() {
        check(
            "Name: jupyter_client\nVersion: 8.10.0\nLicense: BSD 3-Clause License\n        Copyright\n\
             Classifier: License :: OSI Approved :: BSD License",
            "jupyter-client@8.10.0",
            &json!([{ "license": { "name": "BSD License" } }]),
        );
        check(
            "Name: A.b\nVersion: 1\nLicense-Expression: MIT OR Apache-2.0\nClassifier: License :: Other",
            "a-b@1",
            &json!([{ "expression": "MIT OR Apache-2.0" }]),
        );
        check(
            "Name: psutil\nVersion: 7\nLicense: BSD-3-Clause",
            "psutil@7",
            &json!([{ "license": { "name": "BSD-3-Clause" } }]),
        );
        assert_eq!(of_metadata("Name: x\nVersion: 1\nLicense: UNKNOWN\n"), None);
    }
}
