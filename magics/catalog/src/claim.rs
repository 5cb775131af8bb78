//! One notebook at a time loads a model of a name, or builds an index: an advisory lock that the operating system lets go
//! of when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::error::{ErrorKind, MagicError};

/// The right to make what has a name, or to take it away; given back when dropped.
pub(crate) struct Claim(File);

impl Claim {
    /// The claim on `name` in `dir`; `None` while another notebook has it.
    pub(crate) fn take(dir: &Path, name: &str) -> Result<Option<Claim>, MagicError> {
        let path = dir.join(format!("{name}.lock"));
        let opened = fs::create_dir_all(dir).and_then(|()| {
            OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)
        });
        let failed = |error: io::Error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            MagicError::new(ErrorKind::Internal, message)
                .with_hint("MLK8S_STATE names a directory that this person may write to")
        };
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for Claim {
    /// Lets go at once: a process that is just being started from here has the file open, too, until its program begins.
    fn drop(&mut self) {
        // It is let go of at the end of the process at the latest.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_claimed_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Claim::take(dir.path(), "tiny").unwrap();
        assert!(first.is_some());
        assert!(Claim::take(dir.path(), "tiny").unwrap().is_none());
        assert!(Claim::take(dir.path(), "other").unwrap().is_some());
        drop(first);
        assert!(Claim::take(dir.path(), "tiny").unwrap().is_some());
    }
}
