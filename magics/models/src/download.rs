//! One file comes whole or not at all: it grows beside its place, goes on after a break, is checked, and is then moved.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::error::ModelsError;
use crate::http::tries::Tries;
use crate::http::{Failure, Web, text_header};
use crate::memory::free_disk;

/// What is read at once when a file is checked.
const BLOCK: usize = 1 << 20;

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Download<'a> {
    /// What people call it.
    pub(crate) name: &'a str,
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
    /// Where it grows.
    pub(crate) incomplete: PathBuf,
    /// Where it is when it is whole.
    pub(crate) target: PathBuf,
}

impl Download<'_> {
    /// Fetches what is missing; `open` gives the bytes from an offset on, `came` is told how many are there.
    ///
    /// A file that was begun earlier and turns out damaged is fetched once more from its beginning.
    pub(crate) async fn run(
        &self,
        web: &Web<'_>,
        mut tries: Tries,
        open: impl AsyncFn(u64) -> Result<Response, Failure>,
        came: &dyn Fn(u64),
    ) -> Result<(), ModelsError> {
        let mut growing = Growing::open(self)?;
        let mut is_resumed = growing.length > 0;
        loop {
            while growing.length < self.bytes {
                let before = growing.length;
                let got = self.stream(web, &mut growing, &open, came).await;
                if growing.length > before {
                    tries.progressed();
                }
                if let Err(failure) = got {
                    web.pause(tries.again(failure)?).await?;
                }
            }
            came(self.bytes);
            match growing.finish(self, web).await {
                Err(ModelsError::Mismatch { .. }) if is_resumed => {
                    is_resumed = false;
                    growing.restart(self)?;
                }
                done => return done,
            }
        }
    }

    /// One response, as far as it comes.
    async fn stream(
        &self,
        web: &Web<'_>,
        growing: &mut Growing,
        open: &impl AsyncFn(u64) -> Result<Response, Failure>,
        came: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let mut response = open(growing.length).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = text_header(&response, "content-range").unwrap_or_default();
                if start_of(&range) != Some(growing.length) {
                    let why = format!("asked for bytes from {} on, got `{range}`", growing.length);
                    return Err(Failure::passing(why));
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                growing.restart(self)?;
                return Err(Failure::passing("the server has less than what is here"));
            }
            // The server knows no ranges, or none was asked for.
            _ if growing.length > 0 => growing.restart(self)?,
            _ => {}
        }
        came(growing.length);
        while let Some(chunk) = web.heard(response.chunk()).await? {
            if growing.length + chunk.len() as u64 > self.bytes {
                growing.restart(self)?;
                let why = format!("more than the {} bytes that were promised came", self.bytes);
                return Err(Failure::passing(why));
            }
            growing.write(self, &chunk)?;
            came(growing.length);
        }
        if growing.length < self.bytes {
            let why = format!("it ended after {} of {} bytes", growing.length, self.bytes);
            return Err(Failure::passing(why));
        }
        Ok(())
    }

    fn failed(&self, source: io::Error, length: u64) -> ModelsError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ModelsError::NoSpace {
                path: self.target.clone(),
                needed: self.bytes.saturating_sub(length),
                free: free_disk(&self.target),
            },
            _ => ModelsError::file(&self.incomplete, source),
        }
    }
}

/// The part that is there, and the digest of its beginning.
struct Growing {
    file: File,
    length: u64,
    digest: Sha256,
    digested: u64,
}

impl Growing {
    fn open(download: &Download<'_>) -> Result<Self, ModelsError> {
        let path = &download.incomplete;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| download.failed(source, 0))?;
        let length = file
            .metadata()
            .map_err(|source| ModelsError::file(path, source))?
            .len();
        let mut growing = Self {
            file,
            length,
            digest: Sha256::new(),
            digested: 0,
        };
        if length > download.bytes {
            growing.restart(download)?;
        }
        Ok(growing)
    }

    fn restart(&mut self, download: &Download<'_>) -> Result<(), ModelsError> {
        self.file
            .set_len(0)
            .map_err(|source| ModelsError::file(&download.incomplete, source))?;
        self.length = 0;
        self.digest = Sha256::new();
        self.digested = 0;
        Ok(())
    }

    fn write(&mut self, download: &Download<'_>, chunk: &[u8]) -> Result<(), ModelsError> {
        self.file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(chunk))
            .map_err(|source| download.failed(source, self.length))?;
        if self.digested == self.length {
            self.digest.update(chunk);
            self.digested += chunk.len() as u64;
        }
        self.length += chunk.len() as u64;
        Ok(())
    }

    /// Checks the whole file and moves it to its place; a damaged one is emptied.
    async fn finish(&mut self, download: &Download<'_>, web: &Web<'_>) -> Result<(), ModelsError> {
        if let Some(wanted) = &download.sha256 {
            self.catch_up(download, web).await?;
            let found = hex::encode(self.digest.clone().finalize());
            if !found.eq_ignore_ascii_case(wanted) {
                self.restart(download)?;
                return Err(ModelsError::Mismatch {
                    file: download.name.to_owned(),
                    wanted: wanted.clone(),
                    found,
                });
            }
        }
        let failed = |source| download.failed(source, download.bytes);
        // The name must not be on the disk before the bytes are.
        self.file.sync_all().map_err(failed)?;
        fs::rename(&download.incomplete, &download.target).map_err(failed)
    }

    /// Reads what came in an earlier run.
    async fn catch_up(
        &mut self,
        download: &Download<'_>,
        web: &Web<'_>,
    ) -> Result<(), ModelsError> {
        let failed = |source| ModelsError::file(&download.incomplete, source);
        let mut block = vec![0; BLOCK];
        self.file
            .seek(SeekFrom::Start(self.digested))
            .map_err(failed)?;
        while self.digested < self.length {
            // Asks whether the user wants to stop.
            web.unless_cancelled(std::future::ready(())).await?;
            let most = BLOCK.min((self.length - self.digested) as usize);
            let got = self.file.read(&mut block[..most]).map_err(failed)?;
            if got == 0 {
                let what = "it became shorter while it was read";
                return Err(ModelsError::damaged(&download.incomplete, what));
            }
            self.digest.update(&block[..got]);
            self.digested += got as u64;
        }
        Ok(())
    }
}

/// The first byte of `bytes 7-9/10`.
fn start_of(range: &str) -> Option<u64> {
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// Bytes of a file that was begun.
pub(crate) fn begun(incomplete: &Path) -> u64 {
    fs::metadata(incomplete).map_or(0, |metadata| metadata.len())
}
