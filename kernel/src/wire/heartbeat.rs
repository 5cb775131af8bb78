//! The heartbeat: whatever arrives goes back, on a thread that does nothing else.

use std::sync::mpsc;

use tokio::runtime::Builder;
use zeromq::{RepSocket, Socket as _, SocketRecv as _, SocketSend as _};

use super::ConnectionError;

/// Answers heartbeats on `endpoint` from now on; returns when it listens.
pub(super) fn start(endpoint: &str) -> Result<(), ConnectionError> {
    let (bound, listening) = mpsc::channel();
    let cannot = |reason: &dyn ToString| ConnectionError::Bind {
        endpoint: endpoint.to_owned(),
        reason: reason.to_string(),
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot(&error))?;
    let address = endpoint.to_owned();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let mut socket = RepSocket::new();
            let result = socket
                .bind(&address)
                .await
                .map_err(|error| error.to_string());
            let listens = result.is_ok();
            if bound.send(result.map(drop)).is_ok() && listens {
                echo(&mut socket).await;
            }
        });
    });
    match listening.recv() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(cannot(&reason)),
        Err(error) => Err(cannot(&error)),
    }
}

async fn echo(socket: &mut RepSocket) {
    loop {
        match socket.recv().await {
            // A frontend that has gone needs no answer.
            Ok(beat) => drop(socket.send(beat).await),
            // A frontend left or sent something else; the next one counts.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
