//! The licences of all crates: a table, and the texts, each once with the crates that it belongs to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::crates::label;

/// How files with a licence are called, in small letters.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "notice",
    "unlicense",
    "copyright",
];

/// Writes `crates.tsv` and `texts.txt` into `dir`.
pub(super) fn write(packages: &[&Value], dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut table = String::from("crate\tversion\tlicence\tsource\tfiles\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages
        .iter()
        .filter(|package| !package["source"].is_null())
    {
        let word = |name: &str| package[name].as_str().unwrap_or_default();
        let folder = Path::new(word("manifest_path"))
            .parent()
            .context("a crate without a folder")?;
        let mut files = Vec::new();
        for (name, text) in papers(folder)? {
            texts.entry(text).or_default().push(label(package));
            files.push(name);
        }
        let (name, version, licence) = (word("name"), word("version"), word("license"));
        let files = files.join(" ");
        writeln!(
            table,
            "{name}\t{version}\t{licence}\t{}\t{files}",
            word("repository")
        )?;
    }
    fs::write(dir.join("crates.tsv"), table)?;
    let mut all = String::from(
        "The licences of the crates that the programs are made of. `crates.tsv` is the table.\n",
    );
    for (text, owners) in &texts {
        let mut owners = owners.clone();
        owners.dedup();
        write!(
            all,
            "\n{}\n{}\n{}\n\n{}\n",
            "=".repeat(80),
            owners.join(", "),
            "=".repeat(80),
            text.trim()
        )?;
    }
    fs::write(dir.join("texts.txt"), all).context("writing the licences")
}

/// The files with licences in a crate's folder: their names and texts.
fn papers(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("reading `{}`", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let small = name.to_lowercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|start| small.starts_with(start)) {
            let bytes = fs::read(entry.path())?;
            found.push((name, String::from_utf8_lossy(&bytes).replace('\r', "")));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_written_once_for_all_its_crates() {
        let dir = std::env::temp_dir().join(format!("mlk8s-licences-{}", std::process::id()));
        let package = |name: &str| {
            let folder = dir.join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("LICENSE-MIT"), "Do as you like.\r\n").unwrap();
            fs::write(folder.join("lib.rs"), "").unwrap();
            json!({ "name": name, "version": "1.0.0", "license": "MIT", "source": "registry", "repository": null,
                    "manifest_path": folder.join("Cargo.toml") })
        };
        write(&[&package("a"), &package("b")], &dir).unwrap();
        let texts = fs::read_to_string(dir.join("texts.txt")).unwrap();
        assert!(texts.contains("\na 1.0.0, b 1.0.0\n"), "{texts}");
        assert_eq!(texts.matches("Do as you like.").count(), 1);
        let table = fs::read_to_string(dir.join("crates.tsv")).unwrap();
        assert!(
            table.contains("\nb\t1.0.0\tMIT\t\tLICENSE-MIT\n"),
            "{table}"
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}
