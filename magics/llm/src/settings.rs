//! Small files of settings: replaced whole, readable by their owner only.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LlmError;

/// What `file` holds, as JSON; what `T` has by default when there is no such file. One that cannot be read is not taken
/// for none: a budget would be lost with it.
pub(crate) fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T, LlmError> {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(file, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(wrong(file, &error)),
    }
}

/// Puts `value`, as JSON, in place of what `file` holds.
pub(crate) fn write(file: &Path, value: &impl Serialize) -> Result<(), LlmError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| wrong(file, &error))?;
    replace(file, &text).map_err(|error| wrong(file, &error))
}

fn wrong(file: &Path, why: &dyn fmt::Display) -> LlmError {
    LlmError::Settings {
        path: file.display().to_string(),
        why: why.to_string(),
    }
}

/// Whoever reads meanwhile sees the old text or the new one.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut out = File::create(&fresh)?;
    out.set_permissions(Permissions::from_mode(0o600))?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&fresh, file)
}
