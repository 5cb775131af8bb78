//! The project that rust-analyzer sees: a crate with one file, the prelude and what else cells depend on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use ra_ap_ide::{FileId, SourceRoot};
use ra_ap_ide_db::base_db::{AbsPathBuf, FileSet, VfsPath};
use ra_ap_ide_db::{ChangeWithProcMacros, FxHashMap};
use ra_ap_project_model::{
    CargoConfig, ProjectManifest, ProjectWorkspace, ProjectWorkspaceKind, RustLibSource,
};
use serde_json::{Value, json};

use super::Cell;
use crate::language::prelude::{PRELUDE_CRATE, PRELUDE_PACKAGE, SHIPPED, source_dir};
use crate::language::toolchain::Toolchain;

/// Our file, whose text is [`text`]; it has a number before any other.
pub(super) const FILE: FileId = FileId::from_raw(0);

/// A crate on disk, and the files of all crates by number.
pub(super) struct Project {
    manifest: AbsPathBuf,
    files: BTreeMap<PathBuf, FileId>,
}

impl Project {
    /// Makes the crate in `dir`.
    pub(super) fn make(dir: &Path) -> anyhow::Result<Project> {
        let file = dir.join("src/lib.rs");
        std::fs::create_dir_all(dir.join("src"))?;
        // rust-analyzer never reads it, but cargo wants to see one.
        std::fs::write(&file, "")?;
        // The versions that the prelude was built with. Without them cargo resolves anew, which only takes longer.
        let _ = std::fs::copy(
            source_dir().join("../../Cargo.lock"),
            dir.join("Cargo.lock"),
        );
        let manifest = dir.join("Cargo.toml");
        let manifest = manifest.to_str().context("the directory is not UTF-8")?;
        Ok(Project {
            manifest: AbsPathBuf::try_from(manifest)
                .map_err(|path| anyhow!("`{path}` is not absolute"))?,
            files: BTreeMap::from([(file, FILE)]),
        })
    }

    /// Reads what the project consists of when it depends on `lines`, too.
    pub(super) fn load(&mut self, lines: &[String]) -> anyhow::Result<ChangeWithProcMacros> {
        let workspace = self.workspace(lines)?;
        let mut change = ChangeWithProcMacros::default();
        for root in workspace.to_roots() {
            for dir in &root.include {
                self.read(dir.as_ref(), &root.exclude, &mut change);
            }
        }
        let (mut ours, mut theirs) = (FileSet::default(), FileSet::default());
        for (path, id) in &self.files {
            let set = if *id == FILE { &mut ours } else { &mut theirs };
            if let Some(path) = path.to_str() {
                set.insert(*id, VfsPath::new_real_path(path.to_owned()));
            }
        }
        change.set_roots(vec![
            SourceRoot::new_local(ours),
            SourceRoot::new_library(theirs),
        ]);
        let find = &mut |path: &_| self.files.get(AsRef::<Path>::as_ref(path)).copied();
        let (crates, _) = workspace.to_crate_graph(find, &FxHashMap::default());
        change.set_crate_graph(crates);
        Ok(change)
    }

    /// Asks cargo which crates there are, unless that was asked when the product was packed.
    fn workspace(&self, lines: &[String]) -> anyhow::Result<ProjectWorkspace> {
        let shipped = source_dir().join(SHIPPED);
        if shipped.is_file() {
            // Crates that are added in a cell have no sources here: without a registry nobody knows them.
            return self.shipped(&shipped);
        }
        let manifest = format!(
            "[package]\nname = \"cell\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             {PRELUDE_PACKAGE} = {{ path = {:?} }}\n{}\n",
            source_dir().to_string_lossy(),
            lines.join("\n")
        );
        std::fs::write(&self.manifest, manifest)?;
        let config = CargoConfig {
            sysroot: Some(RustLibSource::Discover),
            ..CargoConfig::default()
        };
        let manifest = ProjectManifest::from_manifest_file(self.manifest.clone())?;
        let workspace = ProjectWorkspace::load(manifest, &config, &|_| {})?;
        match &workspace.kind {
            // rust-analyzer would go on without any crate.
            ProjectWorkspaceKind::Cargo {
                error: Some(error), ..
            } => Err(anyhow!("{error:#}")),
            _ => Ok(workspace),
        }
    }

    /// Our crate in front of those that `path` lists; the last of them is the prelude.
    fn shipped(&self, path: &Path) -> anyhow::Result<ProjectWorkspace> {
        let mut project: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let crates = project["crates"]
            .as_array_mut()
            .context("the list of crates is damaged")?;
        for one in crates.iter_mut() {
            let module = path.with_file_name(one["root_module"].as_str().unwrap_or_default());
            one["root_module"] = json!(module);
        }
        let file = self
            .files
            .iter()
            .find_map(|(path, id)| (*id == FILE).then_some(path));
        let prelude = json!({ "crate": crates.len().saturating_sub(1), "name": PRELUDE_CRATE });
        crates.push(json!({
            "display_name": "cell", "root_module": file, "edition": "2024", "deps": [prelude], "is_workspace_member": true,
        }));
        let rustc = Toolchain::find()?.rustc;
        if let Some(sysroot) = rustc.ancestors().nth(2) {
            project["sysroot"] = json!(sysroot);
            let source = sysroot.join("lib/rustlib/src/rust/library");
            if source.is_dir() {
                project["sysroot_src"] = json!(source);
                project["sysroot_project"] = json!({ "crates": library() });
            }
        }
        let manifest: &Path = self.manifest.as_ref();
        let file = manifest.with_file_name(SHIPPED);
        std::fs::write(&file, project.to_string())?;
        let file = file.to_str().context("the directory is not UTF-8")?;
        let file =
            AbsPathBuf::try_from(file).map_err(|path| anyhow!("`{path}` is not absolute"))?;
        let manifest = ProjectManifest::from_manifest_file(file)?;
        ProjectWorkspace::load(manifest, &CargoConfig::default(), &|_| {})
    }

    /// Gives a number to each source file below `dir` that has none yet, and puts its text into `change`.
    fn read(&mut self, dir: &Path, exclude: &[AbsPathBuf], change: &mut ChangeWithProcMacros) {
        // What cannot be read is not there: the rest is still known.
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !exclude.iter().any(|dir| AsRef::<Path>::as_ref(dir) == path) {
                    self.read(&path, exclude, change);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !self.files.contains_key(&path)
                && let (Ok(text), Ok(number)) = (
                    std::fs::read_to_string(&path),
                    u32::try_from(self.files.len()),
                )
            {
                let id = FileId::from_raw(number);
                change.change_file(id, Some(text));
                self.files.insert(path, id);
            }
        }
    }
}

/// The crates of the standard library, by their places below its source; cargo, which knows them, too, would fetch what
/// they are built from.
fn library() -> Value {
    let one = |name: &str, deps: &[(usize, &str)]| {
        let deps: Vec<Value> = deps
            .iter()
            .map(|(number, name)| json!({ "crate": number, "name": name }))
            .collect();
        json!({ "display_name": name, "root_module": format!("{name}/src/lib.rs"), "edition": "2024", "deps": deps })
    };
    json!([
        one("core", &[]),
        one("alloc", &[(0, "core")]),
        one("std", &[(0, "core"), (1, "alloc")])
    ])
}

/// The text of our file for `cell`, and the byte of it where the cell begins.
pub(super) fn text(cell: &Cell<'_>) -> (String, usize) {
    let before = format!(
        "use {PRELUDE_CRATE}::cell::*;\n{}\nfn mlk8s() -> ::std::result::Result<(), ::std::boxed::Box<dyn \
         ::std::error::Error>> {{\n{}\n",
        cell.items, cell.variables
    );
    let shift = before.len();
    // With the semicolon the last expression may have any type.
    let text = format!(
        "{before}{}\n; ::std::result::Result::Ok(())\n}}\n",
        cell.code
    );
    (text, shift)
}
