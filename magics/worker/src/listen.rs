//! Connections: how many, how slow, and how they end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::door::Peer;
use crate::state::Limits;

/// Connections above the limit that are still heard, so that they can be refused, and asked about health.
const SPARE: usize = 64;
/// How long to wait when the machine has no more file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Answers connections with `router` until `stop` turns true; then each ends with the answer that it is at.
///
/// Ends when the last connection has.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let room = Room {
        places: Arc::new(Semaphore::new(limits.connections)),
        all: Arc::new(Semaphore::new(limits.connections + SPARE)),
    };
    let (ended, alive) = watch::channel(());
    let mut stopped = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = room.accept(&listener) => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer, held)) = accepted else {
            continue;
        };
        let (router, mut stop, alive) = (router.clone(), stop.clone(), alive.clone());
        tokio::spawn(async move {
            // Both are held as long as the connection lives.
            let _held = (held, alive);
            serve(stream, peer, router, limits, &mut stop).await;
        });
    }
    drop((listener, alive));
    // Now all receivers belong to connections.
    ended.closed().await;
}

/// Room for connections.
struct Room {
    places: Arc<Semaphore>,
    /// The places, and those of connections that are refused.
    all: Arc<Semaphore>,
}

/// What a connection holds: room among all, and a place, unless it is to be refused.
type Held = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Room {
    /// The next connection, as soon as there is room for it.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, Peer, Held)> {
        let among_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((stream, from)) => {
                let place = Arc::clone(&self.places).try_acquire_owned().ok();
                let peer = Peer {
                    address: from.ip(),
                    crowded: place.is_none(),
                };
                Some((stream, peer, (among_all, place)))
            }
            Err(error) => {
                if !is_passing(&error) {
                    tokio::time::interval_at(Instant::now() + BREATH, BREATH)
                        .tick()
                        .await;
                }
                None
            }
        }
    }
}

/// Whether the error belongs to the connection, and the next one may be fine.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: Limits,
    stop: &mut watch::Receiver<bool>,
) {
    // Pieces of a stream are small, and each is waited for. Without the option they come late, and no worse.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move {
            let answered: Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.slow)
        // The next time there may be a place.
        .keep_alive(!peer.crowded)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // An error here is a client that went away or spoke no HTTP: nobody is left to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
