//! One writer at a time: an advisory lock that the operating system lets go of when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{SearchError, at};

const LOCK: &str = "writer.lock";
/// How long the number of the holder is looked for.
const PATIENCE: Duration = Duration::from_millis(500);

/// The right to write to an index; given back when dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
}

impl Drop for WriterLock {
    /// Lets go at once: a process that is just being started from here has the file open, too, until its program begins.
    fn drop(&mut self) {
        // It is let go of at the end of the process at the latest.
        let _ = self.file.unlock();
    }
}

/// Takes the lock of the index in `dir`, or says who holds it.
pub(crate) fn lock(dir: &Path) -> Result<WriterLock, SearchError> {
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
            return Err(SearchError::Busy {
                path: dir.to_owned(),
                holder: holder(&mut file),
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

/// The process that wrote its number into the file; it does so right after it took the lock, so it may take a moment.
fn holder(file: &mut File) -> Option<u32> {
    let start = Instant::now();
    loop {
        let mut holder = String::new();
        // The number is only for the message: without it the message is shorter.
        let _ = file
            .rewind()
            .and_then(|()| file.read_to_string(&mut holder));
        if let Ok(pid) = holder.trim().parse() {
            return Some(pid);
        }
        if start.elapsed() > PATIENCE {
            return None;
        }
        std::thread::yield_now();
    }
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
            matches!(error, SearchError::Busy { holder: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        drop(first);
        lock(dir.path()).unwrap();
    }
}
