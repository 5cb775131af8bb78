//! What makes the answers of a model what they are.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::Record;

/// Folders in folders that are looked into: models have one or two.
const DEEP: usize = 4;
/// Files up to this size are read: settings, which somebody may write anew within a tick of the clock.
const READ: u64 = 1 << 20;

/// Of all files of a model: names, sizes, times, and what is in small ones.
pub(super) fn of_files(path: &Path) -> String {
    let mut hash = Sha256::new();
    add(&mut hash, path, 0);
    hex::encode(hash.finalize())
}

fn add(hash: &mut Sha256, path: &Path, depth: usize) {
    let Ok(about) = path.metadata() else {
        return;
    };
    hash.update(path.display().to_string());
    if about.is_dir() && depth < DEEP {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            add(hash, &path, depth + 1);
        }
    } else if about.is_file() {
        let times = [
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec(),
        ];
        for number in times {
            hash.update(number.to_le_bytes());
        }
        hash.update(about.ino().to_le_bytes());
        hash.update(about.len().to_le_bytes());
        if about.len() <= READ {
            hash.update(fs::read(path).unwrap_or_default());
        }
    }
}

impl Record {
    /// What makes its answers what they are: the files that it was loaded from, how, where, and by which program; `None` of
    /// one that was started before this was written down.
    pub(crate) fn identity(&self) -> Option<String> {
        if self.stamp.is_empty() {
            return None;
        }
        let mut identity = format!("{} {}", env!("CARGO_PKG_VERSION"), self.stamp);
        let summary = &self.summary;
        // Writing to a text cannot fail.
        let _ = write!(
            identity,
            " {} {} {}",
            self.context, summary.device, summary.precision
        );
        Some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_that_changes_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let pooling = dir.path().join("1_Pooling");
        fs::create_dir(&pooling).unwrap();
        let config = pooling.join("config.json");
        fs::write(&config, "{\"mean\": true }").unwrap();
        let before = of_files(dir.path());
        assert_eq!(before, of_files(dir.path()));
        fs::write(&config, "{\"mean\": false}").unwrap();
        assert_ne!(before, of_files(dir.path()));
    }
}
