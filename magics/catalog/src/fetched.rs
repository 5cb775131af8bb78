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
        None => elsewhere(wanted, call.session)?,
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

/// How a model is written down for later: a directory as it is seen from anywhere, anything else as it was typed.
pub(crate) fn remembered(model: &str, session: &Session) -> String {
    let dir = session.resolve(Path::new(model));
    match dir.canonicalize() {
        Ok(dir) if dir.is_dir() => dir.display().to_string(),
        _ => model.to_owned(),
    }
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
    let near = Near::of(wanted, call.session);
    let here = if near.meant.is_empty() {
        format!("the directory `{first}` is here and has no `{rest}`")
    } else {
        near.hint()
    };
    let hint = [here, error.hint.clone()];
    error.with_hint(hint.join("; ").trim_end_matches("; "))
}

/// The place that `wanted` means outside this machine. What looks like a path is none, and what is a letter or two off
/// something here is told at once, not after a server was asked; what only resembles it may well be a model of the hub.
fn elsewhere(wanted: &str, session: &Session) -> Result<Reference, MagicError> {
    let near = Near::of(wanted, session);
    // `ORG/NAME@REVISION:FILE` may have more slashes, and says where it is.
    let says_where = wanted.contains([':', '@']);
    let n_slashes = wanted.matches('/').count();
    let is_path = wanted.starts_with(['.', '/', '~']) || (!says_where && n_slashes > 1);
    // What is in the hub's cache is meant, whatever is here.
    let mut cached = session
        .hub()
        .ok()
        .into_iter()
        .flat_map(mlk8s_models::installed);
    let is_mistyped = n_slashes == 1
        && near.meant.iter().any(|path| near::is_slip(wanted, path))
        && !cached.any(|model| model.name == wanted);
    if is_path || (!says_where && is_mistyped) {
        let message = format!("`{wanted}` is not here: there is no such directory or file");
        let mut hint = near.hint();
        if !is_path {
            let _ = write!(
                hint,
                " If not, `%model info {wanted}@main` asks the hub for a model of that name, which is then known by it"
            );
        }
        return Err(MagicError::new(ErrorKind::NotFound, message).with_hint(hint));
    }
    wanted.parse::<Reference>().map_err(|error| {
        let error = MagicError::from(error);
        let known = models_here(session);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_only_resembles_something_here_is_a_model_of_the_hub() {
        let home = tempfile::tempdir().unwrap();
        for dir in ["openai/whisper", "Qwen/Qwen3-0.6B", "models/small"] {
            fs::create_dir_all(home.path().join(dir)).unwrap();
        }
        let session = Session::new("".into(), home.path().to_owned(), "".into());
        for name in ["openai/whisper-small", "Qwen/Qwen3-1.7B", "Qwen/Qwen3"] {
            assert!(elsewhere(name, &session).is_ok(), "{name}");
        }
        let error = elsewhere("models/smal", &session).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(
            error
                .hint
                .starts_with("did you mean `models/small`? If not, `%model info models/smal@main`"),
            "{}",
            error.hint
        );
        assert!(elsewhere("models/smal@main", &session).is_ok());
        assert!(elsewhere("./openai/whisper-small", &session).is_err());
    }
}
