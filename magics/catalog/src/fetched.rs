//! The files of a model that a person names: they are on this machine, or are fetched.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mlk8s_models::{Files, ModelsError, Reference};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::near::{self, Near};
use crate::session::Session;

/// The files of the model that `wanted` means; they are downloaded if that is necessary.
pub(crate) fn files(wanted: &str, call: &mut Call) -> Result<Files, MagicError> {
    let (cancel, progress) = (call.cancel.clone(), call.progress);
    let reference = match local(wanted, call) {
        Some(path) if path.is_file() => Reference::Gguf(path),
        Some(path) => Reference::Directory(path),
        None => elsewhere(wanted, call)?,
    };
    let mut places = call.session.hub()?.clone();
    places.patience.is_watched = call.is_watched;
    let fetched = mlk8s_models::fetch(
        &reference,
        &places,
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

/// The place that `wanted` means outside this machine. What looks like a path is none, and what is spelled almost like
/// something here is told at once, not after a server was asked.
fn elsewhere(wanted: &str, call: &Call) -> Result<Reference, MagicError> {
    let near = Near::of(wanted, call.session);
    // `ORG/NAME@REVISION:FILE` may have more slashes, and says where it is.
    let says_where = wanted.contains([':', '@']);
    let n_slashes = wanted.matches('/').count();
    let is_path = wanted.starts_with(['.', '/', '~']) || (!says_where && n_slashes > 1);
    // What is in the hub's cache is meant, whatever is here.
    let mut cached = call
        .session
        .hub()
        .ok()
        .into_iter()
        .flat_map(mlk8s_models::installed);
    let is_mistyped =
        n_slashes == 1 && !near.meant.is_empty() && !cached.any(|model| model.name == wanted);
    if is_path || (!says_where && is_mistyped) {
        let message = format!("`{wanted}` is not here: there is no such directory or file");
        let mut hint = near.hint();
        if !is_path {
            let _ = write!(
                hint,
                " `{wanted}@main` asks the hub for a model of that name"
            );
        }
        return Err(MagicError::new(ErrorKind::NotFound, message).with_hint(hint));
    }
    wanted.parse::<Reference>().map_err(|error| {
        let error = MagicError::from(error);
        let known = models_here(call.session);
        let mut meant = near::names(wanted, known.iter().map(String::as_str));
        meant.extend(near.meant.iter().cloned());
        meant.dedup();
        if meant.is_empty() {
            return error;
        }
        let meant: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
        let hint = format!("did you mean {}? {}", meant.join(" or "), error.hint);
        error.with_hint(hint)
    })
}

/// Models by name: those that run, those of the hub's cache, those in the directories of models.
pub(crate) fn models_here(session: &Session) -> Vec<String> {
    let running = session.workers.all().into_iter().map(|model| model.name);
    let places = session.hub().ok();
    let here = places.into_iter().flat_map(mlk8s_models::installed);
    let mut all: Vec<String> = running.chain(here.map(|model| model.name)).collect();
    all.extend(session.encoders.names());
    all.sort();
    all.dedup();
    all
}

/// The directory or file on this machine that `wanted` means.
fn local(wanted: &str, call: &Call) -> Option<PathBuf> {
    let path = call.session.resolve(Path::new(wanted));
    if path.exists() {
        return Some(path);
    }
    call.session.encoders.find(wanted)
}
