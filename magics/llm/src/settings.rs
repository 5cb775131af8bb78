//! Small files of settings: replaced whole, readable by their owner only.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Puts `text` in place of what `file` holds; whoever reads meanwhile sees the old text or the new one.
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
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
