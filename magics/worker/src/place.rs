//! Where a model is.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use mlk8s_models::{Places, Reference};

use crate::error::WorkerError;

/// The directory or `.gguf` file that `model` names. One of the hub or of a bucket is fetched first; `progress` hears of
/// bytes done, and of all.
pub(crate) fn find(
    model: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<PathBuf, WorkerError> {
    let path = PathBuf::from(model);
    if path.exists() {
        let is_model = if path.is_dir() {
            path.join("config.json").is_file()
        } else {
            is_gguf(&path)
        };
        return if is_model {
            Ok(path)
        } else {
            Err(WorkerError::NoModel {
                place: model.to_owned(),
            })
        };
    }
    let reference: Reference = model.parse()?;
    let places = Places::from_variables(|name| std::env::var_os(name)?.into_string().ok())?;
    let told = RefCell::new(progress);
    let files = mlk8s_models::fetch(
        &reference,
        &places,
        &|now| (told.borrow_mut())(now.overall_done, now.overall_total),
        &|| false,
    )?;
    Ok(files.path)
}

/// What the model is called when nobody says: as its folder, or as its file without ending.
pub(crate) fn name(model: &str) -> String {
    let path = Path::new(model.trim_end_matches('/'));
    let last = if is_gguf(path) {
        path.file_stem()
    } else {
        path.file_name()
    };
    last.map_or_else(
        || "model".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_directory_with_settings_or_a_gguf_file() {
        let dir = tempfile::tempdir().unwrap();
        let find = |model: &str| super::find(model, &mut |_, _| {});
        let at = |name: &str| dir.path().join(name).display().to_string();
        assert!(find(&at("none")).is_err());
        assert!(find(&at("")).is_err());
        std::fs::write(at("config.json"), "{}").unwrap();
        assert!(find(&at("")).is_ok());
        assert!(find(&at("config.json")).is_err());
        std::fs::write(at("small.Q4_K.gguf"), "").unwrap();
        assert!(find(&at("small.Q4_K.gguf")).is_ok());
    }

    #[test]
    fn a_model_is_called_as_its_file() {
        assert_eq!(name("/m/qwen2.5-0.5b-q4_k.gguf"), "qwen2.5-0.5b-q4_k");
        assert_eq!(name("/m/MiniLM-L6-v2/"), "MiniLM-L6-v2");
        assert_eq!(name("/"), "model");
    }
}
