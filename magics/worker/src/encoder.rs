//! An encoder for many clients: shares of a request take turns, and those of batch requests let others by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mlk8s_engine::{Embeddings, Encoder, EngineError, Watch};
use mlk8s_generate::Class;
use tokio::sync::{Mutex, Semaphore};

use crate::refusal::Refusal;
use crate::served::Load;

/// Texts that are encoded at a time; between two shares of a batch request somebody who waits gets through.
const TEXTS: usize = 64;
/// As [`TEXTS`], of pictures: decoding a large one takes as long as encoding many texts.
const PICTURES: usize = 16;

/// What is to become a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A text.
    Text(String),
    /// A picture, as the bytes of its file.
    Picture(Vec<u8>),
}

/// Some items of one kind, which are encoded together.
enum Share {
    Texts(Vec<String>),
    Pictures(Vec<Vec<u8>>),
}

/// An encoder and the queue before it.
pub struct SharedEncoder {
    encoder: Arc<Encoder>,
    /// Vectors of this model can be cut.
    pub(crate) nested: bool,
    at_once: Semaphore,
    max_queued: usize,
    /// Only one batch request stands in the queue.
    batch: Mutex<()>,
    running: AtomicU64,
    waiting: [AtomicU64; 2],
    steps: AtomicU64,
}

impl SharedEncoder {
    /// An encoder that works at `at_once` requests at a time, while `max_queued` others may wait; `nested` when the first
    /// numbers of its vectors are good vectors, too.
    pub fn new(encoder: Encoder, at_once: usize, max_queued: usize, nested: bool) -> SharedEncoder {
        SharedEncoder {
            encoder: Arc::new(encoder),
            nested,
            at_once: Semaphore::new(at_once.max(1)),
            max_queued,
            batch: Mutex::new(()),
            running: AtomicU64::new(0),
            waiting: Default::default(),
            steps: AtomicU64::new(0),
        }
    }

    /// What is known of the model.
    pub fn info(&self) -> &mlk8s_engine::EncoderInfo {
        self.encoder.info()
    }

    /// Gives memory of a GPU back that is kept for the next request.
    pub(crate) fn give_back(&self) {
        self.encoder.give_back();
    }

    /// One row an item, in their order. When the future is dropped, the work ends within 100 ms.
    ///
    /// A picture that cannot be decoded is refused by its number among the items.
    pub(crate) async fn encode(
        &self,
        items: Vec<Item>,
        class: Class,
    ) -> Result<Embeddings, Refusal> {
        let queued: u64 = self.load().waiting.iter().sum();
        if queued >= self.max_queued as u64 {
            return Err(Refusal::queue_full(queued as usize));
        }
        let n_dims = self.info().n_dims;
        let mut all = Embeddings {
            n_dims,
            values: vec![0.0; items.len() * n_dims],
            n_tokens: 0,
            n_truncated: 0,
        };
        for (places, share) in shares(items) {
            let part = self.share(share, &places, class).await?;
            for (place, row) in places.iter().zip(part.rows()) {
                all.values[place * n_dims..][..n_dims].copy_from_slice(row);
            }
            all.n_tokens += part.n_tokens;
            all.n_truncated += part.n_truncated;
        }
        Ok(all)
    }

    async fn share(
        &self,
        share: Share,
        places: &[usize],
        class: Class,
    ) -> Result<Embeddings, Refusal> {
        let at = usize::from(class == Class::Batch);
        let waiting = Count::up(&self.waiting[at]);
        let _turn = match class {
            Class::Interactive => None,
            Class::Batch => Some(self.batch.lock().await),
        };
        let _permit = self
            .at_once
            .acquire()
            .await
            .map_err(|_| Refusal::internal("the encoder has stopped"))?;
        drop(waiting);
        let _running = Count::up(&self.running);
        self.steps.fetch_add(1, Ordering::Relaxed);
        let leash = Leash(Arc::default());
        let (encoder, gone) = (Arc::clone(&self.encoder), Gone(Arc::clone(&leash.0)));
        let work = tokio::task::spawn_blocking(move || match share {
            Share::Texts(texts) => encoder.encode(&texts, &gone),
            Share::Pictures(pictures) => encoder.encode_pictures(&pictures, &gone),
        });
        match work.await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error @ EngineError::Tokenizer { .. })) => {
                Err(Refusal::invalid("input", error.to_string()))
            }
            Ok(Err(EngineError::Picture { number, what })) => {
                let name = format!("input[{}].image", places[number]);
                let message = format!("`{name}` is no picture that can be read: {what}");
                Err(Refusal::invalid(name, message))
            }
            Ok(Err(error)) => Err(Refusal::internal(error.to_string())),
            Err(_) => Err(Refusal::internal("the encoder panicked on these inputs")),
        }
    }

    /// How much there is to do, in requests.
    pub(crate) fn load(&self) -> Load {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Load {
            running: read(&self.running),
            waiting: [read(&self.waiting[0]), read(&self.waiting[1])],
            steps: read(&self.steps),
            ..Load::default()
        }
    }
}

/// The items by kind, some at a time, with their places among all.
fn shares(items: Vec<Item>) -> Vec<(Vec<usize>, Share)> {
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    for (place, item) in items.into_iter().enumerate() {
        match item {
            Item::Text(text) => texts.push((place, text)),
            Item::Picture(file) => pictures.push((place, file)),
        }
    }
    let texts = parts(texts, TEXTS).map(|(places, part)| (places, Share::Texts(part)));
    let pictures = parts(pictures, PICTURES).map(|(places, part)| (places, Share::Pictures(part)));
    texts.chain(pictures).collect()
}

/// Parts of `most` items, taken apart into places and items.
fn parts<T>(items: Vec<(usize, T)>, most: usize) -> impl Iterator<Item = (Vec<usize>, Vec<T>)> {
    let mut rest = items.into_iter().peekable();
    std::iter::from_fn(move || {
        rest.peek()?;
        Some(rest.by_ref().take(most).unzip())
    })
}

/// One more, as long as it lives.
struct Count<'a>(&'a AtomicU64);

impl<'a> Count<'a> {
    fn up(count: &'a AtomicU64) -> Count<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Count(count)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops the work when the one who waits for it goes away.
pub(crate) struct Leash(pub(crate) Arc<AtomicBool>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the one who waited has gone away.
struct Gone(Arc<AtomicBool>);

impl Watch for Gone {
    fn step(&self, _done: usize, _total: usize, _what: &str) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
