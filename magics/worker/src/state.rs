//! What all requests share: the model and how far it is, the keys, the limits, the meters, the log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::WorkerError;
use crate::keys::Keys;
use crate::log::Log;
use crate::meters::Meters;
use crate::refusal::Refusal;
use crate::served::Served;

/// What a server allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request may take, from its head to the last byte of its answer.
    pub time: Duration,
    /// How long a client may take to send its head, and then its body.
    pub slow: Duration,
    /// Connections at once.
    pub connections: usize,
    /// An answer that does not fit behind its prompt gets as many tokens as do, and is not refused.
    pub shortens: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 16 << 20,
            time: Duration::from_mins(30),
            slow: Duration::from_secs(30),
            connections: 1024,
            shortens: false,
        }
    }
}

/// A server for one model, which may still be on its way.
pub struct Server {
    /// Who may ask.
    pub(crate) keys: Keys,
    /// What is allowed.
    pub(crate) limits: Limits,
    /// What is measured.
    pub(crate) meters: Meters,
    /// Where requests are set down.
    pub(crate) log: Option<Log>,
    name: String,
    stage: RwLock<Stage>,
    draining: AtomicBool,
    broken: OnceLock<String>,
    under_way: watch::Sender<usize>,
}

/// How far the model is.
#[derive(Clone)]
enum Stage {
    Loading { done: u64, total: u64 },
    Ready(Arc<Served>),
    Failed(String),
}

/// How a server is, in the words of `/health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers.
    Ok,
    /// Its model is being read: bytes so far, and all of them.
    Loading(u64, u64),
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Its model could not be loaded, or has failed, for this reason.
    Failed(String),
}

impl Server {
    /// A server whose model, known as `name`, will come by [`Server::serve`].
    pub fn new(
        name: &str,
        keys: Keys,
        limits: Limits,
        log: Option<&Path>,
    ) -> Result<Arc<Server>, WorkerError> {
        let log = log.map(|path| Log::open(path, name)).transpose()?;
        Ok(Arc::new(Server {
            keys,
            limits,
            meters: Meters::new(),
            log,
            name: name.to_owned(),
            stage: RwLock::new(Stage::Loading { done: 0, total: 0 }),
            draining: AtomicBool::new(false),
            broken: OnceLock::new(),
            under_way: watch::Sender::new(0),
        }))
    }

    /// The name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells how many bytes of the model are loaded.
    pub fn loading(&self, done: u64, total: u64) {
        self.set(Stage::Loading { done, total });
    }

    /// The model is there.
    pub fn serve(&self, served: Served) {
        self.set(Stage::Ready(Arc::new(served)));
        if self.draining.load(Ordering::Acquire) {
            self.drain();
        }
    }

    /// The model cannot be loaded.
    pub fn fail(&self, reason: &str) {
        self.set(Stage::Failed(reason.to_owned()));
    }

    /// Takes no new requests any more; those under way are finished.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        if let Stage::Ready(served) = self.stage() {
            served.drain();
        }
    }

    /// Ends when no request is under way.
    pub async fn idle(&self) {
        // The sender is this server's own, so waiting cannot fail.
        let _ = self.under_way.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Ends when no request has been under way for the whole of `time`.
    pub async fn rested(&self, time: Duration) {
        let mut under_way = self.under_way.subscribe();
        loop {
            // The sender is this server's own, so waiting cannot fail.
            let _ = under_way.wait_for(|n| *n == 0).await;
            if tokio::time::timeout(time, under_way.changed())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Ends when a request begins or ends.
    pub(crate) async fn stirred(&self) {
        // The sender is this server's own, so waiting cannot fail.
        let _ = self.under_way.subscribe().changed().await;
    }

    /// Requests under way.
    pub fn n_under_way(&self) -> usize {
        *self.under_way.borrow()
    }

    /// The model, when it can be asked.
    pub(crate) fn served(&self) -> Result<Arc<Served>, Refusal> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refusal::unavailable("draining", "the server is stopping"));
        }
        if let Some(reason) = self.broken.get() {
            return Err(Refusal::internal(format!("the model has failed: {reason}")));
        }
        match self.stage() {
            Stage::Ready(served) => Ok(served),
            Stage::Loading { done, total } => Err(Refusal::unavailable(
                "loading",
                format!("the model is loading: {done} of {total} bytes"),
            )),
            Stage::Failed(reason) => Err(Refusal::internal(format!(
                "the model could not be loaded: {reason}"
            ))),
        }
    }

    /// The model, asked or not.
    pub(crate) fn model(&self) -> Option<Arc<Served>> {
        match self.stage() {
            Stage::Ready(served) => Some(served),
            _ => None,
        }
    }

    /// How the server is.
    pub(crate) fn health(&self) -> Health {
        if let Some(reason) = self.broken.get() {
            return Health::Failed(reason.clone());
        }
        match self.stage() {
            Stage::Failed(reason) => Health::Failed(reason),
            _ if self.draining.load(Ordering::Acquire) => Health::Draining,
            Stage::Loading { done, total } => Health::Loading(done, total),
            Stage::Ready(_) => Health::Ok,
        }
    }

    /// The model has failed for good.
    pub(crate) fn set_broken(&self, reason: &str) {
        // The first reason is the cause of all later ones.
        let _ = self.broken.set(reason.to_owned());
    }

    /// A request begins.
    pub(crate) fn enter(&self) {
        self.under_way.send_modify(|n| *n += 1);
    }

    /// A request has ended.
    pub(crate) fn leave(&self) {
        self.under_way.send_modify(|n| *n -= 1);
    }

    fn stage(&self) -> Stage {
        let stage = self.stage.read().unwrap_or_else(PoisonError::into_inner);
        stage.clone()
    }

    fn set(&self, stage: Stage) {
        *self.stage.write().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}
