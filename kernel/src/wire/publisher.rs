//! The `IOPub` socket: one queue for each subscriber, bounded in bytes, so that a subscriber that stands still
//! neither stops nor robs the others.
//!
//! zeromq 0.7 has no such socket: its XPUB waits for each subscriber in turn, its PUB drops what is newest.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::message::Headers;
use super::zmtp::{self, Told};
use super::{Codec, Connection, ConnectionError, Message};

/// How much may wait, and how long.
const LIMITS: Limits = Limits {
    full: 64 << 20,
    patience: Duration::from_secs(2),
};
/// Messages that are kept for the first subscriber.
const EARLY: usize = 64;
/// How long a peer has to say what it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Publishes to every subscriber.
#[derive(Clone)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
}

/// How much may wait, and how long.
#[derive(Clone, Copy)]
struct Limits {
    /// Bytes that may wait for one subscriber.
    full: usize,
    /// How long everybody waits for a subscriber whose queue is full before it loses messages.
    patience: Duration,
}

struct Shared {
    codec: Codec,
    limits: Limits,
    state: Mutex<State>,
    /// Something was taken out of a queue, or a subscriber left.
    drained: Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    peers: Vec<Peer>,
    /// What was published before anybody subscribed; `None` once somebody has.
    early: Option<VecDeque<Bytes>>,
}

struct Peer {
    id: u64,
    topics: Vec<Bytes>,
    queue: VecDeque<Bytes>,
    /// Bytes in the queue and in the hands of the writer.
    waiting: usize,
    /// It stood still for too long and loses messages until half of its queue is gone.
    stuck: bool,
    filled: Arc<Notify>,
}

impl Publisher {
    /// Listens on the `IOPub` port of `connection`.
    pub(super) async fn bind(
        connection: &Connection,
        codec: Codec,
    ) -> Result<Publisher, ConnectionError> {
        let endpoint = connection.endpoint(connection.iopub_port);
        let publisher = Publisher::new(codec, LIMITS);
        let address = endpoint
            .split_once("://")
            .map_or("", |(_, address)| address)
            .to_owned();
        let bound = if connection.is_ipc() {
            UnixListener::bind(&address).map(|listener| publisher.clone().accept_unix(listener))
        } else {
            TcpListener::bind(&address)
                .await
                .map(|listener| publisher.clone().accept_tcp(listener))
        };
        match bound {
            Ok(()) => Ok(publisher),
            Err(error) => Err(ConnectionError::Bind {
                endpoint,
                reason: error.to_string(),
            }),
        }
    }

    fn new(codec: Codec, limits: Limits) -> Publisher {
        let state = State {
            early: Some(VecDeque::new()),
            ..State::default()
        };
        Publisher {
            shared: Arc::new(Shared {
                codec,
                limits,
                state: Mutex::new(state),
                drained: Notify::new(),
            }),
        }
    }

    fn accept_tcp(self, listener: TcpListener) {
        tokio::spawn(async move {
            loop {
                // Accepting fails for one peer, or for a moment when there are too many open files.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                // Small messages must not wait for more; where that cannot be set they only come later.
                let _ = stream.set_nodelay(true);
                tokio::spawn(self.clone().serve(stream));
            }
        });
    }

    fn accept_unix(self, listener: UnixListener) {
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                tokio::spawn(self.clone().serve(stream));
            }
        });
    }

    /// Sends one message, its topic first, to all who subscribed to it.
    pub(crate) async fn publish(&self, frames: &[Bytes]) {
        let topic = frames.first().cloned().unwrap_or_default();
        let message = zmtp::message(frames);
        self.make_room(&topic, message.len()).await;
        let mut state = self.shared.lock();
        if let Some(early) = &mut state.early {
            if early.len() == EARLY {
                early.pop_front();
            }
            early.push_back(message);
            return;
        }
        for peer in state
            .peers
            .iter_mut()
            .filter(|peer| !peer.stuck && peer.wants(&topic))
        {
            peer.push(message.clone());
        }
    }

    /// Waits until everything has been handed to the system, at most `patience`.
    pub(crate) async fn flush(&self, patience: Duration) {
        let empty = |state: &State| {
            state
                .peers
                .iter()
                .all(|peer| peer.stuck || peer.waiting == 0)
        };
        // What a subscriber does not take until then it does not get.
        let _ = timeout(patience, self.shared.until(empty)).await;
    }

    /// Waits while a subscriber's queue is full, and gives up on those that do not move.
    async fn make_room(&self, topic: &Bytes, length: usize) {
        let Limits {
            full: limit,
            patience,
        } = self.shared.limits;
        let full = |peer: &Peer| {
            !peer.stuck && peer.wants(topic) && peer.waiting > 0 && peer.waiting + length > limit
        };
        let fits = |state: &State| !state.peers.iter().any(full);
        while timeout(patience, self.shared.until(fits)).await.is_err() {
            let mut state = self.shared.lock();
            for peer in state.peers.iter_mut().filter(|peer| full(peer)) {
                crate::log(
                    "a frontend does not read its messages; it loses some so that the others go on",
                );
                peer.stuck = true;
            }
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) {
        match timeout(HANDSHAKE, zmtp::shake_hands(&mut stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return crate::log(&format!("a peer of IOPub was turned away: {error}"));
            }
            Err(_) => return crate::log("a peer of IOPub was turned away: it says nothing"),
        }
        let (id, filled) = self.shared.arrive();
        let (mut reader, mut writer) = tokio::io::split(stream);
        // Either side ends when the peer leaves; then both end.
        tokio::select! {
            ended = self.listen(id, &mut reader) => drop(ended),
            ended = self.write(id, &filled, &mut writer) => drop(ended),
        }
        self.shared.leave(id);
    }

    async fn listen<S: AsyncRead + Unpin>(&self, id: u64, reader: &mut S) -> io::Result<()> {
        loop {
            match zmtp::hear(reader).await? {
                Told::Subscribe(topic) => self.shared.subscribe(id, topic),
                Told::Cancel(topic) => self.shared.with_peer(id, |peer| peer.cancel(&topic)),
                Told::Ping(pong) => self.shared.with_peer(id, |peer| peer.push(pong)),
                Told::Other => {}
            }
        }
    }

    async fn write<S: AsyncWrite + Unpin>(
        &self,
        id: u64,
        filled: &Notify,
        writer: &mut S,
    ) -> io::Result<()> {
        loop {
            let mut next = None;
            self.shared
                .with_peer(id, |peer| next = peer.queue.pop_front());
            let Some(message) = next else {
                filled.notified().await;
                continue;
            };
            writer.write_all(&message).await?;
            writer.flush().await?;
            let half = self.shared.limits.full / 2;
            self.shared
                .with_peer(id, |peer| peer.sent(message.len(), half));
            self.shared.drained.notify_waiters();
        }
    }
}

impl Shared {
    /// The state; a panic elsewhere leaves it usable, because every change is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `holds` does.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            drained.await;
        }
    }

    fn arrive(&self) -> (u64, Arc<Notify>) {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let filled = Arc::new(Notify::new());
        state.peers.push(Peer {
            id,
            topics: Vec::new(),
            queue: VecDeque::new(),
            waiting: 0,
            stuck: false,
            filled: Arc::clone(&filled),
        });
        (id, filled)
    }

    fn leave(&self, id: u64) {
        self.lock().peers.retain(|peer| peer.id != id);
        self.drained.notify_waiters();
    }

    fn with_peer(&self, id: u64, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.lock().peers.iter_mut().find(|peer| peer.id == id) {
            change(peer);
        }
    }

    /// Welcomes a subscriber before it gets anything else; the first one gets what was published before it came.
    fn subscribe(&self, id: u64, topic: Bytes) {
        let welcome = self.welcome(&topic);
        let mut state = self.lock();
        let early = state.early.take();
        let Some(peer) = state.peers.iter_mut().find(|peer| peer.id == id) else {
            state.early = early;
            return;
        };
        peer.push(welcome);
        peer.topics.push(topic);
        for message in early.into_iter().flatten() {
            peer.push(message);
        }
    }

    /// The message `iopub_welcome` of protocol 5.5, which has no parent.
    fn welcome(&self, topic: &Bytes) -> Bytes {
        let mut content = Map::new();
        let subscription = String::from_utf8_lossy(topic).into_owned();
        content.insert("subscription".to_owned(), Value::String(subscription));
        let header = Arc::new(Headers::new().next("iopub_welcome"));
        let mut frames = self.codec.encode(&Message {
            header,
            content,
            ..Message::default()
        });
        frames.insert(0, topic.clone());
        zmtp::message(&frames)
    }
}

impl Peer {
    fn wants(&self, topic: &Bytes) -> bool {
        self.topics.iter().any(|wanted| topic.starts_with(wanted))
    }

    fn push(&mut self, message: Bytes) {
        self.waiting += message.len();
        self.queue.push_back(message);
        self.filled.notify_one();
    }

    fn sent(&mut self, length: usize, half: usize) {
        self.waiting = self.waiting.saturating_sub(length);
        self.stuck &= self.waiting > half;
    }

    fn cancel(&mut self, topic: &Bytes) {
        if let Some(at) = self.topics.iter().position(|wanted| wanted == topic) {
            self.topics.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
