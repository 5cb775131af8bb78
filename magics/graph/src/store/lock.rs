//! One writer at a time: an advisory lock that the operating system lets go of when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{GraphError, at};

const LOCK: &str = "writer.lock";

/// The right to write to a store; given back when dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
}

impl Drop for WriterLock {
    /// Lets go at once: a process that is just being started from here has the file open, too, until its program begins.
    fn drop(&mut self) {
        // It is let go of at the end of the process at the latest.
        let _ = self.file.unlock();
    }
}

/// Takes the lock of the store in `dir`, or says who holds it.
pub(super) fn lock(dir: &Path) -> Result<WriterLock, GraphError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The number is only for the message: without it the message is shorter.
            let _ = file.read_to_string(&mut holder);
            return Err(GraphError::Busy {
                path: dir.to_owned(),
                holder: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(at(&path)(source)),
    }
    let told = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    told.map_err(at(&path))?;
    Ok(WriterLock { file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let error = lock(dir.path()).unwrap_err();
        assert!(
            matches!(error, GraphError::Busy { holder: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        drop(first);
        lock(dir.path()).unwrap();
    }
}
