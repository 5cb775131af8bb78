//! What the cache of the hub holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::card::{Kind, json, known};
use crate::family::{Family, unsupported};
use crate::files::{Files, Weights};
use crate::gguf;
use crate::places::Places;
use crate::reference::is_gguf;

/// A model in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// As it is asked for, with the file where it is a GGUF file.
    pub name: String,
    /// Branch or tag, or the commit where it has no other name.
    pub revision: String,
    /// The commit.
    pub commit: String,
    /// The directory or the `.gguf` file.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// What it is good for.
    pub kind: Kind,
    /// Whether all of its weights are there; of one that is not, the next download goes on.
    pub is_complete: bool,
}

/// Lists the models in the hub's cache by name, whoever has put them there; what cannot be read is left out.
///
/// Quick: of each model one small file is read, or the first bytes of a GGUF file.
pub fn installed(places: &Places) -> Vec<Installed> {
    let mut out = Vec::new();
    for entry in fs::read_dir(&places.hub_cache)
        .into_iter()
        .flatten()
        .flatten()
    {
        let folder = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = folder.strip_prefix("models--") else {
            continue;
        };
        // Names on the hub have no two dashes in a row.
        let name = name.replacen("--", "/", 1);
        let revisions = revisions(&entry.path());
        for snapshot in fs::read_dir(entry.path().join("snapshots"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let commit = snapshot.file_name().to_string_lossy().into_owned();
            let revision = revisions
                .get(&commit)
                .cloned()
                .unwrap_or_else(|| commit.clone());
            out.extend(models(&name, &revision, &commit, &snapshot.path()));
        }
    }
    out.sort_by(|a, b| (&a.name, &a.revision).cmp(&(&b.name, &b.revision)));
    out
}

/// The models of one snapshot: each `.gguf` file, or all of it.
fn models(name: &str, revision: &str, commit: &str, snapshot: &Path) -> Vec<Installed> {
    let files = walk(snapshot, "");
    let model = |name: String, path: PathBuf, bytes, kind, is_complete| Installed {
        name,
        revision: revision.to_owned(),
        commit: commit.to_owned(),
        path,
        bytes,
        kind,
        is_complete,
    };
    let ggufs = files.iter().filter(|(file, _)| is_gguf(file));
    let mut out: Vec<Installed> = ggufs
        .filter_map(|(file, bytes)| {
            let path = snapshot.join(file);
            let architecture = gguf::architecture(&path).ok()??;
            let kind = Family::of_gguf(&architecture).map_or_else(
                || unsupported(&architecture, true),
                |family| family.kind(false),
            );
            Some(model(format!("{name}:{file}"), path, *bytes, kind, true))
        })
        .collect();
    let names: Vec<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
    let config = json(&snapshot.join("config.json"));
    if let Ok(config) = config
        && (Weights::among(&names).is_some() || out.is_empty())
    {
        let (_, kind, _) = known(&config, names.contains(&"modules.json"));
        let whole = Files::of_directory(name.to_owned(), snapshot);
        let bytes = files
            .iter()
            .filter(|(file, _)| !is_gguf(file))
            .map(|(_, bytes)| bytes)
            .sum();
        out.push(model(
            name.to_owned(),
            snapshot.to_owned(),
            bytes,
            kind,
            whole.is_ok(),
        ));
    }
    out
}

/// What commits are called; of several names the first in the alphabet, but `main` before all.
fn revisions(folder: &Path) -> BTreeMap<String, String> {
    let refs = folder.join("refs");
    let mut out = BTreeMap::new();
    let mut names: Vec<String> = walk(&refs, "").into_iter().map(|(name, _)| name).collect();
    names.sort_by_key(|name| (name != "main", name.clone()));
    for name in names {
        if let Ok(commit) = fs::read_to_string(refs.join(&name)) {
            out.entry(commit.trim().to_owned()).or_insert(name);
        }
    }
    out
}

/// Files below a folder with their bytes, through links to files; links to folders are not followed.
fn walk(folder: &Path, before: &str) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            out.extend(walk(&entry.path(), &format!("{name}/")));
        } else if let Ok(metadata) = fs::metadata(entry.path()) {
            out.push((name, metadata.len()));
        }
    }
    out.sort();
    out
}
