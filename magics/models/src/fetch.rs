//! Brings a model onto this machine: from a directory, from the cache, from the hub, from a bucket.

mod tally;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cache::{Cache, is_plain};
use crate::download::{Download, begun};
use crate::error::ModelsError;
use crate::files::{Files, Weights, is_description, shards};
use crate::http::Web;
use crate::http::tries::Tries;
use crate::hub::{Hub, Listed, Listing, Promise};
use crate::memory::free_disk;
use crate::places::Places;
use crate::reference::{Reference, is_gguf};
use crate::s3::S3;
use tally::Tally;

/// The revision where none is named.
const MAIN: &str = "main";
/// How often the lock of another process is asked for.
const LOCK: Duration = Duration::from_millis(100);

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is coming.
    pub file: &'a str,
    /// Bytes of it that are here.
    pub done: u64,
    /// Bytes that it has.
    pub total: u64,
    /// Bytes of all files that are here.
    pub overall_done: u64,
    /// Bytes of all files, as far as is known.
    pub overall_total: u64,
}

/// Finds the model, and downloads what is missing into the cache that is shared with the hub's Python client.
///
/// What the cache has whole is taken from there, and nobody is asked whether there is something newer; a bucket is
/// asked. Files come one after the other, each under a lock, so that of two processes one waits; `progress` is told up
/// to ten times a second, and `cancelled` is asked more often. A killed download goes on where it stopped.
///
/// Blocks, and drives a runtime of its own: from asynchronous code, call it on a thread for blocking work.
pub fn fetch(
    reference: &Reference,
    places: &Places,
    progress: &dyn Fn(Progress<'_>),
    cancelled: &dyn Fn() -> bool,
) -> Result<Files, ModelsError> {
    let name = reference.to_string();
    let (place, revision, file) = match reference {
        Reference::Directory(path) => return Files::of_directory(name, path),
        Reference::Gguf(path) => return Files::of_gguf(name, path),
        Reference::Hub {
            name,
            revision,
            file,
        } => (Place::Hub(name), revision.as_deref(), file.as_deref()),
        Reference::S3 { bucket, prefix } => (Place::Bucket(bucket, prefix), None, None),
    };
    let revision = revision.unwrap_or(MAIN);
    let cache = match place {
        Place::Hub(name) => Cache::of_hub(places, name),
        Place::Bucket(bucket, prefix) => Cache::of_bucket(places, bucket, prefix),
    };
    let cached = cached(&cache, &name, revision, file);
    if places.is_offline {
        let directory = match place {
            Place::Hub(_) => &places.hub_cache,
            Place::Bucket(..) => &places.bucket_cache,
        };
        return cached.ok_or_else(|| ModelsError::Offline {
            name,
            cache: directory.clone(),
        });
    }
    if let Some(files) = &cached
        && matches!(place, Place::Hub(_))
        && is_whole(files, file)
    {
        return Ok(files.clone());
    }
    let web = Web::new(places, cancelled)?;
    let source = match place {
        Place::Hub(name) => Source::Hub(Hub::new(&web, places, name)),
        Place::Bucket(bucket, prefix) => Source::Bucket(S3::new(&web, places, bucket, prefix)?),
    };
    let work = Fetch {
        web: &web,
        source,
        cache: &cache,
        name: &name,
        tally: Tally::new(progress),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ModelsError::file(&places.hub_cache, source))?;
    match (runtime.block_on(work.run(revision, file)), cached) {
        // What is here does, if an older one or one without a tokenizer.
        (Err(error), Some(files)) if error.is_away() => Ok(files),
        (outcome, _) => outcome,
    }
}

/// What the cache has of the model, if its weights are there.
fn cached(cache: &Cache, name: &str, revision: &str, file: Option<&str>) -> Option<Files> {
    let commit = cache.commit(revision)?;
    let snapshot = cache.snapshot(&commit);
    let files = match file {
        Some(file) => Files::of_gguf(name.to_owned(), &snapshot.join(file)),
        None => Files::of_directory(name.to_owned(), &snapshot),
    };
    Some(Files {
        revision: Some(commit),
        ..files.ok()?
    })
}

/// Whether nothing can be missing: another program may have fetched the weights alone.
fn is_whole(files: &Files, file: Option<&str>) -> bool {
    file.is_some()
        || ["tokenizer.json", "tokenizer.model"]
            .iter()
            .any(|name| files.get(name).is_some())
}

/// A place on another machine.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// A name.
    Hub(&'a str),
    /// A bucket and a prefix.
    Bucket(&'a str, &'a str),
}

/// Where files come from.
enum Source<'a> {
    Hub(Hub<'a>),
    Bucket(S3<'a>),
}

/// One download of a model.
struct Fetch<'a> {
    web: &'a Web<'a>,
    source: Source<'a>,
    cache: &'a Cache,
    name: &'a str,
    tally: Tally<'a>,
}

impl Fetch<'_> {
    async fn run(&self, revision: &str, file: Option<&str>) -> Result<Files, ModelsError> {
        let listing = match &self.source {
            Source::Hub(hub) => hub.listing(revision).await?,
            Source::Bucket(bucket) => bucket.listing().await?,
        };
        let blobs = self.cache.prepare()?;
        let snapshot = self.cache.snapshot(&listing.commit);
        let files = if let Some(gguf) = gguf(self.name, &listing, file)? {
            self.all(&listing, &[gguf], &blobs).await?;
            Files::of_gguf(self.name.to_owned(), &snapshot.join(&gguf.name))?
        } else {
            let described = listing
                .files
                .iter()
                .filter(|file| is_description(&file.name));
            let described: Vec<&Listed> = described.collect();
            // Weights come last, so that a snapshot with weights has everything.
            self.all(&listing, &described, &blobs).await?;
            let weights = weights(self.name, &listing, &snapshot)?;
            self.all(&listing, &weights, &blobs).await?;
            Files::of_directory(self.name.to_owned(), &snapshot)?
        };
        self.cache.point(revision, &listing.commit)?;
        Ok(Files {
            revision: Some(listing.commit),
            ..files
        })
    }

    async fn all(
        &self,
        listing: &Listing,
        files: &[&Listed],
        blobs: &Path,
    ) -> Result<(), ModelsError> {
        self.tally
            .expect(files.iter().filter_map(|file| file.bytes).sum());
        let snapshot = self.cache.snapshot(&listing.commit);
        let is_there = |file: &Listed| {
            fs::metadata(snapshot.join(&file.name))
                .is_ok_and(|there| Some(there.len()) == file.bytes)
        };
        let missing = files.iter().filter(|file| !is_there(file));
        has_room(missing.filter_map(|file| file.bytes).sum(), blobs)?;
        for file in files {
            if !is_there(file) {
                self.one(&listing.commit, file).await?;
            }
            self.tally.finished(file.bytes.unwrap_or(0));
        }
        Ok(())
    }

    async fn one(&self, commit: &str, file: &Listed) -> Result<(), ModelsError> {
        let promise = self.promise(commit, file).await?;
        let target = self.cache.blob(&promise.etag);
        let is_there = || fs::metadata(&target).is_ok_and(|there| there.len() == promise.bytes);
        if !is_there() {
            let lock = loop {
                if let Some(lock) = self.cache.try_lock(&promise.etag)? {
                    break lock;
                }
                self.web.pause(LOCK).await?;
            };
            if !is_there() {
                let download = Download {
                    name: &file.name,
                    bytes: promise.bytes,
                    sha256: promise.sha256,
                    incomplete: self.cache.incomplete(&promise.etag),
                    target: target.clone(),
                };
                let open = async |from| match &self.source {
                    Source::Hub(hub) => hub.bytes(commit, &file.name, from).await,
                    Source::Bucket(bucket) => bucket.bytes(file, from).await,
                };
                let came = |done| self.tally.came(&file.name, done, promise.bytes);
                download
                    .run(self.web, self.tries(&file.name), open, &came)
                    .await?;
            }
            drop(lock);
        }
        self.cache.link(commit, &file.name, &promise.etag)
    }

    async fn promise(&self, commit: &str, file: &Listed) -> Result<Promise, ModelsError> {
        match (&self.source, &file.etag, file.bytes) {
            (Source::Hub(hub), _, _) => hub.promise(commit, file).await,
            (Source::Bucket(_), Some(etag), Some(bytes)) if is_plain(etag) => Ok(Promise {
                etag: etag.clone(),
                bytes,
                sha256: None,
            }),
            (Source::Bucket(_), etag, _) => Err(ModelsError::Garbled {
                what: file.name.clone(),
                server: self.name.to_owned(),
                why: format!("etag `{}`", etag.as_deref().unwrap_or_default()),
            }),
        }
    }

    fn tries(&self, what: &str) -> Tries {
        match &self.source {
            Source::Hub(hub) => hub.tries(what),
            Source::Bucket(bucket) => bucket.tries(what),
        }
    }
}

/// Fails early when the disk cannot take what is to come; what was begun is on it already.
fn has_room(bytes: u64, blobs: &Path) -> Result<(), ModelsError> {
    let there = fs::read_dir(blobs).into_iter().flatten().flatten();
    let parts = there.filter(|entry| {
        entry
            .path()
            .extension()
            .is_some_and(|kind| kind == "incomplete")
    });
    let needed = bytes.saturating_sub(parts.map(|entry| begun(&entry.path())).sum());
    match free_disk(blobs) {
        Some(free) if free < needed => Err(ModelsError::NoSpace {
            path: blobs.to_owned(),
            needed,
            free: Some(free),
        }),
        _ => Ok(()),
    }
}

/// The GGUF file to take; none when the repository is to be taken as safetensors.
fn gguf<'a>(
    name: &str,
    listing: &'a Listing,
    file: Option<&str>,
) -> Result<Option<&'a Listed>, ModelsError> {
    if let Some(file) = file
        && let Some(listed) = listing.files.iter().find(|listed| listed.name == file)
    {
        return Ok(Some(listed));
    }
    let names: Vec<&str> = listing
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    if file.is_none() && Weights::among(&names).is_some() {
        return Ok(None);
    }
    let ggufs: Vec<&Listed> = listing
        .files
        .iter()
        .filter(|file| is_gguf(&file.name))
        .collect();
    match ggufs.as_slice() {
        [] => Err(ModelsError::NoWeights {
            name: name.to_owned(),
            files: names.into_iter().map(str::to_owned).collect(),
        }),
        [one] if file.is_none() => Ok(Some(one)),
        several => Err(ModelsError::Choose {
            name: name.split(':').next().unwrap_or(name).to_owned(),
            files: several
                .iter()
                .map(|file| (file.name.clone(), file.bytes.unwrap_or(0)))
                .collect(),
        }),
    }
}

/// The files with the weights, once the descriptions are there.
fn weights<'a>(
    name: &str,
    listing: &'a Listing,
    snapshot: &Path,
) -> Result<Vec<&'a Listed>, ModelsError> {
    let names: Vec<&str> = listing
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let wanted = match Weights::among(&names) {
        Some(Weights::Named(files)) => files,
        Some(Weights::Index(index)) => shards(&snapshot.join(index))?,
        None => Vec::new(),
    };
    let found = |file: &String| {
        let listed = listing.files.iter().find(|listed| listed.name == *file);
        listed.ok_or_else(|| ModelsError::NotFound {
            what: format!("file `{file}`, which its index lists"),
            server: format!("`{name}`"),
        })
    };
    wanted.iter().map(found).collect()
}

#[cfg(test)]
mod tests;
