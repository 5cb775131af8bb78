//! The cache that is shared with the hub's Python client: blobs by etag, snapshots of links to them, names of commits.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::ModelsError;
use crate::places::Places;
use crate::reference::is_inside;

/// One repository in a cache.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    /// `models--org--name` in the hub's cache.
    pub(crate) fn of_hub(places: &Places, name: &str) -> Self {
        Self::new(
            &places.hub_cache,
            &format!("models--{}", name.replace('/', "--")),
        )
    }

    /// The objects below `prefix`; the digest keeps places apart that differ in slashes or server only.
    pub(crate) fn of_bucket(places: &Places, bucket: &str, prefix: &str) -> Self {
        let server = places
            .bucket
            .endpoint
            .as_ref()
            .map_or("", |url| url.as_str());
        let digest = hex::encode(Sha256::digest(format!("{server} {bucket}/{prefix}")));
        let name = format!(
            "s3--{bucket}--{}--{}",
            prefix.replace('/', "--"),
            &digest[..8]
        );
        Self::new(&places.bucket_cache, &name)
    }

    fn new(cache: &Path, name: &str) -> Self {
        Self {
            folder: cache.join(name),
            locks: cache.join(".locks").join(name),
        }
    }

    /// The commit that `revision` meant when it was asked for last.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        if is_plain(revision) && self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        is_plain(commit).then(|| commit.to_owned())
    }

    /// The directory of a commit's files.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where a blob grows; the Python client uses the same name and goes on from there too.
    pub(crate) fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Takes the lock of a blob, as the Python client does (`flock`); none when another process has it.
    pub(crate) fn try_lock(&self, etag: &str) -> Result<Option<File>, ModelsError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_directory(&self.locks)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| ModelsError::file(&path, source))?;
        match file.try_lock() {
            Ok(()) if is_same(&file, &path) => Ok(Some(file)),
            // Its holder has removed the file, so another process may hold a new one.
            Ok(()) | Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(ModelsError::file(&path, source)),
        }
    }

    /// Makes `file` of `commit` a link to the blob.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), ModelsError> {
        let pointer = self.snapshot(commit).join(file);
        let mut target = PathBuf::from("../../blobs").join(etag);
        for _ in 0..file.matches('/').count() {
            target = Path::new("..").join(target);
        }
        if fs::read_link(&pointer).is_ok_and(|there| there == target) {
            return Ok(());
        }
        let failed = |source| ModelsError::file(&pointer, source);
        make_directory(pointer.parent().unwrap_or(&self.folder))?;
        // Made under another name and moved, so that a reader finds the old or the new.
        let fresh = pointer.with_file_name(format!(".{}.{}.new", etag, std::process::id()));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        match std::os::unix::fs::symlink(&target, &fresh) {
            Ok(()) => fs::rename(&fresh, &pointer).map_err(failed),
            // File systems without links hold the file itself, as with the Python client.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
                ) =>
            {
                fs::rename(self.blob(etag), &pointer).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes down what `revision` means.
    pub(crate) fn point(&self, revision: &str, commit: &str) -> Result<(), ModelsError> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let failed = |source| ModelsError::file(&path, source);
        make_directory(path.parent().unwrap_or(&self.folder))?;
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&fresh, commit).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)
    }

    /// Makes the directory where blobs grow.
    pub(crate) fn prepare(&self) -> Result<PathBuf, ModelsError> {
        let blobs = self.folder.join("blobs");
        make_directory(&blobs)?;
        Ok(blobs)
    }
}

/// Whether text from a server can be the name of a file.
pub(crate) fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && is_inside(text)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn make_directory(path: &Path) -> Result<(), ModelsError> {
    fs::create_dir_all(path).map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ModelsError::NoSpace {
            path: path.to_owned(),
            needed: 0,
            free: None,
        },
        _ => ModelsError::file(path, source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_python_client() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), "models--a--b");
        let blobs = cache.prepare().unwrap();
        fs::write(blobs.join("e1"), "text").unwrap();
        cache.link("c0", "config.json", "e1").unwrap();
        cache.link("c0", "1_Pooling/config.json", "e1").unwrap();
        cache.point("refs/pr/1", "c0").unwrap();
        let snapshot = folder.path().join("models--a--b/snapshots/c0");
        let link = |file: &str| fs::read_link(snapshot.join(file)).unwrap();
        assert_eq!(link("config.json"), Path::new("../../blobs/e1"));
        assert_eq!(
            link("1_Pooling/config.json"),
            Path::new("../../../blobs/e1")
        );
        assert_eq!(
            fs::read_to_string(snapshot.join("1_Pooling/config.json")).unwrap(),
            "text"
        );
        let refs = folder.path().join("models--a--b/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(refs).unwrap(), "c0");
        assert_eq!(cache.commit("refs/pr/1").as_deref(), Some("c0"));
        assert_eq!(cache.commit("c0").as_deref(), Some("c0"));
        assert_eq!(cache.commit("main"), None);
        // A new commit moves the link.
        fs::write(blobs.join("e2"), "more").unwrap();
        cache.link("c0", "config.json", "e2").unwrap();
        assert_eq!(
            fs::read_to_string(snapshot.join("config.json")).unwrap(),
            "more"
        );
        assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 2);
    }

    #[test]
    fn a_lock_is_had_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), "models--a--b");
        let held = cache.try_lock("e").unwrap();
        assert!(held.is_some());
        assert!(cache.try_lock("e").unwrap().is_none());
        drop(held);
        assert!(cache.try_lock("e").unwrap().is_some());
        assert!(folder.path().join(".locks/models--a--b/e.lock").exists());
    }

    #[test]
    fn names_from_servers_stay_inside() {
        for bad in ["", "..", "a/b", "a\\b", "\u{0}", "é", &"x".repeat(129)] {
            assert!(!is_plain(bad), "{bad:?}");
        }
        assert!(is_plain("d41d8cd98f00b204e9800998ecf8427e-12"));
    }
}
