//! The files of a model that a person names: they are on this machine, or are fetched.

use std::path::{Path, PathBuf};

use mlk8s_models::{Files, ModelsError, Reference};

use crate::call::Call;
use crate::error::MagicError;

/// The files of the model that `wanted` means; they are downloaded if that is necessary.
pub(crate) fn files(wanted: &str, call: &mut Call) -> Result<Files, MagicError> {
    let (cancel, progress) = (call.cancel.clone(), call.progress);
    let reference = match local(wanted, call) {
        Some(path) if path.is_file() => Reference::Gguf(path),
        Some(path) => Reference::Directory(path),
        None => wanted.parse::<Reference>()?,
    };
    let places = call.session.hub()?;
    let fetched = mlk8s_models::fetch(
        &reference,
        places,
        &|now| {
            let mib = |n: u64| (n >> 20) as usize;
            progress.report(mib(now.overall_done), mib(now.overall_total), now.file);
        },
        &|| cancel.is_raised(),
    );
    fetched.map_err(|error| with_typo(error, wanted, call))
}

/// The error, and that `wanted` may have been meant as a path where a directory of its first part is here.
fn with_typo(error: ModelsError, wanted: &str, call: &Call) -> MagicError {
    let is_of_the_hub = !matches!(error, ModelsError::Cancelled);
    let error = MagicError::from(error);
    let Some((first, rest)) = wanted.split_once('/') else {
        return error;
    };
    if !is_of_the_hub || !call.session.resolve(Path::new(first)).is_dir() {
        return error;
    }
    let here = format!("the directory `{first}` is here and has no `{rest}`");
    let hint = [here, error.hint.clone()];
    error.with_hint(hint.join("; ").trim_end_matches("; "))
}

/// The directory or file on this machine that `wanted` means.
fn local(wanted: &str, call: &Call) -> Option<PathBuf> {
    let path = call.session.resolve(Path::new(wanted));
    if path.exists() {
        return Some(path);
    }
    call.session.encoders.find(wanted)
}
